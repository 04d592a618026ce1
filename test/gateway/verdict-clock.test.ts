// The timers to the moments at which verdicts change by themselves, with a clock of the test's own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVerdictClock } from '../../gateway/verdict-clock.ts';

/** A world whose time moves only when told to; `due` is who was told, and when. */
function world() {
  let now = 1_000_000;
  let waiting: { readonly at: number; readonly late: () => void } | null = null;
  const due: [number, readonly string[]][] = [];
  const clock = createVerdictClock({
    due: (deviceIds) => due.push([now - 1_000_000, deviceIds]),
    now: () => now,
    wait(ms, late) {
      const mine = { at: now + ms, late };
      waiting = mine;
      return () => {
        if (waiting === mine) waiting = null;
      };
    },
  });
  const ring = (at: number): void => {
    const timer = waiting;
    waiting = null;
    now = at;
    timer?.late();
  };
  return {
    due,
    close: clock.close,
    isWaiting: () => waiting !== null,
    watch: (deviceId: string, inMs: number | null) =>
      clock.watch(deviceId, inMs === null ? null : 1_000_000 + inMs),
    /** Timers that come due on the way fire, each at its time. */
    goTo: (ms: number): void => {
      while (waiting !== null && waiting.at <= 1_000_000 + ms) ring(waiting.at);
      now = 1_000_000 + ms;
    },
    /** The clock was set while the timer slept. */
    jumpTo: (ms: number): void => ring(1_000_000 + ms),
  };
}

test('a device is told at its moment, at most a fifth of a second late, and once', () => {
  const { due, watch, goTo, isWaiting } = world();
  watch('one', 5_001);
  goTo(5_000);
  assert.deepEqual(due, []);
  goTo(60_000);
  assert.deepEqual(due, [[5_200, ['one']]]);
  assert.equal(isWaiting(), false);
});

test('devices of one moment are told together', () => {
  const { due, watch, goTo } = world();
  for (const name of ['one', 'two', 'three']) watch(name, 1_000);
  watch('four', 3_000);
  goTo(10_000);
  assert.deepEqual(due, [
    [1_000, ['one', 'two', 'three']],
    [3_000, ['four']],
  ]);
});

test('a later word replaces the earlier, both ways', () => {
  const { due, watch, goTo, isWaiting } = world();
  watch('sooner', 30_000);
  watch('sooner', 1_000);
  watch('later', 1_000);
  watch('later', 2_000);
  watch('never', 1_000);
  watch('never', null);
  goTo(40_000);
  assert.deepEqual(due, [
    [1_000, ['sooner']],
    [2_000, ['later']],
  ]);
  assert.equal(isWaiting(), false);
});

test('a moment that is over is told at once', () => {
  const { due, watch, goTo } = world();
  watch('one', -5_000);
  goTo(0);
  assert.deepEqual(due, [[0, ['one']]]);
});

test('a moment far away is looked at every minute, because the clock may be set meanwhile', () => {
  const { due, watch, goTo } = world();
  watch('one', 86_400_000);
  goTo(60_000);
  assert.deepEqual(due, [[60_000, ['one']]]);
});

test('a clock set forward brings all that is over; one set back brings everybody', () => {
  const forward = world();
  forward.watch('one', 10_000);
  forward.watch('two', 50_000);
  forward.jumpTo(3_600_000);
  assert.deepEqual(forward.due, [[3_600_000, ['one', 'two']]]);
  const back = world();
  back.watch('one', 10_000);
  back.jumpTo(-3_600_000);
  assert.deepEqual(back.due, [[-3_600_000, ['one']]]);
});

test('closed, it tells nothing more', () => {
  const { close, watch, isWaiting } = world();
  watch('one', 1_000);
  close();
  assert.equal(isWaiting(), false);
});
