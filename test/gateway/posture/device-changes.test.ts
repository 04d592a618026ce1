// Devices that may have changed, from the one way in to the questions their source is asked.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { PostureReport } from '../../../gateway/decision/posture.ts';
import { createPostureCache } from '../../../gateway/posture/cache.ts';
import { createDeviceChanges } from '../../../gateway/posture/device-changes.ts';
import { SourceError } from '../../../gateway/posture/source.ts';
import { createLog } from '../../../runtime/log.ts';
import { createClock, createFakeSource, healthyReport, settled } from './fake-source.ts';

type Answer = PostureReport | Error | undefined;

const IDS = ['dev-1', 'dev-2', 'dev-3', 'dev-4', 'dev-5'];

/** All devices have been asked about; what their source is asked from then on is written down, one call a line. */
async function setUp(t: TestContext) {
  const calls: string[] = [];
  let answers = (deviceId: string): Answer => healthyReport({ deviceId });
  const single = createFakeSource((deviceId) => {
    calls.push(`alone ${deviceId}`);
    return healthyReport({ deviceId });
  });
  const bulk = {
    most: 3,
    fetch(deviceIds: readonly string[]) {
      calls.push(deviceIds.join(' '));
      const found = new Map<string, PostureReport>();
      for (const deviceId of deviceIds) {
        const answer = answers(deviceId);
        if (answer instanceof Error) return Promise.reject(answer);
        if (answer !== undefined) found.set(deviceId, answer);
      }
      return Promise.resolve(found);
    },
  };
  const cache = createPostureCache({
    source: { ...single, bulk },
    maxAgeMs: 60_000,
    negativeMs: 60_000,
    maxDevices: 1_000,
    deadlineMs: 5_000,
    recheckMs: 60_000,
    now: createClock(),
  });
  const log = createLog({ level: 'silent', secrets: [], stream: { write: () => undefined } });
  const changes = createDeviceChanges({ cache, log });
  t.after(() => {
    changes.close();
    cache.close();
  });
  await cache.factsOf(IDS);
  calls.length = 0;
  return {
    cache,
    changes,
    calls,
    answer: (next: typeof answers) => {
      answers = next;
    },
  };
}

test('a burst about many devices is few questions', async (t) => {
  const { cache, changes, calls, answer } = await setUp(t);
  answer((deviceId) => healthyReport({ deviceId, compliance: 'non_compliant' }));
  for (const deviceId of IDS) changes.announce([deviceId]);
  await settled();
  assert.deepEqual(calls, ['dev-1 dev-2 dev-3', 'dev-4 dev-5']);
  for (const deviceId of IDS) {
    assert.equal(cache.peek(deviceId)?.report?.compliance, 'non_compliant', deviceId);
  }
});

test('one device is asked about by itself', async (t) => {
  const { changes, calls } = await setUp(t);
  changes.announce(['dev-1']);
  await settled();
  assert.deepEqual(calls, ['alone dev-1']);
});

test('whom half an answer leaves out is asked about alone, at once', async (t) => {
  const { changes, calls, answer } = await setUp(t);
  answer((deviceId) => (deviceId === 'dev-2' ? undefined : healthyReport({ deviceId })));
  changes.announce(['dev-1', 'dev-2']);
  await settled();
  assert.deepEqual(calls, ['dev-1 dev-2', 'alone dev-2']);
});

test('a doubted device of a burst earns no grace while the source is silent', async (t) => {
  const { cache, changes, answer } = await setUp(t);
  answer(() => new SourceError('outage', 'down'));
  changes.announce(['dev-1', 'dev-2'], { doubted: true });
  changes.announce(['dev-3']);
  await settled();
  assert.deepEqual(cache.peek('dev-1'), { report: null, known: false });
  assert.deepEqual(cache.peek('dev-2'), { report: null, known: false });
  assert.equal(cache.peek('dev-3')?.report?.compliance, 'compliant');
});
