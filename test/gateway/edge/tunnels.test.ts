// Places: limits, giving back exactly once, judging anew, draining.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Standing } from '../../../gateway/decision/rejudge.ts';
import { createRateLimiter, type RateLimiter } from '../../../gateway/edge/rate.ts';
import {
  type Asking,
  type Cut,
  createTunnels,
  type Limits,
  type Place,
  type Rates,
  type Tunnels,
} from '../../../gateway/edge/tunnels.ts';
import { addressOf, peer } from '../decision/policy-for.ts';

const standing: Standing = {
  peer,
  heard: { source: null, app: null },
  target: { host: 'a.test', address: null, port: 443 },
  addresses: [addressOf('192.0.2.1')],
  upstream: null,
  server: null,
  address: addressOf('192.0.2.1'),
  source: addressOf('198.51.100.10'),
};

const generous: Limits = {
  maxTunnels: 100,
  maxTunnelsPerDevice: 100,
  maxTunnelsPerUser: null,
  lifetimeMs: null,
};
const never = new AbortController().signal;
const limited = (maxTunnels: number, maxTunnelsPerDevice: number): Tunnels =>
  createTunnels(() => ({ ...generous, maxTunnels, maxTunnelsPerDevice }));

const asking = (deviceId: string, more: Partial<Asking> = {}): Asking => ({
  id: 'id',
  deviceId,
  user: null,
  lifetimeMs: null,
  ...more,
});

function take(tunnels: Tunnels, deviceId = 'one'): Place {
  const place = tunnels.take(asking(deviceId), 0);
  assert.ok(typeof place === 'object');
  return place;
}

/** An open tunnel, and how often it was cut. */
function open(tunnels: Tunnels, deviceId = 'one') {
  const place = take(tunnels, deviceId);
  const opened = { place, cuts: 0 };
  place.stand(standing);
  place.open(() => {
    opened.cuts += 1;
    place.release();
  });
  return opened;
}

test('a device has its limit, and its places come back (R08)', () => {
  const tunnels = limited(10, 2);
  const first = take(tunnels);
  take(tunnels);
  assert.equal(tunnels.take(asking('one'), 0), 'limits.device_tunnels');
  take(tunnels, 'two');
  first.release();
  take(tunnels);
  assert.equal(tunnels.take(asking('one'), 0), 'limits.device_tunnels');
});

test('all devices together have a limit (R08)', () => {
  const tunnels = limited(2, 2);
  take(tunnels, 'one');
  const second = take(tunnels, 'two');
  assert.equal(tunnels.take(asking('three'), 0), 'limits.tunnels');
  second.release();
  take(tunnels, 'three');
});

test('the devices of one user have a limit together, where one is set (R08)', () => {
  const tunnels = createTunnels(() => ({ ...generous, maxTunnelsPerUser: 2 }));
  const ask = (deviceId: string, user: string | null) =>
    tunnels.take(asking(deviceId, { user }), 0);
  const first = ask('one', 'ann');
  assert.ok(typeof first === 'object');
  assert.equal(typeof ask('two', 'ann'), 'object');
  assert.equal(ask('three', 'ann'), 'limits.user_tunnels');
  assert.equal(typeof ask('one', 'ben'), 'object', 'another user is not in the way');
  for (let i = 0; i < 5; i += 1) assert.equal(typeof ask('four', null), 'object');
  first.release();
  first.release();
  assert.equal(typeof ask('three', 'ann'), 'object');
  assert.equal(ask('three', 'ann'), 'limits.user_tunnels');
});

const unlimited: Rates = { device: null, user: null, all: null, bytes: null };

test('new tunnels have a rate for each device, each user, and in all', () => {
  const once = (): RateLimiter =>
    createRateLimiter({ perSecond: 1, burst: 1, maxKeys: 10, now: () => 0 });
  const both = { deviceId: 'one', user: 'ann' };
  const reached = (rates: Partial<Rates>, second: { deviceId: string; user: string | null }) => {
    const tunnels = createTunnels(() => generous, { ...unlimited, ...rates });
    assert.equal(typeof tunnels.take(asking('one', both), 0), 'object');
    const taken = tunnels.take(asking('', second), 0);
    return typeof taken === 'string' ? taken : 'taken';
  };
  assert.equal(reached({ device: once() }, { deviceId: 'one', user: 'ben' }), 'limits.device_rate');
  assert.equal(reached({ device: once() }, { deviceId: 'two', user: 'ann' }), 'taken');
  assert.equal(reached({ user: once() }, { deviceId: 'two', user: 'ann' }), 'limits.user_rate');
  assert.equal(reached({ user: once() }, { deviceId: 'one', user: null }), 'taken');
  assert.equal(reached({ all: once() }, { deviceId: 'two', user: null }), 'limits.rate');
  assert.equal(reached({}, both), 'taken');
});

test('a place given back twice is given back once', () => {
  const tunnels = limited(10, 10);
  const place = take(tunnels);
  take(tunnels);
  place.release();
  place.release();
  assert.equal(tunnels.count(), 1);
});

