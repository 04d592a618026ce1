// The webhook as a UEM, and as somebody else, meets it on the admin port.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { Agent } from 'undici';
import type { PostureReport } from '../../../gateway/decision/posture.ts';
import { createPostureCache } from '../../../gateway/posture/cache.ts';
import { createDeviceChanges } from '../../../gateway/posture/device-changes.ts';
import { SourceError } from '../../../gateway/posture/source.ts';
import {
  createUemWebhook,
  OUTCOMES,
  type UemWebhookOptions,
} from '../../../gateway/posture/webhook.ts';
import { parseWorkspaceOneEvent } from '../../../gateway/posture/workspace-one-event.ts';
import { createAdmin } from '../../../runtime/admin.ts';
import { createLog } from '../../../runtime/log.ts';
import { createMetrics } from '../../../runtime/metrics.ts';
import { createReadiness } from '../../../runtime/readiness.ts';
import { createClock, createFakeSource, healthyReport, settled, UDID } from './fake-source.ts';

const BASIC = { kind: 'basic', username: 'uem', password: 'correct horse: é' } as const;
const EVENT = {
  EventId: 178,
  EventType: 'CompromisedStatusChanged',
  DeviceId: 616,
  EnrollmentUserName: 'ann',
  EventTime: '/Date(1391182403986)/',
  EnrollmentStatus: 'Enrolled',
  ComplianceStatus: 'NonCompliant',
  CompromisedStatus: '',
  Udid: 'System.Byte[]',
  SerialNumber: 'C02ABC',
  MACAddress: 'System.Byte[]',
};

function basic(text: string): string {
  return `Basic ${Buffer.from(text).toString('base64')}`;
}

const AUTHORIZATION = basic('uem:correct horse: é');

interface Sent {
  readonly method?: string;
  readonly authorization?: string | null;
  readonly type?: string;
  readonly body?: string | Buffer | Readable;
}

interface Queue {
  readonly maxInFlight?: number;
  readonly maxPending?: number;
  readonly retryMs?: number;
}

async function setUp(
  t: TestContext,
  options: Partial<UemWebhookOptions> & Queue = {},
  answers: (deviceId: string) => PostureReport | Error | undefined = () => healthyReport(),
) {
  const now = createClock();
  const source = createFakeSource(answers);
  const cache = createPostureCache({
    source,
    maxAgeMs: 60_000,
    negativeMs: 60_000,
    maxDevices: 1_000,
    deadlineMs: 5_000,
    recheckMs: 60_000,
    now,
  });
  const metrics = createMetrics();
  const lines: string[] = [];
  const log = createLog({
    level: 'debug',
    secrets: [],
    stream: { write: (line) => lines.push(line) },
  });
  const changes = createDeviceChanges({ ...options, cache, log });
  const count = metrics.counterBy('zonegate_uem_events_total', 'Events.', 'outcome', OUTCOMES);
  const webhook = createUemWebhook({
    path: '/workspace-one/uem',
    source: 'uem',
    credentials: BASIC,
    parse: parseWorkspaceOneEvent,
    cache,
    changes,
    log,
    count: (outcome) => count[outcome].inc(),
    mayCome: () => true,
    now,
    ...options,
  });
  const admin = await createAdmin({
    listen: { host: '127.0.0.1', port: 0 },
    tokens: [],
    metrics,
    readiness: createReadiness(),
    log,
    routes: () => undefined,
    webhooks: (app) => webhook.mount(app),
  });
  const agent = new Agent();
  t.after(async () => {
    changes.close();
    cache.close();
    await agent.destroy();
    await admin.close();
  });
  await cache.facts(UDID);
  async function send({ method = 'POST', authorization = AUTHORIZATION, type, body }: Sent) {
    const answer = await agent.request({
      origin: `http://127.0.0.1:${admin.port}`,
      path: '/webhooks/workspace-one/uem',
      method,
      headers: {
        'content-type': type ?? 'application/json',
        ...(authorization !== null && { authorization }),
      },
      body: body ?? JSON.stringify(EVENT),
    });
    const text = await answer.body.text();
    await settled();
    return { status: answer.statusCode, headers: answer.headers, text };
  }
  const sendEvent = (change: Record<string, unknown>) =>
    send({ body: JSON.stringify({ ...EVENT, ...change }) });
  const asked = () => source.asked.length - 1; // without the one of `cache.facts` above
  return { send, sendEvent, asked, source, cache, metrics, lines, now };
}

