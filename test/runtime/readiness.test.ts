// When a process may take traffic.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReadiness } from '../../runtime/readiness.ts';

test('a process that has reported nothing is not ready', () => {
  assert.deepEqual(createReadiness().report(), { ready: false, checks: {} });
});

test('every check must be ok, and the one that is not says why', () => {
  const readiness = createReadiness();
  readiness.set('rules', 'ok');
  readiness.set('posture', 'no report from the UEM yet');
  assert.deepEqual(readiness.report(), {
    ready: false,
    checks: { rules: 'ok', posture: 'no report from the UEM yet' },
  });
  readiness.set('posture', 'ok');
  assert.equal(readiness.report().ready, true);
});
