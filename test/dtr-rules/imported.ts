// What tests of imports share: inputs of Workspace ONE, and what has become of them.

import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { compileRules } from '../../dtr-rules/compile.ts';
import { expectationsOf } from '../../dtr-rules/import/expectations.ts';
import type { Imported, ImportRead } from '../../dtr-rules/import/imported.ts';
import { writeRuleFile } from '../../dtr-rules/import/write.ts';
import { runRuleTests } from '../../dtr-rules/run-tests.ts';
import { ruleFile } from './rule-file.ts';

export const now = Date.UTC(2026, 10, 22);

export function imported(read: ImportRead): Imported {
  assert.ok(read.ok, read.ok ? '' : read.message);
  return read.value;
}

/** The written file, read again; its tests hold. */
export function written(value: Imported) {
  const expected = expectationsOf(value, now);
  assert.ok(expected.ok, JSON.stringify(expected));
  const text = writeRuleFile(value, expected.tests, 'a test');
  const file = ruleFile(parse(text));
  assert.deepEqual(runRuleTests(file, compileRules(file), now), []);
  return { text, file };
}

/** `id ACTION destinations`, of all sets. */
export function rulesOf({ sets }: Imported): readonly string[] {
  return sets.flatMap(({ rules }) =>
    rules.map(({ id, action, upstream, destinations }) =>
      [id, action, ...(upstream === null ? [] : [upstream]), destinations.join()].join(' '),
    ),
  );
}

export const lossesOf = ({ losses }: Imported) =>
  losses.map(({ place, what }) => `${place}: ${what}`);

export function published(rules: readonly object[], more: object = {}) {
  return {
    meta: { name: 'Staff' },
    device_traffic_rule_set: {
      tunnel_mode: 'PERAPP_TUNNEL',
      default_action: 'BYPASS',
      payload: [{ platform: 'APPLE', rules }],
      ...more,
    },
  };
}

export const rule = (type: string, more: object = {}, action: object = {}) => ({
  action: { type, ...action },
  destinations: ['a.example.com'],
  ...more,
});
