// The cache: what is asked when, what is believed how long, and who is told.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { PostureFacts, PostureReport } from '../../../gateway/decision/posture.ts';
import { createPostureCache, type PostureCacheOptions } from '../../../gateway/posture/cache.ts';
import { SourceError } from '../../../gateway/posture/source.ts';
import {
  type Clock,
  createClock,
  createFakeSource,
  type FakeSource,
  healthyReport,
  settled,
  UDID,
} from './fake-source.ts';

function setUp(
  t: TestContext,
  answers?: (deviceId: string) => PostureReport | null | Error,
  change: Partial<PostureCacheOptions> = {},
) {
  const now: Clock = createClock();
  const source: FakeSource = createFakeSource(answers);
  const cache = createPostureCache({
    source,
    maxAgeMs: 60_000,
    negativeMs: 10_000,
    maxDevices: 100,
    deadlineMs: 60_000,
    recheckMs: 60_000,
    now,
    random: () => 0,
    ...change,
  });
  t.after(() => cache.close());
  const told: PostureFacts[] = [];
  cache.onChange((_, facts) => told.push(facts));
  return { now, source, cache, told };
}

function nth<T>(list: readonly T[], at: number): T {
  const item = list[at];
  assert.ok(item !== undefined, `there is no item ${at}`);
  return item;
}

const outage = (retryAfterMs: number | null = null) =>
  new SourceError('outage', 'down', { retryAfterMs });

test('sixty connections of one device are one question (P09)', async (t) => {
  const { source, cache } = setUp(t);
  const all = Array.from({ length: 60 }, () => cache.facts(UDID));
  nth(source.asked, 0).answer(healthyReport());
  for (const facts of await Promise.all(all)) assert.equal(facts.report?.id, '616');
  assert.equal(source.asked.length, 1);
});

test('what was answered, or asked, before the source had news is asked again', async (t) => {
  const { source, cache } = setUp(t);
  const old = cache.facts(UDID);
  cache.outdate();
  const fresh = cache.facts(UDID);
  nth(source.asked, 0).answer(healthyReport());
  await old;
  await settled();
  nth(source.asked, 1).answer(healthyReport({ compliance: 'non_compliant' }));
  assert.equal((await fresh).report?.compliance, 'non_compliant');
  assert.equal((await cache.facts(UDID)).report?.compliance, 'non_compliant');
  assert.equal(source.asked.length, 2);
  cache.outdate();
  const again = cache.facts(UDID);
  nth(source.asked, 2).answer(healthyReport());
  assert.equal((await again).report?.compliance, 'compliant');
});

test('a report is used until its time is over, then asked for again', async (t) => {
  const { now, source, cache } = setUp(t, () => healthyReport());
  await cache.facts(UDID);
  now.advance(59_999);
  await cache.facts(UDID);
  assert.equal(source.asked.length, 1);
  now.advance(1);
  await cache.facts(UDID);
  assert.equal(source.asked.length, 2);
});

test('a clock set back does not keep a report fresh', async (t) => {
  const { now, source, cache } = setUp(t, () => healthyReport());
  await cache.facts(UDID);
  now.advance(-1);
  await cache.facts(UDID);
  assert.equal(source.asked.length, 2);
});

test('"no such device" is remembered too, for its own time (P09)', async (t) => {
  const { now, source, cache } = setUp(t, () => null);
  assert.deepEqual(await cache.facts(UDID), { report: null, known: true });
  now.advance(9_999);
  await cache.facts(UDID);
  assert.equal(source.asked.length, 1);
  now.advance(1);
  await cache.facts(UDID);
  assert.equal(source.asked.length, 2);
});

test('a silent source leaves the last report, marked as unconfirmed (P07)', async (t) => {
  let answer: PostureReport | Error = healthyReport();
  const { now, cache, told } = setUp(t, () => answer);
  await cache.facts(UDID);
  answer = outage();
  now.advance(60_000);
  const facts = await cache.facts(UDID);
  assert.deepEqual(facts, { report: healthyReport(), known: false });
  assert.deepEqual(cache.peek(UDID), facts);
  assert.equal(told.at(-1)?.known, false);
});

