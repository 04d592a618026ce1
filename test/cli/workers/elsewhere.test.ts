// Limits that hold for all workers together: full for whoever comes to one worker, and nearly exact for all of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createElsewhere,
  type Usage,
  type WorkerElsewhere,
} from '../../../cli/workers/elsewhere.ts';
import { createUsageDesk } from '../../../cli/workers/usage.ts';
import { type ByteRates, createPaces, type Paces } from '../../../gateway/edge/pace.ts';
import { createRateLimiter } from '../../../gateway/edge/rate.ts';
import type { Asking } from '../../../gateway/edge/tunnels.ts';
import { createTunnels, type Place, type Tunnels } from '../../../gateway/edge/tunnels.ts';

const settled = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

/** Workers and their primary, in one process: a message arrives in the turn after it was sent. */
function createCrew(workers: number) {
  const messages = { told: 0 };
  const desk = createUsageDesk<WorkerElsewhere>((worker, usage) => worker.hear(copy(usage)));
  const copy = (usage: Usage): Usage => JSON.parse(JSON.stringify(usage)) as Usage;
  const join = (): WorkerElsewhere => {
    const one: WorkerElsewhere = createElsewhere({
      workers: () => workers,
      tell(usage) {
        messages.told += 1;
        desk.report(one, copy(usage));
      },
    });
    desk.join(one);
    return one;
  };
  return { all: Array.from({ length: workers }, join), join, desk, messages };
}

const limits = {
  maxTunnels: 1000,
  maxTunnelsPerDevice: 256,
  maxTunnelsPerUser: null,
  lifetimeMs: null,
};
let last = 0;
const asking = (deviceId: string): Asking => {
  last += 1;
  return { id: String(last), deviceId, user: null, lifetimeMs: null } as Asking;
};

function fill(tunnels: Tunnels, deviceId: string, times: number): Place[] {
  return Array.from({ length: times }, () => tunnels.take(asking(deviceId), 0)).filter(
    (taken) => typeof taken !== 'string',
  );
}

test('one device may fill its whole limit in one worker', () => {
  const { all } = createCrew(8);
  const [one] = all.map((elsewhere) => createTunnels(() => limits, undefined, elsewhere));
  assert.ok(one);
  assert.equal(fill(one, 'device', 300).length, 256);
});

test('what a device has in one worker it has not in another, and gets back when it ends', async () => {
  const { all } = createCrew(2);
  const [one, two] = all.map((elsewhere) => createTunnels(() => limits, undefined, elsewhere));
  assert.ok(one && two);
  const places = fill(one, 'device', 256);
  await settled();
  assert.equal(two.take(asking('device'), 0), 'limits.device_tunnels');
  assert.equal(fill(two, 'other', 1).length, 1);
  for (const place of places) place.release();
  await settled();
  assert.equal(fill(two, 'device', 300).length, 256);
});

test('all workers together never get further beyond a limit than an eighth of it', async () => {
  const workers = 4;
  const { all } = createCrew(workers);
  const crew = all.map((elsewhere) => createTunnels(() => limits, undefined, elsewhere));
  const count = () => crew.reduce((sum, tunnels) => sum + tunnels.count(), 0);
  for (let round = 0; round < 300; round += 1) {
    for (const tunnels of crew) fill(tunnels, 'device', 1);
    await settled();
  }
  assert.ok(count() >= 256 && count() <= 256 * 1.125, `${count()} of one device`);
  for (let device = 0; device < 300; device += 1) {
    for (const tunnels of crew) fill(tunnels, `device-${device}`, 1);
    await settled();
  }
  assert.ok(count() >= 1000 && count() <= 1125, `${count()} in all`);
});

test('nothing is told of devices with few tunnels', async () => {
  const { all, messages } = createCrew(2);
  const [one] = all.map((elsewhere) =>
    createTunnels(() => ({ ...limits, maxTunnels: 1_000_000 }), undefined, elsewhere),
  );
  assert.ok(one);
  for (let device = 0; device < 1000; device += 1) {
    for (const place of fill(one, `device-${device}`, 8)) place.release();
    await settled();
  }
  assert.equal(messages.told, 0);
});

test('a worker that has just begun knows of the others; what one that is gone had is free', async () => {
  const { all, join, desk } = createCrew(2);
  const [first] = all;
  assert.ok(first);
  fill(
    createTunnels(() => limits, undefined, first),
    'device',
    256,
  );
  await settled();
  // A worker is told before its gateway is there.
  const tunnels = createTunnels(() => limits, undefined, join());
  assert.equal(tunnels.take(asking('device'), 0), 'limits.device_tunnels');
  desk.leave(first);
  assert.equal(fill(tunnels, 'device', 300).length, 256);
});

test('a rate is full for a burst in one worker, and is used up for the others by it', async () => {
  const { all } = createCrew(2);
  let now = 0;
  const [one, two] = all.map((elsewhere) =>
    createRateLimiter({
      perSecond: 50,
      burst: 100,
      maxKeys: 10,
      now: () => now,
      shared: elsewhere.rate('handshakes', () => 100),
    }),
  );
  assert.ok(one && two);
  const take = (limiter: typeof one, times: number) =>
    Array.from({ length: times }, () => limiter.take('key')).filter(Boolean).length;
  assert.equal(take(one, 200), 100);
  await settled();
  const rest = take(two, 200);
  // Each may keep less than a sixteenth to itself.
  assert.ok(rest <= 6, `${rest} more`);
  now = 1000;
  await settled();
  assert.ok(take(one, 30) >= 30);
});

function pacesOf(all: readonly WorkerElsewhere[], limits: Partial<ByteRates>): Paces[] {
  return all.map((elsewhere) =>
    createPaces({
      bytesPerSecond: () => ({ device: null, user: null, all: null, ...limits }),
      // What has moved is never paid: all of it is waited for.
      now: () => 0,
      onSlowed: () => undefined,
      elsewhere,
    }),
  );
}

test('bytes of one device or user are counted in all workers together', async () => {
  for (const limits of [{ device: 1_000_000 }, { user: 1_000_000 }]) {
    const [one, two] = pacesOf(createCrew(2).all, limits);
    assert.equal(one?.of('device', 'ann')?.spend('sent', 1_000_000), 0, 'a whole burst in one');
    await settled();
    const waitMs = two?.of('device', 'ann')?.spend('sent', 500_000) ?? 0;
    assert.equal(waitMs, 500);
    assert.equal(two?.of('device', 'ann')?.spend('received', 500_000), 0);
    assert.equal(two?.of('other', 'bob')?.spend('sent', 1_000_000), 0);
  }
});

test('nobody is told of devices that move little', async () => {
  const { all, messages } = createCrew(2);
  const [one] = pacesOf(all, { device: 1_000_000 });
  for (let device = 0; device < 100; device += 1) {
    one?.of(`device-${device}`, null)?.spend('sent', 60_000);
  }
  await settled();
  assert.equal(messages.told, 0);
});

test('what devices in other workers move leaves less of what all may', async () => {
  const [one, two] = pacesOf(createCrew(2).all, { all: 1_000_000 });
  assert.equal(one?.of('device', null)?.spend('sent', 1_000_000), 0);
  await settled();
  // Whoever else waits may be in the other worker: half of what there is.
  assert.equal(two?.of('other', null)?.spend('sent', 100_000), 200);
});
