// The Workspace ONE source against a server on loopback that speaks its API, well and badly.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { StandInFault } from '../../../cli/quickstart/stand-in-faults.ts';
import { createStandInUem, type StandInUem } from '../../../cli/quickstart/stand-in-uem.ts';
import { SourceError } from '../../../gateway/posture/source.ts';
import {
  createWorkspaceOneSource,
  type WorkspaceOneOptions,
  type WorkspaceOneSource,
} from '../../../gateway/posture/workspace-one.ts';

const UDID = '6bf0a1b2c3d4e5f60718293a4b5c6d7e8f901234';
const NOW = Date.UTC(2026, 0, 31);
const BASIC = { username: 'zonegate', password: 'correct horse' };
const OAUTH = { clientId: 'client', clientSecret: 'battery staple' };
const DEVICE = {
  udid: UDID.toUpperCase(),
  id: 616,
  serial: 'C02ABC',
  user: 'ann',
  name: 'ann iPhone',
  platform: 'Apple',
  group: 'staff',
  enrollment: 'Enrolled',
  compliance: 'Compliant',
  compromised: false,
  lastSeen: NOW - 1_877,
};

interface SetUp {
  readonly uem: StandInUem;
  readonly source: WorkspaceOneSource;
  readonly fetch: () => ReturnType<WorkspaceOneSource['fetch']>;
}

async function setUp(t: TestContext, change: Partial<WorkspaceOneOptions> = {}): Promise<SetUp> {
  const uem = await createStandInUem({
    port: 0,
    devices: [DEVICE],
    oauth: OAUTH,
    basic: BASIC,
    tenantCode: 'tenant',
    event: null,
  });
  const source = createSource({ url: uem.url, ...change });
  t.after(async () => {
    await source.close();
    await uem.close();
  });
  return { uem, source, fetch: () => source.fetch(UDID, new AbortController().signal) };
}

function createSource(change: Partial<WorkspaceOneOptions>): WorkspaceOneSource {
  return createWorkspaceOneSource({
    name: 'ws1',
    url: '',
    auth: { kind: 'basic', ...BASIC },
    tenantCode: 'tenant',
    ca: null,
    now: () => NOW,
    ...change,
  });
}

function isFailure(kind: SourceError['kind'], message: RegExp, retryAfterMs: number | null = null) {
  return (error: unknown) => {
    assert.ok(error instanceof SourceError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, message);
    assert.equal(error.retryAfterMs, retryAfterMs);
    return true;
  };
}

function oauth(uem: StandInUem): WorkspaceOneOptions['auth'] {
  return { kind: 'oauth', tokenUrl: `${uem.url}/connect/token`, ...OAUTH };
}

test('a device becomes a report: zone-less dates are UTC, names are ours', async (t) => {
  const { fetch } = await setUp(t);
  assert.deepEqual(await fetch(), {
    source: 'ws1',
    id: '616',
    deviceId: UDID,
    serial: 'C02ABC',
    user: 'ann',
    platform: 'ios',
    groups: ['staff'],
    tags: [],
    ownership: 'corporate',
    osVersion: '26.1.0',
    model: 'iPhone',
    enrollment: 'enrolled',
    compliance: 'compliant',
    compromised: 'no',
    lastSeen: NOW - 1_877,
    fetchedAt: NOW,
  });
});

test('a device the UEM does not have is null', async (t) => {
  const { source } = await setUp(t);
  assert.equal(await source.fetch('0123456789', new AbortController().signal), null);
});

test('an identity full of tricks stays one value of the query (T09)', async (t) => {
  const { uem, source } = await setUp(t);
  const trick = '../x?a=b&id=c%00*#__proto__';
  assert.equal(await source.fetch(trick, new AbortController().signal), null);
  assert.deepEqual(uem.requests, ['GET /api/mdm/devices']);
});

test('wrong credentials are an outage, and are tried once', async (t) => {
  const { uem, fetch } = await setUp(t, { auth: { kind: 'basic', username: 'x', password: 'y' } });
  await assert.rejects(fetch(), isFailure('outage', /status 401/));
  assert.equal(uem.requests.length, 1);
});

test('a wrong tenant code is an outage, not a missing device', async (t) => {
  const { fetch } = await setUp(t, { tenantCode: null });
  await assert.rejects(fetch(), isFailure('outage', /status 400/));
});

