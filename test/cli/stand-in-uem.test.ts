// The stand-in UEM, and the way of a change from there to the gateway's cache.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { Agent } from 'undici';
import {
  createStandInUem,
  type StandInUem,
  type StandInUemOptions,
} from '../../cli/quickstart/stand-in-uem.ts';
import { createPostureCache } from '../../gateway/posture/cache.ts';
import { createDeviceChanges } from '../../gateway/posture/device-changes.ts';
import { createUemWebhook } from '../../gateway/posture/webhook.ts';
import { createWorkspaceOneSource } from '../../gateway/posture/workspace-one.ts';
import { parseWorkspaceOneEvent } from '../../gateway/posture/workspace-one-event.ts';
import { createAdmin } from '../../runtime/admin.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { createReadiness } from '../../runtime/readiness.ts';

const UDID = '6bf0a1b2c3d4e5f60718293a4b5c6d7e8f901234';
const BASIC = { username: 'zonegate', password: 'correct horse' };
const AUTHORIZATION = `Basic ${Buffer.from('zonegate:correct horse').toString('base64')}`;
const DEVICE = {
  udid: UDID,
  id: 616,
  serial: 'C02ABC',
  user: 'ann',
  name: 'ann iPhone',
  platform: 'Apple',
  group: 'staff',
  enrollment: 'Enrolled',
  compliance: 'Compliant',
  compromised: false,
  lastSeen: null,
};

async function setUp(t: TestContext, change: Partial<StandInUemOptions> = {}) {
  const uem = await createStandInUem({
    port: 0,
    devices: [DEVICE],
    oauth: { clientId: 'client', clientSecret: 'secret' },
    basic: BASIC,
    tenantCode: 'tenant',
    event: null,
    ...change,
  });
  const agent = new Agent();
  t.after(async () => {
    await agent.destroy();
    await uem.close();
  });
  async function ask(
    path: string,
    options: { method?: string; headers?: Record<string, string>; body?: string } = {},
  ) {
    const { method = 'GET', headers = {}, body = null } = options;
    const answer = await agent.request({ origin: uem.url, path, method, headers, body });
    return { status: answer.statusCode, value: await answer.body.json() };
  }
  return { uem, ask };
}