test('those that would be refused now are cut, the others are not touched (P03)', () => {
  const tunnels = limited(10, 10);
  const mine = open(tunnels, 'one');
  const other = open(tunnels, 'two');
  assert.equal(
    tunnels.rejudge('one', () => 'posture.non_compliant'),
    1,
  );
  assert.deepEqual([mine.cuts, other.cuts], [1, 0]);
  assert.equal(mine.place.cutBy(), 'posture.non_compliant');
  assert.equal(
    tunnels.rejudge(null, () => null),
    0,
  );
  assert.equal(tunnels.count(), 1);
  assert.equal(
    tunnels.rejudge('nobody', () => 'posture.non_compliant'),
    0,
  );
});

test('it is told once the last of those that were cut is gone', () => {
  const tunnels = limited(10, 10);
  const places = [take(tunnels), take(tunnels)];
  const told: number[] = [];
  for (const place of places) place.stand(standing);
  tunnels.rejudge(
    'one',
    () => 'posture.non_compliant',
    (count) => told.push(count),
  );
  places[0]?.release();
  assert.deepEqual(told, []);
  places[1]?.release();
  assert.deepEqual(told, [2]);
  assert.equal(tunnels.has('one'), false);
});

test('one that is still being made is cut too, as soon as it is known what it stands on (P03)', () => {
  const tunnels = limited(10, 10);
  const place = take(tunnels);
  assert.equal(
    tunnels.rejudge(null, () => 'rules.block'),
    0,
  );
  place.stand(standing);
  assert.equal(
    tunnels.rejudge(null, () => 'rules.block'),
    1,
  );
  assert.ok(place.signal.aborted);
  let cuts = 0;
  place.open(() => {
    cuts += 1;
  });
  assert.equal(cuts, 1);
  assert.equal(place.cutBy(), 'rules.block');
});

test('a tunnel is cut once, for the first reason', () => {
  const tunnels = limited(10, 10);
  const place = take(tunnels);
  let cuts = 0;
  place.stand(standing);
  place.open(() => {
    cuts += 1;
  });
  tunnels.rejudge(null, () => 'rules.block');
  tunnels.rejudge(null, () => 'posture.stale');
  assert.deepEqual([cuts, place.cutBy()], [1, 'rules.block']);
});

test('the list shows open tunnels by device, and shrinks (A11)', () => {
  const tunnels = limited(10, 10);
  take(tunnels, 'connecting');
  const { place } = open(tunnels, 'one');
  assert.deepEqual(
    tunnels.list().map(({ deviceId, standing: { target } }) => [deviceId, target.host]),
    [['one', 'a.test']],
  );
  place.release();
  assert.deepEqual(tunnels.list(), []);
  assert.deepEqual([...tunnels.devices()], ['connecting']);
});

test('draining admits nobody and waits for those that are open (R12)', async () => {
  const tunnels = limited(10, 10);
  const { place } = open(tunnels);
  const drained = tunnels.drain(never);
  assert.equal(tunnels.take(asking('two'), 0), 'limits.draining');
  place.release();
  await drained;
});

test('draining cuts what is left when the time is up, whoever waits (R12)', async () => {
  const tunnels = limited(10, 10);
  const left = open(tunnels);
  const limit = new AbortController();
  const drained = Promise.all([tunnels.drain(limit.signal), tunnels.drain(limit.signal)]);
  limit.abort();
  await drained;
  assert.equal(left.cuts, 1);
  assert.equal(left.place.cutBy(), 'limits.draining');
});

test('draining without time cuts at once (R12)', async () => {
  const tunnels = limited(10, 10);
  const left = open(tunnels);
  await tunnels.drain(AbortSignal.abort());
  assert.equal(left.cuts, 1);
});

test('draining with nothing open is over at once', async () => {
  await limited(1, 1).drain(never);
});

test('a tunnel is closed when its lifetime is over: its own, else that of all (R05)', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const tunnels = createTunnels(() => ({ ...generous, lifetimeMs: 5_000 }));
  const ends: (readonly [deviceId: string, why: Cut])[] = [];
  const begin = (deviceId: string, lifetimeMs: number | null): Place => {
    const place = tunnels.take(asking(deviceId, { lifetimeMs }), 0);
    assert.ok(typeof place === 'object');
    // Connecting does not count.
    t.mock.timers.tick(1_000);
    place.open((why) => {
      ends.push([deviceId, why]);
      place.release();
    });
    return place;
  };
  begin('own', 1_000);
  begin('all', null);
  const over = begin('over', null);
  over.release();
  assert.deepEqual(ends, [['own', 'lifetime']]);
  t.mock.timers.tick(3_999);
  assert.equal(ends.length, 1);
  t.mock.timers.tick(1);
  assert.deepEqual(ends.slice(1), [['all', 'lifetime']]);
  t.mock.timers.tick(60_000);
  assert.equal(ends.length, 2, 'what has ended already is not ended again');
});
