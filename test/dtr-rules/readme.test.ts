// Keeps the example in the manual of the rule language true.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { compileRules } from '../../dtr-rules/compile.ts';
import { runRuleTests } from '../../dtr-rules/run-tests.ts';
import { given, ruleFile } from './rule-file.ts';

test('the example in the manual is read, and its tests hold', () => {
  const manual = readFileSync(new URL('../../dtr-rules/README.md', import.meta.url), 'utf8');
  const [, example = ''] = /```yaml\n(.*?)```/s.exec(manual) ?? [];
  const file = ruleFile(parse(example));
  assert.equal(file.tests.length, 2);
  assert.deepEqual(runRuleTests(file, compileRules(file), given.now), []);
});
