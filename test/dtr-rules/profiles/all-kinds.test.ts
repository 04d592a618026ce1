// Owns the proof that every kind of profile agrees with the rules, or has declared where it does not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileRules } from '../../../dtr-rules/compile.ts';
import { type KindName, kinds, makeProfile } from '../../../dtr-rules/profiles/kinds.ts';
import { runPac } from '../../../gateway/edge/run-pac.ts';
import { ruleFile } from '../rule-file.ts';
import { facts } from './facts.ts';

const names = Object.keys(kinds) as KindName[];
const place = fc.constantFrom(
  'a.test',
  'b.a.test',
  '.a.test',
  '*.a.test',
  '*.test',
  '*b*',
  '*a.test',
  'localhost',
  '10.0.0.0/8',
  '10.0.0.5',
  '10.0.0.4-10.0.1.1',
  '127.0.0.0/8',
  '[fe80::/10]',
  '*',
);
const destination = fc
  .tuple(place, fc.constantFrom('', '', '', ':443', ':80,443', ':8000-9000'))
  .map(([text, ports]) => `${text}${ports}`);
const action = fc.constantFrom('TUNNEL', 'BYPASS', 'BLOCK');
const rules = fc.array(fc.tuple(action, fc.array(destination, { minLength: 1, maxLength: 3 })), {
  maxLength: 5,
});

test('every kind agrees with the rules at all their boundaries, but for what it declares', () => {
  const words = fc.record({
    rules,
    defaultAction: action,
    failMode: fc.constantFrom('closed', 'open'),
  });
  fc.assert(
    fc.property(words, ({ rules: list, defaultAction, failMode }) => {
      const numbered = list.map(([does, destinations], i) => ({
        id: `r${i}`,
        action: does,
        destinations,
      }));
      const file = ruleFile({ ruleSets: [{ name: 'set', defaultAction, rules: numbered }] });
      const [set] = compileRules(file).sets;
      assert.ok(set);
      const more = { failMode, agent: { host: '127.0.0.1', port: 3128 } } as const;
      // It would throw: each compilation checks itself.
      for (const kind of names)
        makeProfile(kind, set, { app: null, now: 0, facts: { ...facts, ...more }, runPac });
    }),
    { numRuns: 100 },
  );
});
