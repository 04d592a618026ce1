// Token buckets: agreement with a plain reference, a clock that jumps, and keys without number.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clientKey, createRateLimiter, type Rate } from '../../../gateway/edge/rate.ts';

function limiterAt(rate: Rate, maxKeys = 100) {
  const clock = { now: 1_800_000_000_000 };
  const limiter = createRateLimiter({ ...rate, maxKeys, now: () => clock.now });
  const takeMany = (key: string, times: number) =>
    Array.from({ length: times }, () => limiter.take(key)).filter(Boolean).length;
  return { clock, limiter, takeMany };
}

/** What a token bucket is said to be: filled as time goes by, never over the brim, one out for each. */
function createReference({ perSecond, burst }: Rate) {
  const buckets = new Map<string, { thousandths: number; at: number }>();
  return (key: string, now: number) => {
    const { thousandths, at } = buckets.get(key) ?? { thousandths: burst * 1000, at: now };
    const filled = Math.min(burst * 1000, thousandths + (now - at) * perSecond);
    const ok = filled >= 1000;
    buckets.set(key, { thousandths: ok ? filled - 1000 : filled, at: now });
    return ok;
  };
}

test('it lets through exactly what a plain token bucket does', () => {
  const rate = fc.record({
    perSecond: fc.integer({ min: 1, max: 500 }),
    burst: fc.integer({ min: 1, max: 20 }),
  });
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    waitMs: fc.oneof(fc.constant(0), fc.nat(20), fc.nat(5_000)),
  });
  fc.assert(
    fc.property(rate, fc.array(step, { maxLength: 200 }), (chosen, steps) => {
      const { clock, limiter } = limiterAt(chosen);
      const reference = createReference(chosen);
      for (const { key, waitMs } of steps) {
        clock.now += waitMs;
        assert.equal(limiter.take(key), reference(key, clock.now));
      }
    }),
  );
});

test('a storm of 160 handshakes a second is cut down to the rate, after one burst', () => {
  const { clock, limiter } = limiterAt({ perSecond: 10, burst: 20 });
  let taken = 0;
  for (let i = 0; i < 160 * 10; i += 1) {
    if (limiter.take('certificate')) taken += 1;
    clock.now += 1000 / 160;
  }
  assert.ok(taken === 119 || taken === 120, `${taken}`);
});

test('less than once a second is a rate too', () => {
  const { clock, takeMany } = limiterAt({ perSecond: 0.5, burst: 1 });
  assert.equal(takeMany('a', 5), 1);
  clock.now += 1_999;
  assert.equal(takeMany('a', 5), 0);
  clock.now += 1;
  assert.equal(takeMany('a', 5), 1);
});

test('one key does not use up what is another’s', () => {
  const { takeMany } = limiterAt({ perSecond: 1, burst: 3 });
  assert.equal(takeMany('a', 10), 3);
  assert.equal(takeMany('b', 10), 3);
});

test('a clock that is set back gives nothing away and shuts nobody out for long', () => {
  const { clock, takeMany } = limiterAt({ perSecond: 10, burst: 5 });
  assert.equal(takeMany('a', 10), 5);
  clock.now -= 3_600_000;
  assert.equal(takeMany('a', 10), 0);
  clock.now += 100;
  assert.equal(takeMany('a', 10), 1);
});

test('of too many keys the one not seen for longest is forgotten, refused or not', () => {
  const { takeMany } = limiterAt({ perSecond: 1, burst: 1 }, 2);
  assert.equal(takeMany('storm', 5), 1);
  for (let i = 0; i < 1_000; i += 1) {
    assert.equal(takeMany(`once-${i}`, 1), 1);
    assert.equal(takeMany('storm', 1), 0);
  }
  assert.equal(takeMany('once-0', 1), 1);
});

test('a caller has one key, in whatever text and from whichever address of its /64', () => {
  const same: readonly (readonly string[])[] = [
    ['192.0.2.1', '::ffff:192.0.2.1', '::FFFF:c000:201'],
    ['2001:db8:1:2::1', '2001:DB8:1:2:ffff:ffff:ffff:ffff'],
    ['2001:db8:1:3::1'],
    ['192.0.2.2'],
    ['::1'],
    [''],
  ];
  const keys = same.map((texts) => new Set(texts.map(clientKey)));
  for (const key of keys) assert.equal(key.size, 1);
  assert.equal(new Set(keys.flatMap((key) => [...key])).size, same.length);
});
