// Owns the proof that the boundaries of rule sets leave nothing out: whatever is asked, a sample is answered alike.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../../dtr-rules/address.ts';
import { samplesOf, targetsAround } from '../../dtr-rules/boundaries.ts';
import type { RuleSet, Target } from '../../dtr-rules/rule.ts';
import { given, ruleSet, target } from './rule-file.ts';

const label = fc.constantFrom('a', 'b', 'ab', 'ba', 'b1', 'x');
const host = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'));
const pattern = fc
  .array(fc.constantFrom('*', '*', 'a', 'b', 'ab', '.'), { minLength: 2, maxLength: 5 })
  .map((pieces) => pieces.join(''))
  .filter((text) => /[*]/.test(text) && !/^\.|\.\.|\.$|^\*+\.$|^\*+$/.test(text));
const block = fc.constantFrom(
  '10.0.0.0/29',
  '10.0.0.4-10.0.1.1',
  '0.0.0.0/0',
  '[::/0]',
  '[2001:db8::1]',
);
const place = fc.oneof(
  host,
  host.map((name) => `*.${name}`),
  host.map((name) => `.${name}`),
  pattern,
  block,
);
const destination = fc
  .tuple(place, fc.constantFrom('', '', ':443', ':80,443', ':100-500', ':65535'))
  .map(([text, ports]) => `${text}${ports}`);
const asked = fc.oneof(
  host,
  fc.constantFrom('10.0.0.3', '10.0.0.5', '10.0.1.2', '2001:db8::1', '2001:db8::2'),
);

/** Which of the destinations hold the target, each judged alone. */
function heldBy(
  alone: readonly { match: ReturnType<typeof ruleSet>['match'] }[],
  one: Target,
): string {
  return alone.map(({ match }) => (match(one, [], given).kind === 'rule' ? '1' : '0')).join('');
}

function targetOf(text: string, port: number): Target {
  const address = parseAddress(text);
  return { host: text, address, port };
}

test('whatever is asked, some sample is held by exactly the same destinations', () => {
  fc.assert(
    fc.property(
      fc.array(destination, { minLength: 1, maxLength: 5 }),
      fc.array(fc.tuple(asked, fc.integer({ min: 1, max: 65_535 })), {
        minLength: 1,
        maxLength: 5,
      }),
      (destinations, questions) => {
        const alone = destinations.map((one) => ruleSet(`TUNNEL ${one}`));
        const { names, addresses, ports, isComplete } = samplesOf(alone.map(({ set }) => set));
        assert.ok(isComplete);
        const hosts = [...names, ...addresses.map(({ text }) => text)];
        const kinds = new Set(
          hosts.flatMap((text) => ports.map((port) => heldBy(alone, targetOf(text, port)))),
        );
        for (const [text, port] of questions) {
          const held = heldBy(alone, targetOf(text, port));
          assert.ok(
            kinds.has(held),
            `${text}:${port} is held by ${held} of ${destinations.join(' ')}`,
          );
        }
      },
    ),
    { numRuns: 300 },
  );
});

const setOf = (...rules: readonly string[]): RuleSet => ruleSet(...rules).set;
const written = (sets: readonly RuleSet[]) =>
  [...targetsAround(sets)].map(({ host: name, port }) => `${name}:${port}`);

test('around a name lie its child, its parent, and the names grown on to it', () => {
  const { names } = samplesOf([setOf('TUNNEL acme.okta.com')]);
  for (const name of ['acme.okta.com', 'xx.acme.okta.com', 'okta.com', 'xxacme.okta.com'])
    assert.ok(names.includes(name.replaceAll('xx', 'x')), name);
});

test('names where patterns overlap are among the samples', () => {
  const { names } = samplesOf([setOf('TUNNEL api-*', 'BLOCK *.example.com', 'BYPASS *word*')]);
  const all = (name: string) =>
    name.startsWith('api-') && name.endsWith('.example.com') && name.includes('word');
  assert.ok(names.some(all));
});

test('patterns that use every letter, and destinations for everything, are sampled too', () => {
  const everyLetter = 'abcdefghijklmnopqrstuvwxyz';
  const sets = [setOf(`TUNNEL *${everyLetter}`, 'BLOCK *', 'BYPASS 192.0.2.1')];
  assert.ok(samplesOf(sets).names.includes(everyLetter));
  assert.ok(written(sets).includes('192.0.2.1:443'));
});

test('targets around a destination have its own ports and their neighbours', () => {
  const ports = written([setOf('TUNNEL a.test:443,8000-9000')])
    .filter((text) => text.startsWith('a.test:'))
    .map((text) => Number(text.slice(7)));
  assert.deepEqual(new Set(ports), new Set([1, 80, 442, 443, 444, 7999, 8000, 9000, 9001]));
});

test('both ends of a block and their neighbours are samples, as far as there are addresses', () => {
  const { addresses } = samplesOf([setOf('TUNNEL 255.255.255.0/24', 'TUNNEL ::/127')]);
  assert.deepEqual(
    new Set(addresses.map(({ text }) => text)),
    new Set(['0.0.0.0', '255.255.254.255', '255.255.255.0', '255.255.255.255', '::', '::1', '::2']),
  );
});

test('no sample is a name that no device could ask for', () => {
  const { names } = samplesOf([setOf('TUNNEL *a.1*', `BLOCK ${'l'.repeat(63)}.test`, 'BYPASS *')]);
  for (const name of names) assert.equal(target(`${name}:443`).host, name);
});

test('many destinations with patterns are sampled without trying every combination, and it says so', () => {
  const rules = Array.from({ length: 500 }, (_, i) => `TUNNEL *word${i}*.example.com`);
  const { names, isComplete } = samplesOf([setOf(...rules)]);
  assert.equal(isComplete, false);
  assert.ok(names.includes('word499.example.com'));
  const stars = Array.from({ length: 12 }, (_, i) => `TUNNEL *a${i}*b${i}*c${i}*`);
  assert.equal(samplesOf([setOf(...stars)]).isComplete, false);
});
