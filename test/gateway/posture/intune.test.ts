// The Intune source against a server on loopback that speaks its part of Microsoft Graph, well and badly.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createIntuneSource, type IntuneOptions } from '../../../gateway/posture/intune.ts';
import type { ChangePage } from '../../../gateway/posture/source.ts';
import { json } from '../../support/answering.ts';
import {
  GRAPH,
  type GraphDevice,
  guid,
  managedDevice,
  type StandInGraph,
  standInGraph,
} from '../../support/stand-in-graph.ts';

const NOW = Date.UTC(2026, 0, 31);
const never = new AbortController().signal;
const ID = guid(0);

function createSource(t: TestContext, url: string, change: Partial<IntuneOptions> = {}) {
  const source = createIntuneSource({
    name: 'intune',
    ...GRAPH,
    identifier: 'azureADDeviceId',
    url,
    login: url,
    ca: null,
    deadlineMs: 5000,
    now: () => NOW,
    ...change,
  });
  t.after(() => source.close());
  return source;
}

async function setUp(
  t: TestContext,
  devices: readonly GraphDevice[],
  change: Partial<IntuneOptions> = {},
) {
  const graph: StandInGraph = await standInGraph(t, devices);
  const source = createSource(t, graph.url, change);
  const many = (deviceIds: readonly string[]) => {
    assert.ok(source.bulk !== undefined);
    return source.bulk.fetch(deviceIds, never);
  };
  const sweep = async (since: string | null = null) => {
    const pages: ChangePage[] = [];
    for await (const page of source.changes?.(since, never) ?? []) pages.push(page);
    return pages;
  };
  return { graph, source, fetch: (id = ID) => source.fetch(id, never), many, sweep };
}

test('a managed device becomes a report', async (t) => {
  const { fetch } = await setUp(t, [managedDevice(0, { deviceCategoryDisplayName: 'Kiosk' })]);
  assert.deepEqual(await fetch(), {
    source: 'intune',
    id: guid(1000),
    deviceId: ID,
    serial: '5CG0',
    user: 'ann@contoso.example',
    platform: 'windows',
    groups: ['Kiosk'],
    tags: [],
    ownership: 'corporate',
    osVersion: '10.0.22631.4602',
    model: 'Surface',
    enrollment: 'enrolled',
    compliance: 'compliant',
    compromised: 'unknown',
    lastSeen: Date.UTC(2026, 0, 30, 23, 58),
    fetchedAt: NOW,
  });
});

const ids = [
  ['azureADDeviceId', ID, guid(77)],
  ['id', guid(1000), guid(77)],
  ['serialNumber', '5cg0', '5cg77'],
] as const;

for (const [identifier, known, unknown] of ids) {
  test(`a device is looked up by ${identifier}, alone and among others`, async (t) => {
    const { source, many } = await setUp(t, [managedDevice(0)], { identifier });
    assert.equal((await source.fetch(known, never))?.deviceId, known);
    assert.equal(await source.fetch(unknown, never), null);
    const found = await many([unknown, known]);
    assert.equal(found.get(known)?.deviceId, known);
    assert.equal(found.get(unknown), null);
  });
}

test('an identity that no device can have is no question', async (t) => {
  const { graph, fetch } = await setUp(t, [managedDevice(0)]);
  for (const id of ["' or 1 eq 1", 'System.Byte[]', '../x', 'abcd']) {
    assert.equal(await fetch(id), null);
  }
  assert.equal(graph.asked.length, 0);
});

test('the id of all devices that are not registered is nobody', async (t) => {
  const zero = '00000000-0000-0000-0000-000000000000';
  const { fetch, sweep } = await setUp(t, [managedDevice(0, { azureADDeviceId: zero })]);
  await assert.rejects(fetch(zero), { kind: 'answer' });
  assert.deepEqual(
    (await sweep()).flatMap(({ reports }) => reports),
    [],
  );
});