test('an authentic event makes the UEM be asked, and changes nothing by what it says (P10, P12)', async (t) => {
  const { send, asked, cache } = await setUp(t);
  const { status, text } = await send({});
  assert.deepEqual([status, JSON.parse(text)], [200, { result: 'refresh' }]);
  assert.equal(asked(), 1);
  assert.equal(cache.peek(UDID)?.report?.compliance, 'compliant');
});

const STRANGERS: readonly (readonly [string, string | null])[] = [
  ['no credentials', null],
  ['empty credentials', ''],
  ['an empty pair', basic(':')],
  ['a wrong password', basic('uem:wrong')],
  ['a wrong user', basic('uem2:correct horse: é')],
  ['the user alone', basic('uem')],
  ['a bearer token of the same text', 'Bearer uem:correct horse: é'],
  ['the pair without a scheme', AUTHORIZATION.slice('Basic '.length)],
  ['the pair and more', `${AUTHORIZATION}AA`],
  ['two schemes', `Basic ${AUTHORIZATION}`],
];

for (const [what, authorization] of STRANGERS) {
  test(`${what}: 401, and the UEM is not asked (P11, P13)`, async (t) => {
    const { send, asked } = await setUp(t);
    const bytes = authorization === null ? null : Buffer.from(authorization).toString('latin1');
    const { status, headers } = await send({ authorization: bytes });
    assert.equal(status, 401);
    assert.match(String(headers['www-authenticate']), /^Basic realm=/);
    assert.equal(asked(), 0);
  });
}

test('strangers learn nothing by other methods, types or bodies (P13)', async (t) => {
  const { send, asked } = await setUp(t);
  for (const method of ['GET', 'PUT', 'DELETE']) {
    assert.equal((await send({ method, authorization: null })).status, 401);
  }
  assert.equal((await send({ authorization: null, type: 'text/xml', body: '<a/>' })).status, 401);
  assert.equal((await send({ authorization: null, body: '{' })).status, 401);
  assert.equal(asked(), 0);
});

test('the scheme may be written in any case', async (t) => {
  const { send } = await setUp(t);
  assert.equal(
    (await send({ authorization: AUTHORIZATION.replace('Basic', 'bAsIc') })).status,
    200,
  );
});

test('a bearer token works in place of a pair', async (t) => {
  const { send } = await setUp(t, { credentials: { kind: 'bearer', token: 'correct-horse' } });
  assert.equal((await send({ authorization: 'Bearer correct-horse' })).status, 200);
  assert.equal((await send({ authorization: 'Bearer correct-horses' })).status, 401);
  assert.equal((await send({ authorization: 'Bearer ' })).status, 401);
});

test('empty credentials are no configuration', async (t) => {
  await assert.rejects(setUp(t, { credentials: { ...BASIC, password: '' } }), /must not be empty/);
  await assert.rejects(setUp(t, { credentials: { ...BASIC, username: '' } }), /must not be empty/);
  const credentials = { kind: 'bearer', token: '' } as const;
  await assert.rejects(setUp(t, { credentials }), /must not be empty/);
});

test('the console may test the connection with nothing, an empty object, or a GET', async (t) => {
  const { send, asked } = await setUp(t);
  assert.equal((await send({ body: '' })).status, 200);
  assert.equal((await send({ body: '{}' })).status, 200);
  assert.equal((await send({ body: '{"EventType":"Test"}' })).status, 200);
  assert.equal((await send({ method: 'GET', body: '' })).status, 200);
  assert.equal(asked(), 0);
});

test('XML is refused with the setting to change', async (t) => {
  const { send, asked } = await setUp(t);
  const { status, text } = await send({ type: 'application/xml', body: '<Eventlog/>' });
  assert.equal(status, 415);
  assert.match(text, /set the format of the event notification to JSON/);
  assert.equal(asked(), 0);
});

test('other methods are refused', async (t) => {
  const { send } = await setUp(t);
  for (const method of ['PUT', 'DELETE', 'PATCH']) {
    const { status, headers } = await send({ method });
    assert.equal(status, 405);
    assert.equal(headers['allow'], 'GET, HEAD, POST');
  }
});

test('more than 64 KiB is refused, declared or not (P13)', async (t) => {
  const { send, asked } = await setUp(t);
  const body = Buffer.alloc(65_537, 0x20);
  assert.equal((await send({ body })).status, 413);
  const undeclared = Readable.from([body]);
  assert.equal((await send({ body: undeclared })).status, 413);
  assert.equal(asked(), 0);
});

