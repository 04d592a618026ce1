// Owns the proof that patterns kept under their rarest letters are found as if each were tried in turn.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import micromatch from 'micromatch';
import { given, inWords, ruleSet, target } from './rule-file.ts';

const piece = fc.constantFrom('a', 'b', 'ab', 'aab', 'abab', 'babba', 'a-b', 'x.a', 'b.', 'com');
const pattern = fc
  .array(piece, { minLength: 2, maxLength: 4 })
  .chain((pieces) =>
    fc
      .tuple(fc.boolean(), fc.boolean())
      .map(([before, after]) => `${before ? '*' : ''}${pieces.join('*')}${after ? '*' : ''}`),
  )
  .filter((text) => !text.endsWith('.'));
const host = fc
  .array(fc.constantFrom('a', 'b', 'ab', 'ba', '-', '.', 'x.a', 'com', 'babba'), {
    minLength: 1,
    maxLength: 12,
  })
  .map((pieces) => pieces.join(''))
  .filter((text) => !/^\.|\.\.|\.$/.test(text));

test('of hundreds of patterns the first that fits is found', () => {
  let hits = 0;
  fc.assert(
    fc.property(
      fc.array(pattern, { minLength: 100, maxLength: 200 }),
      fc.array(host, { minLength: 20, maxLength: 20 }),
      (patterns, hosts) => {
        const set = ruleSet(...patterns.map((text) => `TUNNEL ${text}`));
        for (const one of hosts) {
          const index = patterns.findIndex((text) => micromatch.isMatch(one, text));
          const expected = index === -1 ? 'default BYPASS' : `r${index}`;
          assert.equal(inWords(set.match(target(`${one}:443`), null, given)), expected, one);
          if (index > 0) hits++;
        }
      },
    ),
    { numRuns: 100, seed: 20_261_123 },
  );
  assert.ok(hits > 500, `${hits}`);
});
