// The queue of devices to be asked about again.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { PostureFacts } from '../../../gateway/decision/posture.ts';
import {
  createRefreshQueue,
  type RefreshQueueOptions,
} from '../../../gateway/posture/refresh-queue.ts';
import { settled } from './fake-source.ts';

const KNOWN = { report: null, known: true };
const SILENT = { report: null, known: false };

function forAll(
  deviceIds: readonly string[],
  facts: PostureFacts,
): ReadonlyMap<string, PostureFacts> {
  return new Map(deviceIds.map((deviceId) => [deviceId, facts]));
}

function setUp(t: TestContext, change: Partial<RefreshQueueOptions> = {}) {
  const asked: { readonly deviceIds: readonly string[]; answer(facts: PostureFacts): void }[] = [];
  const queue = createRefreshQueue({
    refresh(deviceIds) {
      const { promise, resolve } = Promise.withResolvers<ReadonlyMap<string, PostureFacts>>();
      asked.push({ deviceIds, answer: (facts) => resolve(forAll(deviceIds, facts)) });
      return promise;
    },
    maxTogether: 1,
    maxInFlight: 2,
    maxPending: 10,
    retryMs: 1,
    onGivenUp: () => assert.fail('given up'),
    ...change,
  });
  t.after(() => queue.close());
  return { queue, asked };
}

test('a few at a time, and all in the end', async (t) => {
  const { queue, asked } = setUp(t);
  for (const device of ['a', 'b', 'c', 'd']) assert.equal(queue.add(device), true);
  await settled();
  assert.equal(asked.length, 2);
  asked[0]?.answer(KNOWN);
  await settled();
  assert.equal(asked.length, 3);
  asked[1]?.answer(KNOWN);
  asked[2]?.answer(KNOWN);
  await settled();
  assert.deepEqual(
    asked.flatMap(({ deviceIds }) => deviceIds),
    ['a', 'b', 'c', 'd'],
  );
});

test('a device named many times waits once', async (t) => {
  const { queue, asked } = setUp(t, { maxInFlight: 1 });
  for (let at = 0; at < 1_000; at += 1) queue.add(at % 2 === 0 ? 'a' : 'b');
  await settled();
  queue.add('a');
  for (let at = 0; at < 4; at += 1) {
    asked[at]?.answer(KNOWN);
    await settled();
  }
  assert.deepEqual(
    asked.flatMap(({ deviceIds }) => deviceIds),
    ['a', 'b', 'a'],
  );
});

test('a device named while it is asked about is asked about again after that', async (t) => {
  const { queue, asked } = setUp(t);
  queue.add('a');
  await settled();
  queue.add('a');
  await settled();
  assert.equal(asked.length, 1);
  asked[0]?.answer(KNOWN);
  await settled();
  assert.equal(asked.length, 2);
});

test('more than may wait is said to the sender, not dropped', (t) => {
  const { queue } = setUp(t, { maxInFlight: 1, maxPending: 2 });
  const taken = ['a', 'b', 'c', 'b'].map((device) => queue.add(device));
  assert.deepEqual(taken, [true, true, false, true]);
});

test('a silent source is asked again until it answers', async (t) => {
  let calls = 0;
  await new Promise<void>((resolve) => {
    const { queue } = setUp(t, {
      refresh(deviceIds) {
        calls += 1;
        if (calls === 4) resolve();
        return Promise.resolve(forAll(deviceIds, calls === 4 ? KNOWN : SILENT));
      },
    });
    queue.add('a');
  });
  assert.equal(calls, 4);
});

test('a source silent for good is given up aloud', async (t) => {
  let calls = 0;
  const givenUp = await new Promise<string>((resolve) => {
    const { queue } = setUp(t, {
      retryMs: 0,
      refresh(deviceIds) {
        calls += 1;
        return Promise.resolve(forAll(deviceIds, SILENT));
      },
      onGivenUp: resolve,
    });
    queue.add('a');
  });
  assert.deepEqual([givenUp, calls], ['a', 8]);
});

test('what is named in one go is one question, up to the most that one takes', async (t) => {
  const { queue, asked } = setUp(t, { maxTogether: 3 });
  for (const device of ['a', 'b', 'c', 'd']) queue.add(device);
  await settled();
  assert.deepEqual(
    asked.map(({ deviceIds }) => deviceIds),
    [['a', 'b', 'c'], ['d']],
  );
});

test('what was asked about together in vain is asked about again alone', async (t) => {
  const { queue, asked } = setUp(t, { maxTogether: 3, retryMs: 0 });
  for (const device of ['a', 'b', 'c']) queue.add(device);
  await settled();
  asked[0]?.answer(SILENT);
  while (asked.length < 3) await settled();
  for (const question of asked.slice(1)) question.answer(KNOWN);
  while (asked.length < 4) await settled();
  assert.deepEqual(
    asked.map(({ deviceIds }) => deviceIds),
    [['a', 'b', 'c'], ['a'], ['b'], ['c']],
  );
});

test('whoever the answer about many leaves out is asked about again', async (t) => {
  const asked: (readonly string[])[] = [];
  const { queue } = setUp(t, {
    maxTogether: 2,
    retryMs: 0,
    refresh(deviceIds) {
      asked.push(deviceIds);
      return Promise.resolve(forAll(deviceIds.slice(0, 1), KNOWN));
    },
  });
  queue.add('a');
  queue.add('b');
  while (asked.length < 2) await settled();
  assert.deepEqual(asked, [['a', 'b'], ['b']]);
});