test('a smaller limit of its own holds too', async (t) => {
  const { send, asked } = await setUp(t, { maxBodyBytes: 100 });
  assert.equal((await send({})).status, 413);
  assert.equal((await send({ body: Readable.from([Buffer.alloc(101)]) })).status, 413);
  assert.equal(asked(), 0);
});

const MALFORMED = [
  '{',
  'null',
  '[]',
  '"text"',
  '616',
  `${'['.repeat(30_000)}${']'.repeat(30_000)}`,
  '{"DeviceId":616,"a":{"a":{"a":{"a":{"a":1}}}}}',
  '{"DeviceId":-1}',
  '{"DeviceId":1.5}',
  '{"DeviceId":"616 or 1=1"}',
  '{"DeviceId":{"Value":616}}',
  '{"DeviceId":616,"EventId":true}',
  '{"DeviceId":616,"EventType":178}',
  '{"DeviceId":616,"SerialNumber":["C02ABC"]}',
  `{"DeviceId":616,"Udid":"${'a'.repeat(300)}"}`,
  '{"DeviceId":616,"EventTime":1391182403986}',
];

for (const body of MALFORMED) {
  test(`${body.slice(0, 50)} is refused (P13)`, async (t) => {
    const { send, asked } = await setUp(t);
    assert.equal((await send({ body })).status, 400);
    assert.equal(asked(), 0);
  });
}

test('keys named like parts of every object have no effect (A07)', async (t) => {
  const { send, asked } = await setUp(t);
  const body = '{"__proto__":{"DeviceId":616},"constructor":{"DeviceId":616}}';
  assert.match((await send({ body })).text, /test/);
  assert.equal(asked(), 0);
  assert.equal(Object.hasOwn(Object.prototype, 'DeviceId'), false);
});

test('a device is found by number, by serial, or by a real UDID seen before (P13)', async (t) => {
  const { sendEvent, asked } = await setUp(t);
  const nobody = { DeviceId: 99, SerialNumber: '', Udid: '' };
  await sendEvent({ SerialNumber: '', EventTime: '1' });
  await sendEvent({ DeviceId: '616', SerialNumber: '', EventTime: '2' });
  await sendEvent({ ...nobody, SerialNumber: 'c02abc', EventTime: '3' });
  await sendEvent({ ...nobody, Udid: UDID.toUpperCase(), EventTime: '4' });
  await sendEvent({ DeviceId: 0, SerialNumber: null, Udid: UDID, EventTime: '5' });
  assert.equal(asked(), 5);
});

test('an event about a device never seen is ignored, politely', async (t) => {
  const { sendEvent, asked } = await setUp(t);
  const never = { DeviceId: 99, SerialNumber: 'NOBODY' };
  for (const Udid of ['', 'System.Byte[]', 'never-seen', '../../etc/passwd']) {
    const { status, text } = await sendEvent({ ...never, Udid, EventTime: `t${Udid}` });
    assert.deepEqual([status, JSON.parse(text)], [200, { result: 'unknown_device' }]);
  }
  assert.equal(asked(), 0);
});

test('the same event twice within five minutes is one, later it is another (P12)', async (t) => {
  const { send, sendEvent, asked, now } = await setUp(t);
  await send({});
  assert.match((await send({})).text, /repeated/);
  await sendEvent({ EventTime: '/Date(1391182403987)/' });
  assert.equal(asked(), 2);
  now.advance(300_000);
  await send({});
  assert.equal(asked(), 3);
});

test('events without a time are all taken', async (t) => {
  const { sendEvent, asked } = await setUp(t);
  await sendEvent({ EventTime: '' });
  await sendEvent({ EventTime: '' });
  assert.equal(asked(), 2);
});

test('every spelling of an event type, and no type at all, asks the UEM', async (t) => {
  const { sendEvent, asked, lines } = await setUp(t);
  const types = [
    [undefined, 'Compliance Status Changed', 'compliance'],
    [undefined, 'COMPLIANCESTATUSCHANGED', 'compliance'],
    [39, 'Break MDM Confirmed', 'unenrollment'],
    [178, '', 'compromise'],
    [undefined, 'MDM Enrollment Complete', 'enrollment'],
    [9999, 'Something New', 'other'],
  ];
  for (const [at, [EventId, EventType]] of types.entries()) {
    await sendEvent({ EventId, EventType, EventTime: `${at}` });
  }
  assert.equal(asked(), types.length);
  const kinds = lines.map((line) => JSON.parse(line)['zonegate.event']).filter(Boolean);
  assert.deepEqual(
    kinds,
    types.map(([, , kind]) => kind),
  );
});

