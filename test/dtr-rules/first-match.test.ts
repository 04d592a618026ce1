// Owns the proof that compiled rules say what reading them one by one says: micromatch and ipaddr.js are the measure.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import micromatch from 'micromatch';
import { parseAddress } from '../../dtr-rules/address.ts';
import { compileRules } from '../../dtr-rules/compile.ts';
import { inWords, ruleFile, target } from './rule-file.ts';

const host = fc
  .array(fc.constantFrom('a', 'b', 'ab', 'ba', 'a-b', '1a', 'example'), {
    minLength: 1,
    maxLength: 4,
  })
  .map((labels) => labels.join('.'));
const address = fc.constantFrom(
  '10.0.0.1',
  '10.0.0.7',
  '10.0.1.1',
  '192.0.2.1',
  '2001:db8::1',
  '2001:db8:1::1',
  '::ffff:10.0.0.7',
);
const block = fc.constantFrom(
  '10.0.0.1',
  '10.0.0.0/29',
  '10.0.0.4-10.0.1.1',
  '10.0.0.0/8',
  '0.0.0.0/0',
  '2001:db8::/32',
  '2001:db8::1',
  '::/0',
);
const pattern = fc
  .array(fc.constantFrom('*', '*', 'a', 'b', 'ab', '1a', 'a-b', 'example', '.', '.'), {
    minLength: 1,
    maxLength: 6,
  })
  .map((pieces) => pieces.join(''))
  .filter((text) => /[*]/.test(text) && !/^\.|\.\.|\.$|^\*+\.$/.test(text));
const ports = fc.constantFrom('', '', '', ':443', ':80,443', ':100-500');
const place = fc.oneof(
  host,
  host.map((name) => `.${name}`),
  host.map((name) => `*.${name}`),
  pattern,
  block,
  fc.constant('*'),
);
const destination = fc
  .tuple(place, ports)
  .map(([text, suffix]) => (text.includes(':') ? `[${text}]${suffix}` : `${text}${suffix}`));
/** Moments are small numbers, so that beginnings, ends and questions meet. */
const day = fc.integer({ min: 1, max: 5 });
const apps = fc.constantFrom(null, null, ['m'], ['b'], ['m', 'b']);
const rules = fc.array(
  fc.record({
    action: fc.constantFrom('TUNNEL', 'BLOCK'),
    destinations: fc.array(destination, { minLength: 1, maxLength: 4 }),
    apps,
    from: fc.option(day, { freq: 2 }),
    days: fc.option(day, { freq: 2 }),
    reportOnly: fc.constantFrom(false, false, true),
  }),
  { maxLength: 7 },
);
const question = fc.record({
  asked: fc.oneof({ weight: 4, arbitrary: host }, { weight: 1, arbitrary: address }),
  port: fc.constantFrom(443, 80, 200, 22),
  resolved: fc.option(fc.array(address, { maxLength: 3 })),
  app: fc.constantFrom(null, 'm', 'com.example.m', 'both', 'other'),
  now: day,
});

type Written = typeof rules extends fc.Arbitrary<(infer R)[]> ? R : never;
type Question = typeof question extends fc.Arbitrary<infer Q> ? Q : never;

/** First match, read aloud: every rule in turn, every destination in turn, nothing compiled. */
function readAloud(list: readonly Written[], question: Question): string {
  const reports: string[] = [];
  const say = (decided: string, bySomeName = false): string => {
    if (bySomeName && !ipaddr.isValid(question.asked)) reports.push(...heldBack(list, question));
    const named = [...new Set(reports)].join(' ');
    return named === '' ? decided : `${decided} (reports ${named})`;
  };
  for (const [index, rule] of list.entries()) {
    if (!isMeant(rule, question)) continue;
    const resolved = rule.reportOnly ? (question.resolved ?? []) : question.resolved;
    const match = readRule(rule, { ...question, resolved });
    if (match === null) continue;
    if (rule.reportOnly) reports.push(`r${index}`);
    else if (match === 'unresolved') return match;
    else return say(`r${index}${match}`, match === '');
  }
  return say('default BYPASS');
}

function isMeant(rule: Written, { app, now }: Question): boolean {
  const known = { m: ['m'], 'com.example.m': ['m'], both: ['m', 'b'], other: [] };
  const mine: readonly string[] = app === null ? [] : known[app];
  const from = rule.from ?? 0;
  const until = rule.days === null ? Infinity : from + rule.days;
  return from <= now && now < until && (rule.apps?.some((one) => mine.includes(one)) ?? true);
}