async function catchEvents(t: TestContext) {
  const events: unknown[] = [];
  const server = createServer((request, response) => {
    void json(request).then((event) => {
      events.push([request.headers.authorization, event]);
      response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { events, url: `http://127.0.0.1:${port}/` };
}

test('a device is found by UDID, serial and number', async (t) => {
  const { ask } = await setUp(t);
  const headers = { authorization: AUTHORIZATION, 'aw-tenant-code': 'tenant' };
  for (const query of [
    `searchby=Udid&id=${UDID}`,
    'searchby=Serialnumber&id=c02abc',
    'searchby=DeviceId&id=616',
  ]) {
    const { status, value } = await ask(`/api/mdm/devices?${query}`, { headers });
    assert.equal(status, 200);
    assert.deepEqual((value as { Id: unknown }).Id, { Value: 616 });
  }
  const { status, value } = await ask('/api/mdm/devices?searchby=Udid&id=none', { headers });
  assert.deepEqual([status, (value as { errorCode: unknown }).errorCode], [404, 5061]);
});

test('the API wants credentials and the tenant code', async (t) => {
  const { ask } = await setUp(t);
  const path = `/api/mdm/devices?searchby=Udid&id=${UDID}`;
  assert.equal((await ask(path)).status, 401);
  assert.equal((await ask(path, { headers: { authorization: AUTHORIZATION } })).status, 400);
  assert.equal((await ask(path, { headers: { authorization: 'Bearer guess' } })).status, 401);
});

test('a change is told with Basic credentials, and how that went is answered', async (t) => {
  const { events, url } = await catchEvents(t);
  const { ask } = await setUp(t, { event: { url, ...BASIC } });
  const path = `/stand-in/devices/${UDID.toUpperCase()}`;
  const body = '{"compliance":"NonCompliant"}';
  const { status, value } = await ask(path, { method: 'POST', body });
  const { device, event } = value as { device: unknown; event: Record<string, unknown> };
  assert.equal(status, 200);
  assert.deepEqual(device, { ...DEVICE, compliance: 'NonCompliant' });
  assert.deepEqual(
    [event['delivered'], event['status'], typeof event['tookMs']],
    [true, 200, 'number'],
  );
  const [authorization, sent] = events[0] as [string, Record<string, unknown>];
  assert.equal(authorization, AUTHORIZATION);
  assert.deepEqual(
    [sent['EventType'], sent['DeviceId'], sent['ComplianceStatus'], sent['Udid']],
    ['Compliance Status Changed', 616, 'NonCompliant', 'System.Byte[]'],
  );
});

test('nothing is told when nothing changed or nobody listens', async (t) => {
  const { uem } = await setUp(t);
  assert.equal(await uem.setDevice(UDID, { compliance: 'NonCompliant' }), null);
  const { events, url } = await catchEvents(t);
  uem.setEventRecipient({ url, ...BASIC });
  assert.equal(await uem.setDevice(UDID, { compliance: 'NonCompliant' }), null);
  assert.equal(events.length, 0);
});

test('an event that nobody takes is reported as not delivered', async (t) => {
  const { uem } = await setUp(t, { event: { url: 'http://127.0.0.1:1/', ...BASIC } });
  const delivery = await uem.setDevice(UDID, { compromised: true });
  assert.deepEqual([delivery?.delivered, delivery?.status], [false, null]);
});

test('the switches take only what they know, and not from web pages', async (t) => {
  const { ask } = await setUp(t);
  const post = (path: string, body: string, headers = {}) =>
    ask(`/stand-in/devices${path}`, { method: 'POST', body, headers });
  for (const body of [
    '',
    '[]',
    '{}',
    '{"udid":"x"}',
    '{"compromised":"true"}',
    '{"__proto__":{}}',
  ]) {
    assert.equal((await post(`/${UDID}`, body)).status, 422, body);
  }
  const good = '{"compliance":"NonCompliant"}';
  assert.equal((await post('/nobody', good)).status, 404);
  assert.equal((await post(`/${UDID}`, good, { origin: 'http://evil.example' })).status, 403);
  assert.equal((await post(`/${UDID}`, ' '.repeat(65_537))).status, 413);
  const { value } = await ask('/stand-in/devices');
  assert.deepEqual(value, [DEVICE]);
});

async function startGateway(t: TestContext, uem: StandInUem) {
  const log = createLog({ level: 'silent', secrets: [] });
  const source = createWorkspaceOneSource({
    name: 'quickstart',
    url: uem.url,
    auth: {
      kind: 'oauth',
      tokenUrl: `${uem.url}/connect/token`,
      clientId: 'client',
      clientSecret: 'secret',
    },
    tenantCode: 'tenant',
    ca: null,
    now: Date.now,
  });
  const cache = createPostureCache({
    source,
    maxAgeMs: 60_000,
    negativeMs: 60_000,
    maxDevices: 10,
    deadlineMs: 5_000,
    recheckMs: 60_000,
    now: Date.now,
  });
  const credentials = { kind: 'basic', ...BASIC } as const;
  const changes = createDeviceChanges({ cache, log });
  const webhook = createUemWebhook({
    path: '/workspace-one/quickstart',
    source: 'quickstart',
    credentials,
    parse: parseWorkspaceOneEvent,
    cache,
    changes,
    log,
    count: () => undefined,
    mayCome: () => true,
    now: Date.now,
  });
  const admin = await createAdmin({
    listen: { host: '127.0.0.1', port: 0 },
    tokens: [],
    metrics: createMetrics(),
    readiness: createReadiness(),
    log,
    routes: () => undefined,
    webhooks: (app) => webhook.mount(app),
  });
  t.after(async () => {
    changes.close();
    cache.close();
    await source.close();
    await admin.close();
  });
  const url = `http://127.0.0.1:${admin.port}/webhooks/workspace-one/quickstart`;
  uem.setEventRecipient({ url, ...BASIC });
  return cache;
}

test('a device that falls out of compliance is known in the gateway within a second (P10)', async (t) => {
  const { uem } = await setUp(t);
  const cache = await startGateway(t, uem);
  assert.equal((await cache.facts(UDID)).report?.compliance, 'compliant');
  const changed = new Promise<string | undefined>((resolve) => {
    cache.onChange((_, { report }) => resolve(report?.compliance));
  });
  const began = performance.now();
  const delivery = await uem.setDevice(UDID, { compliance: 'NonCompliant' });
  assert.equal(delivery?.delivered, true);
  assert.equal(await changed, 'non_compliant');
  assert.ok(performance.now() - began < 1_000);
});

test('a device that was wiped and enrolled again is followed both ways', async (t) => {
  const { uem } = await setUp(t);
  const cache = await startGateway(t, uem);
  await cache.facts(UDID);
  const heard: (string | undefined)[] = [];
  const next = () =>
    new Promise<void>((resolve) => {
      const stop = cache.onChange((_, { report }) => {
        heard.push(report?.enrollment);
        stop();
        resolve();
      });
    });
  for (const enrollment of ['Unenrolled', 'Enrolled']) {
    const changed = next();
    await uem.setDevice(UDID, { enrollment });
    await changed;
  }
  assert.deepEqual(heard, ['unenrolled', 'enrolled']);
});
