// Decisions per second: posture, rules, egress and addresses judged under 10 000 rules, without any socket.
// Prints one line of JSON, like the load generator.

import { parseTargetText } from '../../dtr-rules/parse.ts';
import { decide, type Question } from '../../gateway/decision/decide.ts';
import { pin } from '../../gateway/decision/pin.ts';
import type { Policy } from '../../gateway/decision/policy.ts';
import {
  addressOf,
  healthyReport,
  NOW,
  policyFor,
  someIdentity,
} from '../gateway/decision/policy-for.ts';

const count = 10_000;
const addresses = [addressOf('93.184.215.14'), addressOf('2606:2800:21f:cb07:6820:80da:af6b:8b2c')];
const posture = { report: healthyReport, known: true };

/** Three rules in four name hosts; those of addresses stand last, as one would write them. */
function manyRules(): readonly object[] {
  const destination = (i: number): string => {
    if (i >= (count * 3) / 4) return `10.${i >> 8}.${i & 255}.0/24`;
    switch (i % 3) {
      case 0:
        return `login-${i}.example.com:443`;
      case 1:
        return `*.tenant-${i}.example.net`;
      default:
        return `*corp${i}.example.org`;
    }
  };
  return Array.from({ length: count }, (_, i) => ({
    id: `r${i}`,
    action: i % 4 === 3 ? 'BLOCK' : 'TUNNEL',
    destinations: [destination(i)],
  }));
}

/** Early and late rules of every kind, and names that no rule knows. */
function manyQuestions(): readonly Question[] {
  const texts = Array.from({ length: 250 }, (_, i) => i * 30).flatMap((i) => [
    `login-${i}.example.com:443`,
    `app.tenant-${i + 1}.example.net:443`,
    `mycorp${i + 2}.example.org:443`,
    `www.unknown-${i}.example:443`,
  ]);
  return texts.map((text) => {
    const target = parseTargetText(text);
    if (target === null) throw new Error(`\`${text}\` is no target`);
    return { identity: someIdentity, posture, target, addresses };
  });
}

function decideAll(questions: readonly Question[], policy: Policy): number {
  let tunnelled = 0;
  for (const question of questions) {
    const decision = decide(question, policy, NOW);
    if (decision.action !== 'tunnel') continue;
    if (pin(decision, question.target, addresses, policy).action === 'pinned') tunnelled += 1;
  }
  return tunnelled;
}

function measure(seconds: number): Readonly<Record<string, string | number>> {
  const ruleSets = [{ name: 'staff', defaultAction: 'TUNNEL', rules: manyRules() }];
  const compiling = performance.now();
  const policy = policyFor({ ruleSets });
  const compiledMs = performance.now() - compiling;
  const questions = manyQuestions();
  const runFor = (ms: number) => {
    const started = performance.now();
    let decisions = 0;
    let tunnelled = 0;
    while (performance.now() - started < ms) {
      tunnelled += decideAll(questions, policy);
      decisions += questions.length;
    }
    return { perSecond: (decisions * 1000) / (performance.now() - started), tunnelled, decisions };
  };
  runFor(Math.min(1000, seconds * 500)); // the compiler has to warm up
  const { perSecond, tunnelled, decisions } = runFor(seconds * 1000);
  return {
    bench: 'decide',
    label: 'gateway',
    rules: count,
    parse_and_compile_ms: Math.round(compiledMs),
    decisions,
    decisions_per_s: Math.round(perSecond),
    us_per_decision: 1e6 / perSecond,
    tunnelled_share: tunnelled / decisions,
    errors: tunnelled === 0 ? 1 : 0,
  };
}

console.log(JSON.stringify(measure(Number(process.argv[2] ?? '2'))));