test('an answer that cannot be believed takes the last report away (P06)', async (t) => {
  let answer: PostureReport | Error = healthyReport();
  const { now, cache } = setUp(t, () => answer);
  await cache.facts(UDID);
  answer = new SourceError('answer', 'odd');
  now.advance(60_000);
  assert.deepEqual(await cache.facts(UDID), { report: null, known: false });
  assert.equal(cache.health()[0]?.ok, true);
  assert.equal(cache.health()[0]?.lastError, 'odd');
});

test('a report about another device is never believed, whatever the source (P06)', async (t) => {
  const { cache } = setUp(t, () => healthyReport({ deviceId: 'another' }));
  assert.deepEqual(await cache.facts(UDID), { report: null, known: false });
});

test('a source that never answers is given up at the deadline (P05)', async (t) => {
  const { source, cache } = setUp(t, undefined, { deadlineMs: 5 });
  assert.deepEqual(await cache.facts(UDID), { report: null, known: false });
  assert.equal(nth(source.asked, 0).signal.aborted, true);
  assert.match(cache.health()[0]?.lastError ?? '', /within 5 ms/);
});

test('a failure is remembered for a second, then the source is asked again and recovers (P05, P09)', async (t) => {
  let answer: PostureReport | Error = outage();
  const { now, source, cache } = setUp(t, () => answer);
  await cache.facts(UDID);
  now.advance(999);
  await cache.facts(UDID);
  assert.equal(source.asked.length, 1);
  answer = healthyReport();
  now.advance(1);
  assert.equal((await cache.facts(UDID)).known, true);
  assert.deepEqual(cache.health()[0], {
    source: 'uem',
    ok: true,
    lastSuccess: now(),
    lastError: null,
  });
});

test('a source that asked to be left alone is left alone, for every device (P09)', async (t) => {
  let answer: PostureReport | Error = outage(7_000);
  const { now, source, cache } = setUp(t, () => answer);
  await cache.facts(UDID);
  answer = healthyReport();
  now.advance(6_999);
  assert.equal((await cache.facts(UDID)).known, false);
  assert.equal((await cache.facts('another')).known, false);
  assert.equal((await cache.refresh(UDID)).known, false);
  assert.equal(source.asked.length, 1);
  now.advance(1);
  assert.equal((await cache.facts(UDID)).known, true);
});

test('a wish to be left alone for a year is honoured for five minutes', async (t) => {
  let answer: PostureReport | Error = outage(31_536_000_000);
  const { now, cache } = setUp(t, () => answer);
  await cache.facts(UDID);
  answer = healthyReport();
  now.advance(300_000);
  assert.equal((await cache.facts(UDID)).known, true);
});

test('a source that is down is asked by one device at a time, ever more rarely', async (t) => {
  const { now, source, cache } = setUp(t, () => outage());
  for (const device of ['dev-1', 'dev-2', 'dev-3', 'dev-4']) await cache.facts(device);
  assert.equal(source.asked.length, 3);
  now.advance(500);
  await Promise.all(['dev-5', 'dev-6', 'dev-7'].map((device) => cache.facts(device)));
  assert.equal(source.asked.length, 4);
  now.advance(999);
  await cache.facts('dev-8');
  assert.equal(source.asked.length, 4);
  now.advance(1);
  await cache.facts('dev-8');
  assert.equal(source.asked.length, 5);
});

test('many questions in flight that fail together count as one failure', async (t) => {
  const { source, cache } = setUp(t);
  const all = Array.from({ length: 60 }, (_, at) => cache.facts(`device-${at}`));
  for (const question of source.asked) question.fail(outage());
  await Promise.all(all);
  const next = cache.facts('device-60');
  assert.equal(source.asked.length, 61);
  nth(source.asked, 60).answer(healthyReport({ deviceId: 'device-60' }));
  assert.equal((await next).known, true);
});

test('an outage does not push good reports out of memory', async (t) => {
  let answer: PostureReport | Error = healthyReport();
  const { now, cache } = setUp(t, () => answer, { maxDevices: 4 });
  await cache.facts(UDID);
  answer = outage(60_000);
  await cache.facts('dev-0');
  for (let at = 1; at < 50; at += 1) await cache.facts(`dev-${at}`);
  now.advance(1);
  assert.equal(cache.peek(UDID)?.report?.id, '616');
});

