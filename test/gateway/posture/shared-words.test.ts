// Words that reports have in common are kept once, and say what they said.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSharedWords } from '../../../gateway/posture/shared-words.ts';
import { healthyReport } from './fake-source.ts';

test('a report out of shared words says the same, and its lists are those of the first', () => {
  const share = createSharedWords();
  const first = share(healthyReport());
  const other = healthyReport({ deviceId: 'other', ownership: 'corporate' });
  const second = share(other);
  assert.deepEqual(second, other);
  assert.equal(second.groups, first.groups);
  assert.notEqual(share(healthyReport({ groups: ['staff', 'more'] })).groups, first.groups);
});