type Expected = Readonly<Record<string, unknown>>;
const fields: readonly (readonly [GraphDevice, Expected | 'unbelievable'])[] = [
  [{ complianceState: 'noncompliant' }, { compliance: 'non_compliant' }],
  [{ complianceState: 'conflict' }, { compliance: 'non_compliant' }],
  [{ complianceState: 'error' }, { compliance: 'non_compliant' }],
  [{ complianceState: 'somethingNew' }, { compliance: 'non_compliant' }],
  [{ complianceState: 'COMPLIANT' }, { compliance: 'compliant' }],
  [{ complianceState: 'unknown' }, { compliance: 'not_evaluated' }],
  [{ complianceState: 'configManager' }, { compliance: 'not_evaluated' }],
  [{ complianceState: 'inGracePeriod' }, { compliance: 'in_grace_period' }],
  [
    {
      complianceState: 'inGracePeriod',
      complianceGracePeriodExpirationDateTime: '2026-01-30T00:00:00Z',
    },
    { compliance: 'non_compliant' },
  ],
  [{ complianceState: 1 }, 'unbelievable'],
  [{ complianceState: null }, 'unbelievable'],
  [{ jailBroken: 'True' }, { compromised: 'yes' }],
  [{ jailBroken: 'False' }, { compromised: 'no' }],
  [{ jailBroken: 'System.Byte[]' }, 'unbelievable'],
  [{ jailBroken: false }, 'unbelievable'],
  [{ deviceRegistrationState: 'revoked' }, { enrollment: 'unenrolled' }],
  [{ deviceRegistrationState: 'approvalPending' }, { enrollment: 'pending' }],
  [{ managementAgent: 'eas' }, { enrollment: 'registered' }],
  [{ managementAgent: 'jamf' }, { enrollment: 'enrolled' }],
  [{ managementAgent: null }, { enrollment: 'registered' }],
  [{ managedDeviceOwnerType: 'personal' }, { ownership: 'personal' }],
  [{ managedDeviceOwnerType: 'unknown' }, { ownership: null }],
  [{ operatingSystem: 'iPadOS' }, { platform: 'ios' }],
  [{ operatingSystem: 'Symbian' }, { platform: null }],
  [{ lastSyncDateTime: '0001-01-01T00:00:00Z' }, { lastSeen: null }],
  [{ lastSyncDateTime: '2026-01-30T23:58:00.1234567' }, { lastSeen: 1_769_817_480_123 }],
  [{ lastSyncDateTime: 'yesterday' }, 'unbelievable'],
  [{ azureADDeviceId: ID.toUpperCase() }, { deviceId: ID }],
  [{ azureADDeviceId: guid(9) }, 'unbelievable'],
  [{ id: '' }, 'unbelievable'],
];

for (const [change, expected] of fields) {
  test(`of a device with ${JSON.stringify(change)} is read ${JSON.stringify(expected)}`, async (t) => {
    const { graph, fetch, many } = await setUp(t, []);
    const value = [managedDevice(0, change)];
    graph.lie(({ path, body }, response) => {
      const inner = { value };
      const isBatch = path.endsWith('$batch') && body !== '';
      json(response, isBatch ? { responses: [{ id: '0', status: 200, body: inner }] } : inner);
      return true;
    });
    if (expected === 'unbelievable') {
      await assert.rejects(fetch(), { kind: 'answer' });
      assert.equal((await many([ID])).size, 0);
      return;
    }
    const report = await fetch();
    for (const [name, wanted] of Object.entries(expected)) {
      assert.equal(report?.[name as keyof typeof report], wanted);
    }
    assert.deepEqual((await many([ID])).get(ID), report);
  });
}

test('of two entries of one device the one that synchronised last speaks', async (t) => {
  const { graph, fetch } = await setUp(t, [
    managedDevice(0, { lastSyncDateTime: '2026-01-01T00:00:00Z' }),
    managedDevice(0, { id: guid(7), complianceState: 'noncompliant' }),
  ]);
  assert.equal((await fetch())?.compliance, 'non_compliant');
  graph.set([managedDevice(0), managedDevice(0, { id: guid(7) })]);
  await assert.rejects(fetch(), { kind: 'answer' });
});

const lies: readonly (readonly [string, number, string, number | null])[] = [
  ['refuses the token', 401, '{}', null],
  ['wants another permission', 403, '{"error":{"code":"Forbidden"}}', null],
  ['is too busy', 429, '', 7000],
  ['fails', 500, '{"error":{"code":"ResourceNotFound"}}', 7000],
  ['is a web page', 200, '<html>', null],
  ['says nothing', 200, '', null],
  ['says half', 200, '{"value":[', null],
  ['has no list', 200, '{"value":"none"}', null],
  ['has a list of texts', 200, '{"value":["x"]}', null],
  ['does not know the path', 404, '{"error":{"code":"ResourceNotFound"}}', null],
  ['sends elsewhere', 302, '', null],
];

for (const [what, status, body, retryAfterMs] of lies) {
  test(`Graph that ${what} is an outage, and over when it recovers (P05)`, async (t) => {
    const { graph, fetch, many } = await setUp(t, [managedDevice(0)]);
    graph.lie((_, response) => {
      const headers = retryAfterMs === null ? {} : { 'retry-after': String(retryAfterMs / 1000) };
      response
        .writeHead(status, { ...headers, ...(status === 302 && { location: '/x' }) })
        .end(body);
      return true;
    });
    await assert.rejects(fetch(), { kind: 'outage', retryAfterMs });
    await assert.rejects(many([ID]), { kind: 'outage', retryAfterMs });
    graph.lie(null);
    assert.equal((await fetch())?.compliance, 'compliant');
  });
}