test('one token serves many look-ups, also those that began together', async (t) => {
  const { uem } = await setUp(t);
  const source = createSource({ url: uem.url, auth: oauth(uem) });
  t.after(() => source.close());
  const signal = new AbortController().signal;
  await Promise.all(Array.from({ length: 5 }, () => source.fetch(UDID, signal)));
  await source.fetch(UDID, signal);
  assert.equal(uem.requests.filter((request) => request === 'POST /connect/token').length, 1);
});

test('a token is renewed early while the old one serves, and waited for only at its end', async (t) => {
  const { uem } = await setUp(t);
  let time = NOW;
  const source = createSource({ url: uem.url, auth: oauth(uem), now: () => time });
  t.after(() => source.close());
  const isToken = (request: string) => request === 'POST /connect/token';
  const tokens = () => uem.requests.filter(isToken).length;
  const look = () => source.fetch(UDID, new AbortController().signal);
  await look();
  time += 3_300_000 - 1;
  await look();
  assert.equal(tokens(), 1);
  time += 1;
  await Promise.all([look(), look(), look()]);
  while (tokens() < 2) await look();
  assert.equal(tokens(), 2);
  time += 3_600_000;
  await Promise.all([look(), look()]);
  assert.deepEqual([tokens(), uem.requests.slice(-3).findIndex(isToken)], [3, 0]);
});

test('a refused token is replaced once, and the look-up goes on', async (t) => {
  const { uem } = await setUp(t);
  const source = createSource({ url: uem.url, auth: oauth(uem) });
  t.after(() => source.close());
  const signal = new AbortController().signal;
  await source.fetch(UDID, signal);
  uem.revokeTokens();
  assert.equal((await source.fetch(UDID, signal))?.id, '616');
  uem.setFault('401');
  const before = uem.requests.length;
  await assert.rejects(source.fetch(UDID, signal), isFailure('outage', /status 401/));
  assert.deepEqual(uem.requests.slice(before), [
    'GET /api/mdm/devices',
    'POST /connect/token',
    'GET /api/mdm/devices',
  ]);
});

test('a client the token endpoint refuses is an outage, and its secret is not in the message (A05)', async (t) => {
  const { uem } = await setUp(t);
  const auth = { ...oauth(uem), clientSecret: 'wrong-secret' };
  const source = createSource({ url: uem.url, auth });
  t.after(() => source.close());
  await assert.rejects(source.fetch(UDID, new AbortController().signal), (error: Error) => {
    assert.doesNotMatch(error.message, /wrong-secret/);
    return isFailure('outage', /the token endpoint answered status 400/)(error);
  });
});

const BAD_TOKENS = [
  '',
  '{}',
  '{"access_token":"","expires_in":3600}',
  '{"access_token":"a\\r\\nx: y","expires_in":3600}',
  '{"access_token":"a"}',
  '{"access_token":"a","expires_in":"soon"}',
  '{"access_token":"a","expires_in":0}',
];

for (const body of BAD_TOKENS) {
  test(`a token answer \`${body}\` is an outage`, async (t) => {
    const { source, seen } = await answering(t, (_, response) => response.end(body), 'oauth');
    const report = source.fetch(UDID, new AbortController().signal);
    await assert.rejects(report, isFailure('outage', /the token endpoint/));
    assert.deepEqual(seen, ['POST /connect/token']);
  });
}

const OUTAGES: readonly (readonly [StandInFault, RegExp, number | null])[] = [
  ['down', /no usable answer/, null],
  ['401', /status 401/, null],
  ['429', /status 429/, 7_000],
  ['500', /status 500/, null],
  ['html', /something else than a JSON object/, null],
  ['empty', /something else than a JSON object/, null],
  ['cut', /no usable answer/, null],
  ['huge', /larger than 1048576 bytes/, null],
];

for (const [fault, message, retryAfterMs] of OUTAGES) {
  test(`a UEM that answers badly (${fault}) is an outage, and over when it recovers (P05)`, async (t) => {
    const { uem, fetch } = await setUp(t);
    uem.setFault(fault);
    await assert.rejects(fetch(), isFailure('outage', message, retryAfterMs));
    uem.setFault(null);
    assert.equal((await fetch())?.id, '616');
  });
}

for (const fault of ['hang', 'drip'] as const) {
  test(`a UEM that takes its time (${fault}) is given up at the deadline (P05)`, async (t) => {
    const { uem, fetch } = await setUp(t, { deadlineMs: 50 });
    uem.setFault(fault);
    const began = performance.now();
    await assert.rejects(fetch(), isFailure('outage', /no answer in time/));
    assert.ok(performance.now() - began < 2_000);
  });
}