/** Null, `unresolved`, or the addresses it is bound to, if there are any. */
function readRule(rule: Written, { asked, port, resolved }: Question): string | null {
  const fitting = rule.destinations.map(splitPorts).filter((one) => portFits(one.ports, port));
  const ranges = fitting.filter((one) => isRange(one.place)).map((one) => one.place);
  const isLiteral = ipaddr.isValid(asked);
  const isNamed = fitting.some(
    (one) =>
      /^\*+$/.test(one.place) || (!isLiteral && !isRange(one.place) && nameFits(one.place, asked)),
  );
  if (isNamed || (isLiteral && ranges.some((range) => holds(range, asked)))) return '';
  if (isLiteral || ranges.length === 0) return null;
  if (resolved === null) return 'unresolved';
  const held = resolved.filter((one) => ranges.some((range) => holds(range, one)));
  return held.length > 0 ? ` ${held.join(' ')}` : null;
}

/** Report-only BLOCK rules whose addresses would not be dialled, wherever they stand: for each address the first. */
function heldBack(list: readonly Written[], question: Question): readonly string[] {
  return (question.resolved ?? []).flatMap((one) => {
    const index = list.findIndex(
      (rule) =>
        rule.reportOnly &&
        rule.action === 'BLOCK' &&
        isMeant(rule, question) &&
        rule.destinations
          .map(splitPorts)
          .some(
            ({ place, ports: wanted }) =>
              isRange(place) && portFits(wanted, question.port) && holds(place, one),
          ),
    );
    return index === -1 ? [] : [`r${index}`];
  });
}

function splitPorts(text: string) {
  const [, bracketed, plain = '', list] = /^(?:\[(.*)\]|([^:]*))(?::(.*))?$/.exec(text) ?? [];
  return { place: bracketed ?? plain, ports: list };
}

function portFits(list: string | undefined, port: number): boolean {
  if (list === undefined) return true;
  return list.split(',').some((piece) => {
    const [first, last = first] = piece.split('-').map(Number);
    return Number(first) <= port && port <= Number(last);
  });
}

function isRange(text: string): boolean {
  return /^[\d.]+$|^[\d.]+[/-]\d|:/.test(text);
}

function nameFits(text: string, name: string): boolean {
  if (text.startsWith('.')) return name === text.slice(1) || nameFits(`*${text}`, name);
  return micromatch.isMatch(name, text.replace(/\*+/g, '*'), {
    nonegate: true,
    nobrace: true,
    noextglob: true,
    nobracket: true,
  });
}

function holds(range: string, text: string): boolean {
  const one = ipaddr.process(text);
  const [from = '', to] = range.split('-');
  if (range.includes('/')) {
    const [network, bits] = ipaddr.parseCIDR(range);
    return network.kind() === one.kind() && one.match(network, bits);
  }
  const bytes = [from, one.toString(), to ?? from].map((each) =>
    Buffer.from(ipaddr.parse(each).toByteArray()),
  );
  const [first, middle, last] = bytes;
  assert.ok(first && middle && last);
  return first.length === middle.length && first.compare(middle) <= 0 && middle.compare(last) <= 0;
}

function compiled(list: readonly Written[]) {
  const moment = (at: number) => new Date(at).toISOString();
  const file = ruleFile({
    applications: {
      m: { bundleId: 'com.example.m', publisher: 'both' },
      b: { publisher: 'both' },
    },
    ruleSets: [
      {
        name: 'set',
        defaultAction: 'BYPASS',
        rules: list.map(({ action, destinations, apps: names, from, days, reportOnly }, index) => ({
          id: `r${index}`,
          action,
          destinations,
          reportOnly,
          ...(names && { apps: names }),
          ...(from && { validFrom: moment(from) }),
          ...(days && { validUntil: moment((from ?? 0) + days) }),
        })),
      },
    ],
  });
  const [set] = compileRules(file).sets;
  assert.ok(set);
  return set;
}

test('compiled rules decide as a plain first-match reading does', () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(rules, fc.array(question, { minLength: 1, maxLength: 4 }), (list, questions) => {
      const set = compiled(list);
      for (const one of questions) {
        const expected = readAloud(list, one);
        const written = one.asked.includes(':') ? `[${one.asked}]` : one.asked;
        const resolved = one.resolved?.flatMap((text) => parseAddress(text) ?? []) ?? null;
        const { app, now } = one;
        const match = set.match(target(`${written}:${one.port}`), resolved, { app, now });
        assert.equal(inWords(match), expected);
        count(seen, expected);
      }
    }),
    { numRuns: 5_000, seed: 20_261_123 },
  );
  // The cases must reach every kind of outcome often enough to mean something.
  for (const kind of ['rule', 'bound', 'unresolved', 'default', 'reports'])
    assert.ok((seen.get(kind) ?? 0) > 100, `${kind}: ${seen.get(kind)}`);
});

function count(seen: Map<string, number>, outcome: string): void {
  const [decided = '', reports] = outcome.split(' (reports');
  const rule = decided.includes(' ') ? 'bound' : 'rule';
  const kind = decided.startsWith('r') ? rule : (decided.split(' ')[0] ?? '');
  for (const one of reports === undefined ? [kind] : [kind, 'reports']) {
    seen.set(one, (seen.get(one) ?? 0) + 1);
  }
}
