// Another process that has stopped is noticed; one that is only late, or late because we are, is not.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { watchPulse } from '../../../cli/workers/pulse.ts';

function watch(t: TestContext, misses = 3) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const seen = { beats: 0, stopped: 0 };
  const pulse = watchPulse({
    everyMs: 100,
    misses: () => misses,
    beat() {
      seen.beats += 1;
    },
    onStopped() {
      seen.stopped += 1;
    },
  });
  t.after(() => pulse.close());
  return { pulse, seen, turn: () => t.mock.timers.tick(100) };
}

test('so many turns without a sign mean that it has stopped, which is said once', (t) => {
  const { seen, turn } = watch(t);
  for (let i = 0; i < 2; i += 1) turn();
  assert.equal(seen.stopped, 0);
  for (let i = 0; i < 5; i += 1) turn();
  assert.equal(seen.stopped, 1);
  assert.equal(seen.beats, 3);
});

test('one sign starts the count anew', (t) => {
  const { pulse, seen, turn } = watch(t);
  for (let i = 0; i < 10; i += 1) {
    turn();
    turn();
    pulse.heard();
  }
  assert.equal(seen.stopped, 0);
});

test('when it is closed nothing is counted any more', (t) => {
  const { pulse, seen, turn } = watch(t);
  pulse.close();
  for (let i = 0; i < 10; i += 1) turn();
  assert.deepEqual(seen, { beats: 1, stopped: 0 });
});
