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
const posture = { report: healthyReport, known: true, block: null };

const apps = Array.from({ length: 100 }, (_, i) => `app${i}`);
const applications = Object.fromEntries(apps.map((name) => [name, { bundleId: `com.${name}` }]));

/** Five destinations a rule, of every kind; one rule in twenty each is for an application, ends some day, or only reports.
 *  Three in four name hosts; those of addresses stand last, as one would write them. */
function manyRules(): readonly object[] {
  const destinations = (i: number): readonly string[] => {
    if (i >= (count * 3) / 4) {
      return Array.from({ length: 5 }, (_, k) => `10.${i >> 8}.${i & 255}.${k * 32}/28`);
    }
    return [
      `login-${i}.example.com:443`,
      `.portal-${i}.example.com`,
      `*.tenant-${i}.example.net`,
      `*corp${i}.example.org`,
      `*intra${i}*`,
    ];
  };
  const special = (i: number): object => {
    if (i % 20 === 5) return { apps: [apps[i % apps.length]] };
    if (i % 20 === 10) return { validUntil: '2099-01-01T00:00:00Z' };
    return i % 20 === 15 ? { reportOnly: true } : {};
  };
  return Array.from({ length: count }, (_, i) => ({
    id: `r${i}`,
    action: i % 4 === 3 ? 'BLOCK' : 'TUNNEL',
    destinations: destinations(i),
    ...special(i),
  }));
}

/** Early and late rules of every kind, and names that no rule knows. */
function manyQuestions(): readonly Question[] {
  const texts = Array.from({ length: 250 }, (_, i) => i * 30).flatMap((i) => [
    `login-${i}.example.com:443`,
    `app.tenant-${i + 1}.example.net:443`,
    `mycorp${i + 2}.example.org:443`,
    `www.my-intra${i + 3}.example:443`,
    `www.unknown-${i}.example:443`,
  ]);
  return texts.map((text) => {
    const target = parseTargetText(text);
    if (target === null) throw new Error(`\`${text}\` is no target`);
    const identity = { ...someIdentity, app: 'com.app5' };
    return { identity, posture, target, addresses, unfit: new Set() };
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
  const compiling = process.cpuUsage();
  const policy = policyFor({ applications, ruleSets });
  const compiled = process.cpuUsage(compiling);
  const questions = manyQuestions();
  const runFor = (ms: number) => {
    const started = performance.now();
    const before = process.cpuUsage();
    let decisions = 0;
    let tunnelled = 0;
    while (performance.now() - started < ms) {
      tunnelled += decideAll(questions, policy);
      decisions += questions.length;
    }
    // By CPU time: what a core decides, whatever else runs on it.
    const { user, system } = process.cpuUsage(before);
    return { perSecond: (decisions * 1e6) / (user + system), tunnelled, decisions };
  };
  runFor(Math.min(1000, seconds * 500)); // the compiler has to warm up
  const { perSecond, tunnelled, decisions } = runFor(seconds * 1000);
  return {
    bench: 'decide',
    label: 'gateway',
    rules: count,
    destinations: count * 5,
    parse_and_compile_cpu_ms: Math.round((compiled.user + compiled.system) / 1000),
    decisions,
    decisions_per_s: Math.round(perSecond),
    us_per_decision: 1e6 / perSecond,
    tunnelled_share: tunnelled / decisions,
    errors: tunnelled === 0 ? 1 : 0,
  };
}

console.log(JSON.stringify(measure(Number(process.argv[2] ?? '2'))));