test('memory is bounded, and what is forgotten can no longer be found', async (t) => {
  const { cache } = setUp(
    t,
    (deviceId) => healthyReport({ deviceId, id: `n-${deviceId}`, serial: `s-${deviceId}` }),
    { maxDevices: 2 },
  );
  for (const device of ['dev-1', 'dev-2', 'dev-3']) await cache.facts(device);
  assert.equal(cache.peek('dev-1'), undefined);
  assert.equal(
    cache.findDevice({ source: 'uem', uemId: 'n-dev-1', serial: 's-dev-1', deviceId: 'dev-1' }),
    null,
  );
  assert.equal(cache.findDevice({ source: 'uem', uemId: 'n-dev-3' }), 'dev-3');
});

test('a refresh asks although the report is fresh', async (t) => {
  const { source, cache } = setUp(t, () => healthyReport());
  await cache.facts(UDID);
  await cache.refresh(UDID);
  assert.equal(source.asked.length, 2);
});

test('a refresh during a question waits for one more, and shares it with all who want one', async (t) => {
  const { source, cache } = setUp(t);
  const first = cache.facts(UDID);
  const refreshes = [cache.refresh(UDID), cache.refresh(UDID), cache.refresh(UDID)];
  nth(source.asked, 0).answer(healthyReport());
  assert.equal((await first).report?.compliance, 'compliant');
  await settled();
  assert.equal(source.asked.length, 2);
  nth(source.asked, 1).answer(healthyReport({ compliance: 'non_compliant' }));
  for (const facts of await Promise.all(refreshes)) {
    assert.equal(facts.report?.compliance, 'non_compliant');
  }
  assert.equal(source.asked.length, 2);
});

test('listeners hear of what could alter a verdict, and of nothing else', async (t) => {
  let answer: PostureReport | null = healthyReport();
  const { cache, told } = setUp(t, () => answer);
  await cache.refresh(UDID);
  assert.equal(told.length, 1);
  answer = healthyReport({ fetchedAt: 5 });
  await cache.refresh(UDID);
  assert.equal(told.length, 1);
  answer = healthyReport({ groups: ['staff', 'admins'] });
  await cache.refresh(UDID);
  answer = null;
  await cache.refresh(UDID);
  assert.equal(told.length, 3);
});

test('whoever stopped listening hears no more', async (t) => {
  const { cache } = setUp(t, () => healthyReport());
  let heard = 0;
  const stop = cache.onChange(() => {
    heard += 1;
  });
  stop();
  await cache.facts(UDID);
  assert.equal(heard, 0);
});

test('a re-check asks for what is no longer fresh, and tells about every device', async (t) => {
  const { now, source, cache, told } = setUp(t, (deviceId) => healthyReport({ deviceId }));
  await cache.facts('dev-1');
  now.advance(60_000);
  await cache.facts('dev-2');
  told.length = 0;
  await cache.recheck(['dev-1', 'dev-2']);
  assert.deepEqual(
    source.asked.map(({ deviceId }) => deviceId),
    ['dev-1', 'dev-2', 'dev-1'],
  );
  assert.deepEqual(
    new Set(told.map(({ report }) => report?.deviceId)),
    new Set(['dev-1', 'dev-2']),
  );
});

test('live devices are re-checked again and again until the cache is closed', async (t) => {
  const { cache } = setUp(t, () => healthyReport(), { recheckMs: 1 });
  let rounds = 0;
  await new Promise<void>((resolve) => {
    cache.start(() => {
      rounds += 1;
      if (rounds === 3) resolve();
      return [UDID];
    });
  });
  cache.close();
  assert.equal(rounds, 3);
});

test('an event finds its device by number first, then serial, then UDID', async (t) => {
  const { cache } = setUp(t, (deviceId) =>
    healthyReport({ deviceId, id: deviceId === UDID ? '616' : '7', serial: `S-${deviceId}` }),
  );
  await cache.facts(UDID);
  await cache.facts('other');
  assert.equal(
    cache.findDevice({ source: 'uem', uemId: '616', serial: 'S-other', deviceId: 'other' }),
    UDID,
  );
  assert.equal(
    cache.findDevice({ source: 'uem', uemId: '99', serial: 's-OTHER', deviceId: UDID }),
    'other',
  );
  assert.equal(cache.findDevice({ uemId: null, serial: null, deviceId: UDID }), UDID);
  assert.equal(
    cache.findDevice({ source: 'uem', uemId: '99', serial: 'none', deviceId: 'never-seen' }),
    null,
  );
  assert.equal(
    cache.findDevice({ source: 'uem', uemId: '__proto__', serial: 'constructor' }),
    null,
  );
});

