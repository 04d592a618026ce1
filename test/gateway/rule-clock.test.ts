// The timer to the next moment at which a rule begins or ends, with a clock of its own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRuleClock } from '../../gateway/rule-clock.ts';

/** A world whose time moves only when told to. */
function world(changes: readonly number[], start = 0) {
  const moments = [...changes];
  let now = start;
  let waiting: { at: number; late: () => void } | null = null;
  const changed: number[] = [];
  const asleep: number[] = [];
  const clock = createRuleClock({
    next: (after) => moments.find((ms) => ms > after) ?? null,
    changed: () => void changed.push(now),
    now: () => now,
    wait(ms, late) {
      const mine = { at: now + ms, late };
      asleep.push(ms);
      waiting = mine;
      return () => {
        if (waiting === mine) waiting = null;
      };
    },
  });
  return {
    clock,
    changed,
    asleep,
    moments,
    isWaiting: () => waiting !== null,
    /** Timers that come due on the way fire, each at its time. */
    goTo: (moment: number): void => {
      while (waiting !== null && waiting.at <= moment) {
        const { at, late } = waiting as { at: number; late: () => void };
        waiting = null;
        now = at;
        late();
      }
      now = moment;
    },
    /** The clock was set, or the machine asleep, when the timer comes due. */
    jumpTo: (moment: number): void => {
      now = moment;
      waiting?.late();
    },
  };
}

test('it tells of each change once, when it comes', () => {
  const { changed, goTo, isWaiting } = world([1_000, 2_500]);
  goTo(999);
  assert.deepEqual(changed, []);
  goTo(1_000);
  assert.deepEqual(changed, [1_000]);
  goTo(10_000);
  assert.deepEqual(changed, [1_000, 2_500]);
  assert.equal(isWaiting(), false);
});

test('a change far away is waited for in short steps, because the clock may be set meanwhile', () => {
  const { changed, asleep, goTo, jumpTo } = world([86_400_000]);
  goTo(150_000);
  assert.deepEqual(asleep, [60_000, 60_000, 60_000]);
  jumpTo(86_400_123);
  assert.deepEqual(changed, [86_400_123]);
});

test('rules without dates need no timer', () => {
  assert.equal(world([]).isWaiting(), false);
  assert.equal(world([1_000], 1_000).isWaiting(), false);
});

test('new rules bring their own moments, and the old timer is called off', () => {
  const one = world([1_000]);
  one.moments.splice(0, 1, 5_000);
  one.clock.restart();
  one.goTo(4_999);
  assert.deepEqual(one.changed, []);
  one.goTo(5_000);
  assert.deepEqual(one.changed, [5_000]);
});

test('closed, it tells nothing more', () => {
  const one = world([1_000]);
  one.clock.close();
  assert.equal(one.isWaiting(), false);
});
