// What a log line says of its time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogTime } from '../../runtime/log-time.ts';

test('the time of a line is that of its moment, to the millisecond', () => {
  const second = Date.parse('2026-11-23T02:00:59Z');
  let at = 0;
  const time = createLogTime(() => at);
  for (const ms of [0, 7, 7, 42, 999, 1000, 1001, 3_600_000, 5]) {
    at = second + ms;
    assert.equal(time(), `,"time":"${new Date(at).toISOString()}"`);
  }
});