test('a device the UEM has forgotten is still found by the number it had', async (t) => {
  let answer: PostureReport | null = healthyReport();
  const { cache } = setUp(t, () => answer);
  await cache.facts(UDID);
  answer = null;
  await cache.refresh(UDID);
  assert.equal(cache.findDevice({ source: 'uem', uemId: '616' }), UDID);
});

test('closing ends what is in flight and asks nothing more', async (t) => {
  const { source, cache } = setUp(t);
  const facts = cache.facts(UDID);
  cache.close();
  assert.deepEqual(await facts, { report: null, known: false });
  await cache.facts('another');
  assert.equal(source.asked.length, 1);
});

test('a source that throws something of its own is an outage, not a crash', async (t) => {
  const { cache } = setUp(t, () => new TypeError('boom'));
  assert.deepEqual(await cache.facts(UDID), { report: null, known: false });
  assert.equal(cache.health()[0]?.ok, false);
});

test('what the store has is there after a start, asked again before it is believed', async (t) => {
  const remembered: string[] = [];
  const forgotten: string[] = [];
  let answer: PostureReport | null | Error = outage();
  const { source, cache } = setUp(t, () => answer, {
    store: {
      load: () => [healthyReport()],
      remember: (reports) => void remembered.push(...reports.map(({ compliance }) => compliance)),
      forget: (deviceIds) => void forgotten.push(...deviceIds),
    },
  });
  await cache.restore();
  assert.equal(cache.findDevice({ source: 'uem', uemId: '616' }), UDID);
  assert.deepEqual(await cache.facts(UDID), { report: healthyReport(), known: false });
  assert.equal(source.asked.length, 1);
  assert.deepEqual([remembered, forgotten], [[], []]);
  answer = healthyReport({ compliance: 'non_compliant' });
  await cache.refresh(UDID);
  answer = null;
  await cache.refresh(UDID);
  assert.deepEqual([remembered, forgotten], [['non_compliant'], [UDID]]);
});

test('silence about a device that has no place in memory takes nothing from the store', async (t) => {
  const forgotten: string[] = [];
  let answer: PostureReport | null | Error = outage();
  const { now, cache } = setUp(t, () => answer, {
    store: {
      load: () => [],
      remember: () => undefined,
      forget: (deviceIds) => void forgotten.push(...deviceIds),
    },
  });
  await cache.facts(UDID);
  assert.deepEqual(forgotten, []);
  answer = new SourceError('answer', 'about another device');
  now.advance(60_000);
  await cache.refresh(UDID);
  assert.deepEqual(forgotten, [UDID]);
});

test('what was learnt during the start is newer than what the store has', async (t) => {
  const { cache } = setUp(t, () => healthyReport({ compliance: 'non_compliant' }), {
    store: { load: () => [healthyReport()], remember: () => undefined, forget: () => undefined },
  });
  await cache.facts(UDID);
  await cache.restore();
  assert.equal(cache.peek(UDID)?.report?.compliance, 'non_compliant');
});

/** A source that is asked about many; what it is asked is written down, one call a line. */
function withBulk(answers: (deviceId: string) => PostureReport | null | undefined | Error) {
  const calls: string[] = [];
  const bulk = {
    most: 3,
    fetch(deviceIds: readonly string[]) {
      calls.push(deviceIds.join(' '));
      const found = new Map<string, PostureReport | null>();
      for (const deviceId of deviceIds) {
        const answer = answers(deviceId);
        if (answer instanceof Error) return Promise.reject(answer);
        if (answer !== undefined) found.set(deviceId, answer);
      }
      return Promise.resolve(found);
    },
  };
  const single = createFakeSource((deviceId) => {
    calls.push(`alone ${deviceId}`);
    return healthyReport({ deviceId, serial: 'alone' });
  });
  return { calls, source: { ...single, bulk } };
}

test('many devices are asked about in batches; half an answer makes nobody unknown', async (t) => {
  const { calls, source } = withBulk((deviceId) =>
    deviceId === 'dev-4' ? undefined : deviceId === 'dev-5' ? null : healthyReport({ deviceId }),
  );
  const { cache } = setUp(t, undefined, { source });
  const ids = ['dev-1', 'dev-2', 'dev-3', 'dev-4', 'dev-5'];
  const facts = await cache.factsOf(ids);
  assert.deepEqual(calls, ['dev-1 dev-2 dev-3', 'dev-4 dev-5', 'alone dev-4']);
  assert.deepEqual(facts.get('dev-5'), { report: null, known: true });
  assert.equal(facts.get('dev-4')?.report?.serial, 'alone');
  await cache.factsOf(ids);
  assert.equal(calls.length, 3);
});

