// Posture in a worker: connections of a device whose report is fresh ask nobody, whatever the source.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Loaded } from '../../gateway/config/load.ts';
import type { PostureFacts } from '../../gateway/decision/posture.ts';
import { createWorkerPosture } from '../../gateway/worker-posture.ts';
import { createLog } from '../../runtime/log.ts';
import { healthyReport, UDID } from './posture/fake-source.ts';

const log = createLog({ level: 'fatal', secrets: [], stream: { write: () => undefined } });

function loadedWith(source: object, devices: readonly object[] | null = null): Loaded {
  const ages = { maxReportAge: 60_000, recheck: 60_000, timeout: 1000 };
  const posture = { source: { ...source, name: 'list' }, sources: null, ...ages, maxDevices: 10 };
  const inventories = new Map(devices === null ? [] : [['list', devices]]);
  return { config: { posture }, inventories } as unknown as Loaded;
}

function worker(t: { mock: typeof import('node:test').mock }, source: object, devices?: object[]) {
  t.mock.timers.enable({ apis: ['Date'], now: 1_000_000 });
  const asked: string[] = [];
  const primary: { facts: PostureFacts } = { facts: { report: null, known: true } };
  const posture = createWorkerPosture({
    loaded: loadedWith(source, devices ?? null),
    log,
    ask(deviceId) {
      asked.push(deviceId);
      return Promise.resolve(primary.facts);
    },
    askMany: (deviceIds) => Promise.resolve(deviceIds.map((id) => [id, primary.facts])),
    deadlineMs: 1000,
  });
  return { asked, primary, posture };
}

const uem = { kind: 'workspace-one' };
const fetched = (ageMs: number): PostureFacts => ({
  report: healthyReport({ fetchedAt: Date.now() - ageMs }),
  known: true,
});

test('any number of connections ask the primary once while the report is fresh', async (t) => {
  const { asked, primary, posture } = worker(t, uem);
  primary.facts = fetched(0);
  for (let i = 0; i < 100; i += 1) {
    await posture.cache.facts(UDID);
    t.mock.timers.tick(500);
  }
  assert.equal(asked.length, 1);
});

test('a report has the age here that it has in the primary', async (t) => {
  const { asked, primary, posture } = worker(t, uem);
  primary.facts = fetched(47_000);
  await posture.cache.facts(UDID);
  t.mock.timers.tick(6999);
  await posture.cache.facts(UDID);
  assert.equal(asked.length, 1);
  t.mock.timers.tick(1);
  await posture.cache.facts(UDID);
  assert.equal(asked.length, 2);
});

test('what the primary has learnt is asked for at once, of devices that came here only', async (t) => {
  const { asked, primary, posture } = worker(t, uem);
  primary.facts = fetched(0);
  await posture.cache.facts(UDID);
  const heard = Promise.withResolvers<PostureFacts>();
  posture.cache.onChange((_, facts) => heard.resolve(facts));
  primary.facts = { report: healthyReport({ compliance: 'non_compliant' }), known: true };
  posture.changed('never-came-here');
  posture.changed(UDID);
  assert.equal((await heard.promise).report?.compliance, 'non_compliant');
  assert.deepEqual(asked, [UDID, UDID]);
});

test('an inventory is read here: the primary is never asked, and a reload counts at once', async (t) => {
  const device = {
    udid: UDID,
    serial: null,
    user: null,
    platform: null,
    groups: [],
    enrolled: true,
    compliant: true,
    compromised: false,
    lastSeen: null,
  };
  const inventory = { kind: 'inventory' };
  const { asked, posture } = worker(t, inventory, [device]);
  assert.equal((await posture.cache.facts(UDID)).report?.compliance, 'compliant');
  posture.update(loadedWith(inventory, [{ ...device, compliant: false }]));
  assert.equal((await posture.cache.facts(UDID)).report?.compliance, 'non_compliant');
  assert.deepEqual(asked, []);
});