test('Graph that takes its time is given up at the deadline (P05)', async (t) => {
  const { graph, fetch } = await setUp(t, [managedDevice(0)], { deadlineMs: 50 });
  await fetch();
  graph.lie(() => true);
  await assert.rejects(fetch(), { kind: 'outage', message: /no answer in time/ });
});

test('a client that is not taken is an outage, and its secret is not in the message (A05)', async (t) => {
  const { fetch } = await setUp(t, [], { clientSecret: 'wrong-secret' });
  await assert.rejects(fetch(), (error: Error) => {
    assert.match(error.message, /the token endpoint answered status 401/);
    assert.ok(!error.message.includes('wrong-secret'));
    return true;
  });
});

test('many devices are one call, with one token, and each answer finds its device', async (t) => {
  const { graph, many } = await setUp(t, [
    managedDevice(0),
    managedDevice(1, { complianceState: 'noncompliant' }),
  ]);
  const found = await many([ID, guid(1), guid(2)]);
  const words = [...found].map(([id, report]) => `${id} ${report?.compliance ?? 'unknown'}`);
  const expected = [`${ID} compliant`, `${guid(1)} non_compliant`, `${guid(2)} unknown`];
  assert.deepEqual(words.toSorted(), expected);
  assert.equal(graph.asked.length, 2);
});

test('of a batch that is answered in part the rest is missing, and nobody is unknown by it', async (t) => {
  const { graph, many } = await setUp(t, []);
  const good = { id: '0', status: 200, body: { value: [managedDevice(0)] } };
  const busy = { id: '1', status: 429, headers: { 'Retry-After': '9' }, body: {} };
  let responses: readonly unknown[] = [good, busy, { id: '2', status: 503 }, { id: '77' }];
  graph.lie((_, response) => {
    json(response, { responses });
    return true;
  });
  assert.deepEqual([...(await many([ID, guid(1), guid(2)])).keys()], [ID]);
  responses = [busy];
  await assert.rejects(many([ID, guid(1)]), { kind: 'outage', retryAfterMs: 9000 });
});

test('a sweep follows the links to the last page, and says from where the next one goes on', async (t) => {
  const devices = Array.from({ length: 8 }, (_, at) => managedDevice(at));
  const { sweep } = await setUp(t, devices);
  const pages = await sweep();
  assert.equal(pages.flatMap(({ reports }) => reports).length, 8);
  assert.deepEqual(
    pages.map(({ mark }) => mark),
    [null, null, null, '2026-01-30T23:53:00.000Z'],
  );
});

test('a sweep since a mark lists what has synchronised since', async (t) => {
  const { sweep } = await setUp(t, [
    managedDevice(0, { lastSyncDateTime: '2026-01-30T20:00:00Z' }),
    managedDevice(1, { lastSyncDateTime: '2026-01-30T23:55:00Z' }),
  ]);
  const pages = await sweep('2026-01-30T23:53:00.000Z');
  const listed = pages.flatMap(({ reports }) => reports).map(({ deviceId }) => deviceId);
  assert.deepEqual(listed, [guid(1)]);
});

test('a moment in the future does not move the mark beyond now', async (t) => {
  const { sweep } = await setUp(t, [
    managedDevice(0, { lastSyncDateTime: '2036-01-01T00:00:00Z' }),
  ]);
  assert.equal((await sweep()).at(-1)?.mark, '2026-01-30T23:55:00.000Z');
});

for (const link of [
  'https://evil.example/v1.0/x',
  '/v1.0/relative',
  'file:///etc/passwd',
  'same',
]) {
  test(`a link to a next page at ${link} is not followed: it would be given the token`, async (t) => {
    const { graph, sweep } = await setUp(t, []);
    graph.lie(({ path }, response) => {
      const next = link === 'same' ? `${graph.url}${path}` : link;
      json(response, { value: [], '@odata.nextLink': next });
      return true;
    });
    await assert.rejects(sweep(), { kind: 'outage' });
    assert.ok(graph.asked.length <= 2);
  });
}

test('devices that are listed and cannot be read, or twice, have to be asked for', async (t) => {
  const { sweep } = await setUp(t, [
    managedDevice(0, { complianceState: 7 }),
    managedDevice(1),
    managedDevice(1, { id: guid(9) }),
  ]);
  const [page] = await sweep();
  assert.deepEqual([page?.reports, page?.deviceIds], [[], [guid(0), guid(1)]]);
});
