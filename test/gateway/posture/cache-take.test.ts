// The cache and what other gateways have learnt: none of it makes this one believe a device longer than its source would.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { PostureReport } from '../../../gateway/decision/posture.ts';
import { createPostureCache } from '../../../gateway/posture/cache.ts';
import { SourceError } from '../../../gateway/posture/source.ts';
import { createClock, createFakeSource, healthyReport, settled, UDID } from './fake-source.ts';

function setUp(t: TestContext) {
  const now = createClock();
  const source = createFakeSource();
  const cache = createPostureCache({
    source,
    maxAgeMs: 60_000,
    negativeMs: 10_000,
    maxDevices: 100,
    deadlineMs: 60_000,
    recheckMs: 60_000,
    now,
  });
  t.after(() => cache.close());
  const answer = async (at: number, report: PostureReport | null | SourceError) => {
    const question = source.asked[at];
    assert.ok(question !== undefined, `there is no question ${at}`);
    if (report instanceof SourceError) question.fail(report);
    else question.answer(report);
    await settled();
  };
  const report = (change: Partial<PostureReport> = {}) =>
    healthyReport({ fetchedAt: now(), ...change });
  return { now, source, cache, answer, report };
}

test('an answer that overlaps with word of another gateway, and contradicts it, is not dropped but asked for again', async (t) => {
  const { now, source, cache, answer, report } = setUp(t);
  const first = cache.facts(UDID);
  await answer(0, report());
  await first;
  const event = cache.refresh(UDID);
  now.advance(10);
  cache.take(report({ lastSeen: 1 }));
  now.advance(10);
  await answer(1, report({ compliance: 'non_compliant' }));
  await event;
  assert.equal(source.asked.length, 3);
  await answer(2, report({ compliance: 'non_compliant' }));
  assert.equal(cache.peek(UDID)?.report?.compliance, 'non_compliant');
  assert.equal(source.asked.length, 3);
});

const nobody = new SourceError('answer', 'it contradicts itself');
for (const [what, instead] of [
  ['the source has no such device', null],
  ['its answer is not to be believed', nobody],
] as const) {
  test(`word of another gateway from before ${what} is a reason to ask, not a report`, async (t) => {
    const { now, source, cache, answer, report } = setUp(t);
    const first = cache.facts(UDID);
    await answer(0, report());
    await first;
    const older = report({ lastSeen: 1 });
    now.advance(10);
    const second = cache.refresh(UDID);
    await answer(1, instead);
    await second;
    cache.take(older);
    assert.equal(cache.peek(UDID)?.report, null);
    assert.equal(source.asked.length, 3);
    await answer(2, instead);
    assert.equal(cache.peek(UDID)?.report, null);
    // What was learnt later is taken.
    now.advance(10);
    cache.take(report());
    assert.equal(cache.peek(UDID)?.report?.compliance, 'compliant');
  });
}

test('a device that is contradicted in an outage gets no grace from an older word of another gateway', async (t) => {
  const { now, cache, answer, report } = setUp(t);
  const first = cache.facts(UDID);
  await answer(0, report());
  await first;
  const older = report({ lastSeen: 1 });
  now.advance(10);
  const second = cache.refresh(UDID);
  await answer(1, new SourceError('outage', 'down'));
  await second;
  cache.distrust(UDID);
  cache.take(older);
  assert.deepEqual(cache.peek(UDID), { report: null, known: false });
});

test('in an outage a device never met here is believed as another gateway knows it', async (t) => {
  const { now, cache, answer, report } = setUp(t);
  const met = report();
  now.advance(10);
  const asked = cache.facts(UDID);
  await answer(0, new SourceError('outage', 'down'));
  assert.equal((await asked).report, null);
  cache.take(met);
  assert.deepEqual(cache.peek(UDID), { report: met, known: true });
});
