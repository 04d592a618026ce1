// Places: limits, giving back exactly once, judging anew, draining.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Standing } from '../../../gateway/decision/rejudge.ts';
import { createTunnels, type Place, type Tunnels } from '../../../gateway/edge/tunnels.ts';
import { addressOf, peer } from '../decision/policy-for.ts';

const standing: Standing = {
  peer,
  target: { host: 'a.test', address: null, port: 443 },
  addresses: [addressOf('192.0.2.1')],
  upstream: null,
  address: addressOf('192.0.2.1'),
  source: addressOf('198.51.100.10'),
};

const never = new AbortController().signal;
const limited = (maxTunnels: number, maxTunnelsPerDevice: number): Tunnels =>
  createTunnels(() => ({ maxTunnels, maxTunnelsPerDevice }));

function take(tunnels: Tunnels, deviceId = 'one'): Place {
  const place = tunnels.take('id', deviceId, 0);
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
  assert.equal(tunnels.take('id', 'one', 0), 'limits.device_tunnels');
  take(tunnels, 'two');
  first.release();
  take(tunnels);
  assert.equal(tunnels.take('id', 'one', 0), 'limits.device_tunnels');
});

test('all devices together have a limit (R08)', () => {
  const tunnels = limited(2, 2);
  take(tunnels, 'one');
  const second = take(tunnels, 'two');
  assert.equal(tunnels.take('id', 'three', 0), 'limits.tunnels');
  second.release();
  take(tunnels, 'three');
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
  assert.equal(tunnels.take('id', 'two', 0), 'limits.draining');
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
