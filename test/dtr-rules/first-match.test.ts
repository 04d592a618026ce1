// Owns the proof that compiled rules say what reading them one by one says: micromatch and ipaddr.js are the measure.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import micromatch from 'micromatch';
import { parseAddress } from '../../dtr-rules/address.ts';
import { inWords, ruleSet, target } from './rule-file.ts';

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
const rules = fc.array(
  fc.tuple(
    fc.constantFrom('TUNNEL', 'BLOCK'),
    fc.array(destination, { minLength: 1, maxLength: 4 }),
  ),
  { maxLength: 7 },
);
const question = fc.record({
  asked: fc.oneof({ weight: 4, arbitrary: host }, { weight: 1, arbitrary: address }),
  port: fc.constantFrom(443, 80, 200, 22),
  resolved: fc.option(fc.array(address, { maxLength: 3 })),
});

interface Question {
  readonly asked: string;
  readonly port: number;
  readonly resolved: readonly string[] | null;
}

/** First match, read aloud: every rule in turn, every destination in turn, nothing compiled. */
function readAloud(
  list: readonly (readonly [string, readonly string[]])[],
  question: Question,
): string {
  const { asked, port, resolved } = question;
  for (const [index, [, destinations]] of list.entries()) {
    const fitting = destinations.map(splitPorts).filter((one) => portFits(one.ports, port));
    const ranges = fitting.filter((one) => isRange(one.place)).map((one) => one.place);
    const isLiteral = ipaddr.isValid(asked);
    const isNamed = fitting.some(
      (one) =>
        /^\*+$/.test(one.place) ||
        (!isLiteral && !isRange(one.place) && nameFits(one.place, asked)),
    );
    if (isNamed || (isLiteral && ranges.some((range) => holds(range, asked)))) return `r${index}`;
    if (isLiteral || ranges.length === 0) continue;
    if (resolved === null) return 'unresolved';
    const held = resolved.filter((one) => ranges.some((range) => holds(range, one)));
    if (held.length > 0) return `r${index} ${held.join(' ')}`;
  }
  return 'default BYPASS';
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

test('compiled rules decide as a plain first-match reading does', () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(rules, fc.array(question, { minLength: 1, maxLength: 4 }), (list, questions) => {
      const set = ruleSet(
        ...list.map(([action, destinations]) => `${action} ${destinations.join('\n')}`),
      );
      for (const one of questions) {
        const expected = readAloud(list, one);
        const written = one.asked.includes(':') ? `[${one.asked}]` : one.asked;
        const resolved = one.resolved?.flatMap((text) => parseAddress(text) ?? []) ?? null;
        assert.equal(inWords(set.match(target(`${written}:${one.port}`), resolved)), expected);
        const kind =
          expected.split(' ').length > 1 && expected.startsWith('r')
            ? 'bound'
            : expected.replace(/\d/, '');
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
      }
    }),
    { numRuns: 3_000 },
  );
  // The cases must reach every kind of outcome often enough to mean something.
  for (const kind of ['r', 'bound', 'unresolved', 'default BYPASS'])
    assert.ok((seen.get(kind) ?? 0) > 100, kind);
});
