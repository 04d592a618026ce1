// A worker's posture: what the primary says, including what it still knows while the source is silent.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PostureFacts, PostureReport } from '../../../gateway/decision/posture.ts';
import { createPostureCache } from '../../../gateway/posture/cache.ts';
import { createRelayedSource } from '../../../gateway/posture/relayed.ts';
import { createClock, healthyReport, UDID } from './fake-source.ts';

function forDevice(facts: PostureFacts, deviceId: string): PostureFacts {
  return { ...facts, report: facts.report && { ...facts.report, deviceId } };
}

function worker() {
  const now = createClock();
  const asked: string[] = [];
  const primary: { facts: PostureFacts | Error } = { facts: { report: null, known: true } };
  const source = createRelayedSource({
    name: 'uem',
    ask(deviceId) {
      asked.push(deviceId);
      const { facts } = primary;
      return facts instanceof Error ? Promise.reject(facts) : Promise.resolve(facts);
    },
    askMany(deviceIds) {
      asked.push(deviceIds.join(' '));
      const { facts } = primary;
      if (facts instanceof Error) return Promise.reject(facts);
      return Promise.resolve(deviceIds.map((deviceId) => [deviceId, forDevice(facts, deviceId)]));
    },
  });
  const cache = createPostureCache({
    source,
    maxAgeMs: 6000,
    negativeMs: 6000,
    maxDevices: 10,
    deadlineMs: 1000,
    recheckMs: 60_000,
    now,
  });
  return { now, asked, primary, source, cache };
}

const silent = (last: PostureReport | null): PostureFacts => ({ report: last, known: false });

test('what the primary knows is kept for a moment, and then asked again', async () => {
  const { now, asked, primary, cache } = worker();
  primary.facts = { report: healthyReport(), known: true };
  assert.deepEqual(await cache.facts(UDID), { report: healthyReport(), known: true });
  await cache.facts(UDID);
  assert.equal(asked.length, 1);
  now.advance(6000);
  await cache.facts(UDID);
  assert.equal(asked.length, 2);
});

test('in an outage a worker that has just begun gets the last report of the primary (P07)', async () => {
  const { primary, cache } = worker();
  primary.facts = silent(healthyReport());
  assert.deepEqual(await cache.facts(UDID), silent(healthyReport()));
});

test('a report the primary no longer believes is not believed here either (P06)', async () => {
  const { primary, cache } = worker();
  primary.facts = { report: healthyReport(), known: true };
  await cache.facts(UDID);
  primary.facts = silent(null);
  assert.deepEqual(await cache.refresh(UDID), silent(null));
});

test('however long the outage, the primary is asked about every device: it may know this one', async () => {
  const { primary, cache } = worker();
  primary.facts = silent(null);
  for (let i = 0; i < 10; i += 1) await cache.facts(`device-${i}`);
  primary.facts = silent(healthyReport());
  assert.deepEqual(await cache.facts(UDID), silent(healthyReport()));
  assert.equal(cache.health()[0]?.ok, false);
});

test('a primary that does not answer leaves what is known here, for the grace', async () => {
  const { primary, cache } = worker();
  primary.facts = { report: healthyReport(), known: true };
  await cache.facts(UDID);
  primary.facts = new Error('no answer');
  assert.deepEqual(await cache.refresh(UDID), silent(healthyReport()));
});

test('it says about which devices an answer is on its way', async () => {
  const { source, cache } = worker();
  const asked = cache.facts(UDID);
  assert.equal(source.isAsking(UDID), true);
  await asked;
  assert.equal(source.isAsking(UDID), false);
});

test('many devices are one question to the primary; those it cannot ask about are asked for alone', async () => {
  const { asked, primary, cache } = worker();
  primary.facts = { report: healthyReport(), known: true };
  const known = await cache.factsOf(['dev-1', 'dev-2']);
  assert.deepEqual(asked, ['dev-1 dev-2']);
  assert.equal(known.get('dev-2')?.report?.deviceId, 'dev-2');
  primary.facts = { report: null, known: false };
  await cache.factsOf(['dev-3', 'dev-4']);
  assert.deepEqual(asked.slice(1), ['dev-3 dev-4', 'dev-3', 'dev-4']);
});