test('an outage met by many leaves the last report of each', async (t) => {
  let answer: Error | null = null;
  const { source } = withBulk((deviceId) => answer ?? healthyReport({ deviceId }));
  const { cache, now } = setUp(t, undefined, { source });
  await cache.factsOf(['dev-1', 'dev-2']);
  answer = outage();
  now.advance(60_000);
  const facts = await cache.factsOf(['dev-1', 'dev-2']);
  assert.deepEqual(
    [...facts.values()].map(({ known, report }) => [known, report?.id]),
    [
      [false, '616'],
      [false, '616'],
    ],
  );
});

test('what was asked earlier and comes later does not replace what was learnt meanwhile', async (t) => {
  const held = Promise.withResolvers<ReadonlyMap<string, PostureReport>>();
  const single = createFakeSource((deviceId) =>
    healthyReport({ deviceId, compliance: 'non_compliant' }),
  );
  const source = { ...single, bulk: { most: 10, fetch: () => held.promise } };
  const { cache } = setUp(t, undefined, { source });
  const many = cache.factsOf(['dev-1', 'dev-2']);
  await cache.facts('dev-1');
  held.resolve(new Map([['dev-1', healthyReport({ deviceId: 'dev-1' })]]));
  assert.equal((await many).get('dev-1')?.report?.compliance, 'non_compliant');
});

test('live devices are asked about together before their reports are too old', async (t) => {
  const { calls, source } = withBulk((deviceId) => healthyReport({ deviceId }));
  const { cache, now } = setUp(t, undefined, { source, maxAgeMs: 4_000, recheckMs: 60_000 });
  await cache.factsOf(['dev-1', 'dev-2']);
  now.advance(3_900);
  const again = Promise.withResolvers<void>();
  source.bulk.fetch = (deviceIds) => {
    calls.push(deviceIds.join(' '));
    again.resolve();
    return Promise.resolve(new Map());
  };
  cache.start(() => ['dev-1', 'dev-2']);
  await again.promise;
  assert.equal(calls[1], 'dev-1 dev-2');
});

test('a sweep learns what has changed of devices that are remembered, and of no others', async (t) => {
  const pages = [
    { reports: [healthyReport({ compliance: 'non_compliant' })], deviceIds: ['dev-2'], mark: null },
    { reports: [healthyReport({ deviceId: 'stranger' })], deviceIds: ['other'], mark: 'one' },
  ];
  const swept = Promise.withResolvers<void>();
  const marks: (string | null)[] = [];
  const single = createFakeSource((deviceId) => healthyReport({ deviceId }));
  const source = {
    ...single,
    async *changes(since: string | null) {
      marks.push(since);
      yield* await Promise.resolve(pages);
      if (marks.length === 2) swept.resolve();
    },
  };
  const { cache, told } = setUp(t, undefined, { source });
  await cache.facts(UDID);
  await cache.facts('dev-2');
  cache.sweepEvery(1, (error) => swept.reject(error));
  await swept.promise;
  assert.deepEqual(marks, [null, 'one']);
  assert.equal(told.at(-1)?.report?.compliance, 'non_compliant');
  assert.deepEqual(single.asked.map(({ deviceId }) => deviceId).slice(0, 3), [
    UDID,
    'dev-2',
    'dev-2',
  ]);
  assert.equal(cache.peek('stranger'), undefined);
});

test('a sweep that fails is told, and the next begins where it did', async (t) => {
  const marks: (string | null)[] = [];
  const failed: unknown[] = [];
  const twice = Promise.withResolvers<void>();
  const source = {
    ...createFakeSource(() => null),
    async *changes(since: string | null) {
      marks.push(since);
      yield await Promise.resolve({ reports: [], deviceIds: [], mark: null });
      throw outage();
    },
  };
  const { cache, now } = setUp(t, undefined, { source });
  cache.sweepEvery(1, (error) => {
    failed.push(error);
    now.advance(60_000);
    if (failed.length === 2) twice.resolve();
  });
  await twice.promise;
  assert.deepEqual(marks.slice(0, 2), [null, null]);
});