test('a flood about one device is one question now and one after it (P13)', async (t) => {
  let calls = 0;
  const { sendEvent, source, cache } = await setUp(t, {}, () => {
    calls += 1;
    return calls === 1 ? healthyReport() : undefined;
  });
  const flood = Array.from({ length: 200 }, (_, at) => sendEvent({ EventTime: `${at}` }));
  for (const { status } of await Promise.all(flood)) assert.equal(status, 200);
  assert.equal(source.asked.length, 2);
  source.asked[1]?.answer(healthyReport());
  await settled();
  assert.equal(source.asked.length, 3);
  source.asked[2]?.answer(healthyReport({ compliance: 'non_compliant' }));
  await settled();
  assert.equal(cache.peek(UDID)?.report?.compliance, 'non_compliant');
  assert.equal(source.asked.length, 3);
});

test('a change announced while the UEM is silent is asked about until it answers', async (t) => {
  let calls = 0;
  const recovered = Promise.withResolvers<void>();
  const { send, cache } = await setUp(t, { retryMs: 1 }, () => {
    calls += 1;
    if (calls === 2) return new SourceError('outage', 'down');
    return calls === 1 ? healthyReport() : healthyReport({ compliance: 'non_compliant' });
  });
  cache.onChange((_, { known }) => known && recovered.resolve());
  await send({});
  await recovered.promise;
  assert.equal(cache.peek(UDID)?.report?.compliance, 'non_compliant');
});

test('a UEM silent for good is a warning that names the device', async (t) => {
  let calls = 0;
  const { send, lines } = await setUp(t, { retryMs: 0 }, () => {
    calls += 1;
    return calls === 1 ? healthyReport() : new SourceError('answer', 'odd');
  });
  await send({});
  while (calls < 9) await settled();
  await settled();
  const warning = JSON.parse(lines.at(-1) ?? '{}');
  assert.deepEqual([warning.level, warning['device.id']], ['warn', UDID]);
});

test('when too many devices wait, the sender is told, and may send the same event again', async (t) => {
  const answers = (deviceId: string) => healthyReport({ deviceId, id: `${deviceId.length}` });
  const { sendEvent, cache, source } = await setUp(t, { maxInFlight: 0, maxPending: 1 }, answers);
  await cache.facts('four');
  await cache.facts('fives');
  const asked = source.asked.length;
  const send = (DeviceId: number) => sendEvent({ DeviceId, SerialNumber: '' });
  assert.equal((await send(4)).status, 200);
  const { status, headers } = await send(5);
  assert.deepEqual([status, headers['retry-after']], [503, '30']);
  assert.equal((await send(5)).status, 503);
  assert.equal(source.asked.length, asked);
});

test('more events than may come in a second are told to wait, and nobody is asked (P13)', async (t) => {
  let left = 2;
  const mayCome = () => {
    left -= 1;
    return left >= 0;
  };
  const { sendEvent, asked } = await setUp(t, { mayCome });
  const statuses: unknown[] = [];
  for (let at = 0; at < 3; at += 1) {
    const { status, headers } = await sendEvent({ EventTime: `${at}` });
    statuses.push([status, headers['retry-after']]);
  }
  assert.deepEqual(statuses, [
    [200, undefined],
    [200, undefined],
    [429, '5'],
  ]);
  assert.equal(asked(), 2);
});

test('numbers are those of its own source: another one with the same number is another device', async (t) => {
  const { sendEvent, asked } = await setUp(t, { source: 'elsewhere' });
  const { text } = await sendEvent({ SerialNumber: '' });
  assert.deepEqual(JSON.parse(text), { result: 'unknown_device' });
  assert.equal(asked(), 0);
});

test('what became of events is counted, and no secret is in the log (A05)', async (t) => {
  const { send, metrics, lines } = await setUp(t);
  await send({});
  await send({});
  await send({ authorization: basic('uem:guess') });
  const text = await metrics.text();
  assert.match(text, /zonegate_uem_events_total\{outcome="refresh"\} 1/);
  assert.match(text, /zonegate_uem_events_total\{outcome="repeated"\} 1/);
  assert.match(text, /zonegate_uem_events_total\{outcome="refused"\} 1/);
  assert.doesNotMatch(lines.join(''), /correct horse|guess|Y29ycmVjdA/);
});
