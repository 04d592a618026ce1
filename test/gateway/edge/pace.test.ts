// Bytes a second of a device: never more than its rate and a burst, over any time; and a valve that waits.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type ByteRates,
  createPaces,
  type Direction,
  type Pace,
  type PaceScope,
} from '../../../gateway/edge/pace.ts';
import { createValve, drained, isOpen, slow, stop } from '../../../gateway/edge/valve.ts';

const unlimited: ByteRates = { device: null, user: null, all: null };

function pacesAt(perSecond: number | null, others: Partial<ByteRates> = {}) {
  const clock = { now: 1_000_000 };
  const world = { perSecond };
  const slowed: (readonly [Direction, PaceScope, number])[] = [];
  const paces = createPaces({
    bytesPerSecond: () => ({ ...unlimited, ...others, device: world.perSecond }),
    now: () => clock.now,
    onSlowed: (...how) => void slowed.push(how),
  });
  return { clock, world, slowed, paces };
}

test('who waits as told never moves more than the rate and a burst, and no slower than that', () => {
  const chunks = fc.array(fc.integer({ min: 1, max: 65_536 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(fc.integer({ min: 20_000, max: 5_000_000 }), chunks, (perSecond, sizes) => {
      const { clock, paces } = pacesAt(perSecond);
      const pace = paces.of('one', null);
      const began = clock.now;
      let moved = 0;
      for (const size of sizes) {
        moved += size;
        const waitMs = pace?.spend('sent', size) ?? 0;
        // After the wait what has moved is just what may have by then.
        const mayMs = clock.now + waitMs - began;
        assert.ok(moved <= perSecond * (1 + mayMs / 1000) + 1e-3);
        if (waitMs > 0) assert.ok(moved >= perSecond * (1 + mayMs / 1000) - 1e-3);
        clock.now += waitMs;
      }
    }),
  );
});

test('tunnels of one device share, directions and devices do not', () => {
  const { clock, slowed, paces } = pacesAt(100_000);
  assert.equal(paces.of('one', null)?.spend('received', 150_000), 500);
  assert.equal(paces.of('one', null)?.spend('received', 50_000), 1000);
  assert.equal(paces.of('one', null)?.spend('sent', 100_000), 0);
  assert.equal(paces.of('two', null)?.spend('received', 100_000), 0);
  assert.deepEqual(slowed, [
    ['received', 'device', 500],
    ['received', 'device', 1000],
  ]);
  clock.now += 2000;
  assert.equal(
    paces.of('one', null)?.spend('received', 100_000),
    0,
    'a quiet time is a whole burst again',
  );
});

test('without a limit there is nothing to ask, and one that is lifted holds nobody', () => {
  const { world, paces } = pacesAt(null);
  assert.equal(paces.of('one', null), null);
  world.perSecond = 1000;
  const pace = paces.of('one', null);
  assert.equal(pace?.spend('sent', 3000), 2000);
  world.perSecond = null;
  assert.equal(pace?.spend('sent', 3_000_000), 0);
});

test('devices of one user share, and what has no user is not limited by it', () => {
  const { slowed, paces } = pacesAt(null, { user: 100_000 });
  assert.equal(paces.of('one', null), null);
  assert.equal(paces.of('one', 'ann')?.spend('sent', 100_000), 0);
  assert.equal(paces.of('two', 'ann')?.spend('sent', 50_000), 500);
  assert.equal(paces.of('two', 'ann')?.spend('received', 100_000), 0);
  assert.equal(paces.of('three', 'bob')?.spend('sent', 100_000), 0);
  assert.deepEqual(slowed, [['sent', 'user', 500]]);
});

test('of a device, its user and all devices the slowest decides', () => {
  const { slowed, paces } = pacesAt(100_000, { user: 150_000, all: 400_000 });
  assert.equal(paces.of('one', 'ann')?.spend('sent', 200_000), 1000);
  assert.equal(paces.of('two', 'ann')?.spend('sent', 100_000), 1000);
  assert.equal(paces.of('three', 'bob')?.spend('sent', 100_000), 0);
  assert.equal(paces.of('four', 'cid')?.spend('sent', 200_000), 1000);
  assert.deepEqual(
    slowed.map(([, by]) => by),
    ['device', 'user', 'device'],
  );
});

/** Tunnels that move 64 KiB, wait as told, and go on; how many bytes each device has moved in the end. */
function run(
  { clock, paces }: ReturnType<typeof pacesAt>,
  { tunnels, ms }: { tunnels: Readonly<Record<string, number>>; ms: number },
  countFromMs = 0,
): ReadonlyMap<string, number> {
  const from = clock.now + countFromMs;
  const until = from + ms;
  const moved = new Map<string, number>();
  const waiting = Object.entries(tunnels).flatMap(([device, count]) =>
    Array.from({ length: count }, () => ({ device, at: clock.now })),
  );
  while (true) {
    const next = waiting.reduce((one, other) => (other.at < one.at ? other : one));
    if (next.at >= until) return moved;
    clock.now = Math.max(clock.now, next.at);
    const pace = paces.of(next.device, null) as Pace;
    if (next.at >= from) moved.set(next.device, (moved.get(next.device) ?? 0) + 65_536);
    // A tunnel that need not wait takes a moment, too.
    next.at = clock.now + Math.max(1, pace.spend('sent', 65_536));
  }
}

test('of what all may move a device with one tunnel gets as much as one with hundreds', () => {
  const world = pacesAt(null, { all: 10_000_000 });
  const moved = run(world, { tunnels: { greedy: 256, one: 1, two: 1 }, ms: 60_000 }, 10_000);
  const total = [...moved.values()].reduce((sum, bytes) => sum + bytes, 0);
  assert.ok(Math.abs(total / (10_000_000 * 60) - 1) < 0.01, `${total} in all`);
  for (const device of ['greedy', 'one', 'two']) {
    const part = (moved.get(device) ?? 0) / (10_000_000 * 60);
    assert.ok(part > 0.3 && part < 0.37, `${device} has ${part}`);
  }
});

test('what a device leaves of its part the others get', () => {
  const world = pacesAt(1_000_000, { all: 1_500_000 });
  const moved = run(world, { tunnels: { slow: 1 }, ms: 10_000 });
  assert.ok((moved.get('slow') ?? 0) > 9_500_000, 'alone it gets all that a device may');
  const alone = pacesAt(null, { all: 10_000_000 });
  const bytes = run(alone, { tunnels: { busy: 10 }, ms: 60_000 }).get('busy') ?? 0;
  assert.ok(bytes > 10_000_000 * 59, `${bytes} of one that is alone`);
});

test('a valve flows again once nothing keeps it closed', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let flows = 0;
  const valve = createValve({
    resume() {
      flows += 1;
    },
  });
  drained(valve);
  assert.deepEqual([isOpen(valve), flows], [true, 0], 'an open one is left alone');
  valve.full = true;
  slow(valve, 100);
  drained(valve);
  assert.deepEqual([isOpen(valve), flows], [false, 0], 'still slowed');
  t.mock.timers.tick(99);
  slow(valve, 100);
  t.mock.timers.tick(99);
  assert.equal(isOpen(valve), false, 'the last word counts');
  valve.full = true;
  t.mock.timers.tick(1);
  assert.deepEqual([isOpen(valve), flows], [false, 0], 'still full');
  drained(valve);
  assert.deepEqual([isOpen(valve), flows], [true, 1]);
  slow(valve, 100);
  stop(valve);
  t.mock.timers.tick(1000);
  assert.equal(flows, 1, 'a tunnel that has ended is not woken');
});