test('a caller that gives up ends the look-up', async (t) => {
  const { uem, source } = await setUp(t);
  uem.setFault('hang');
  const caller = new AbortController();
  const report = source.fetch(UDID, caller.signal);
  caller.abort(new SourceError('outage', 'enough'));
  await assert.rejects(report, isFailure('outage', /enough/));
});

test('a redirect is not followed (P08)', async (t) => {
  const { uem, fetch } = await setUp(t);
  uem.setFault('redirect');
  await assert.rejects(fetch(), isFailure('outage', /redirect, which is not followed/));
  assert.deepEqual(uem.requests, ['GET /api/mdm/devices']);
});

const UNBELIEVABLE: readonly (readonly [StandInFault, RegExp])[] = [
  ['other-device', /another device/],
  ['string-booleans', /CompromisedStatus/],
  ['missing-fields', /EnrollmentStatus/],
  ['prototype', /Udid/],
];

for (const [fault, message] of UNBELIEVABLE) {
  test(`an answer that is not what it should be (${fault}) is not believed (P06, A07)`, async (t) => {
    const { uem, fetch } = await setUp(t);
    uem.setFault(fault);
    await assert.rejects(fetch(), isFailure('answer', message));
    assert.equal(Object.hasOwn(Object.prototype, 'ComplianceStatus'), false);
  });
}

async function answering(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  kind: 'basic' | 'oauth' = 'basic',
) {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const source = createSource({
    url: `${url}/`,
    ...(kind === 'oauth' && { auth: { kind, tokenUrl: `${url}/connect/token`, ...OAUTH } }),
  });
  t.after(async () => {
    await source.close();
    server.close();
    server.closeAllConnections();
  });
  return { source, seen };
}

const ANSWERS: readonly (readonly [number, string, 'none' | 'outage' | 'answer'])[] = [
  [404, '{"errorCode":5061}', 'none'],
  [404, '{"errorCode":404,"message":"not found"}', 'none'],
  [404, '', 'none'],
  [400, '{"errorCode":5002}', 'none'],
  [422, '{"errorCode":5061}', 'none'],
  [404, '<h1>Not Found</h1>', 'outage'],
  [400, '{"errorCode":5003}', 'outage'],
  [500, '{"errorCode":5061}', 'outage'],
  [403, '{"errorCode":8}', 'outage'],
  [200, 'null', 'outage'],
  [200, '[]', 'outage'],
  [200, '{}', 'answer'],
];

for (const [status, body, meaning] of ANSWERS) {
  test(`status ${status} with \`${body}\` means ${meaning}`, async (t) => {
    const { source } = await answering(t, (_, response) => response.writeHead(status).end(body));
    const report = source.fetch(UDID, new AbortController().signal);
    if (meaning === 'none') assert.equal(await report, null);
    else await assert.rejects(report, (error: SourceError) => error.kind === meaning);
  });
}

test('a Retry-After date is honoured like seconds', async (t) => {
  const date = new Date(NOW + 30_000).toUTCString();
  const { source } = await answering(t, (_, response) =>
    response.writeHead(503, { 'retry-after': date }).end(),
  );
  const report = source.fetch(UDID, new AbortController().signal);
  await assert.rejects(report, isFailure('outage', /503/, 30_000));
});

test('a connection closed while idle is not an outage', async (t) => {
  let calls = 0;
  const { source } = await answering(t, (request, response) => {
    calls += 1;
    // The second question meets a server that has just given the connection up.
    if (calls === 2) request.socket.destroy();
    else response.writeHead(404).end();
  });
  const signal = new AbortController().signal;
  assert.equal(await source.fetch(UDID, signal), null);
  assert.equal(await source.fetch(UDID, signal), null);
  assert.equal(calls, 3);
});

test('version 1 is asked for without naming a version, and only by GET', async (t) => {
  const fields: unknown[] = [];
  const { source, seen } = await answering(t, ({ headers }, response) => {
    fields.push(headers.accept, headers['aw-tenant-code']);
    response.writeHead(404).end();
  });
  await source.fetch(UDID, new AbortController().signal);
  assert.deepEqual(seen, [`GET /api/mdm/devices?searchby=Udid&id=${UDID}`]);
  assert.deepEqual(fields, ['application/json', 'tenant']);
});
