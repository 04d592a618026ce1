// Workspace ONE about many devices: the look-up of a batch, and the list of what was seen lately.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type StandInDevice, toV1Device } from '../../../cli/quickstart/stand-in-device.ts';
import { createStandInUem } from '../../../cli/quickstart/stand-in-uem.ts';
import type { ChangePage } from '../../../gateway/posture/source.ts';
import {
  createWorkspaceOneSource,
  type WorkspaceOneSource,
} from '../../../gateway/posture/workspace-one.ts';
import { type Answering, answering, json } from '../../support/answering.ts';

const NOW = Date.UTC(2026, 0, 31);
const BASIC = { username: 'zonegate', password: 'correct horse' };
const never = new AbortController().signal;

const udidOf = (at: number): string => `6bf0c9a14e5d4f3c8a1b${String(at).padStart(12, '0')}`;

function device(at: number, change: Partial<StandInDevice> = {}): StandInDevice {
  return {
    udid: udidOf(at).toUpperCase(),
    id: at + 1,
    serial: `S${at}`,
    user: 'ann',
    name: 'phone',
    platform: 'Apple',
    group: 'staff',
    enrollment: 'Enrolled',
    compliance: 'Compliant',
    compromised: false,
    lastSeen: NOW - 60_000,
    ...change,
  };
}

function sourceAt(t: TestContext, url: string): WorkspaceOneSource {
  const auth = { kind: 'basic', ...BASIC } as const;
  const options = { name: 'ws1', url, auth, tenantCode: 'tenant', ca: null, now: () => NOW };
  const source = createWorkspaceOneSource(options);
  t.after(() => source.close());
  return source;
}

async function standIn(t: TestContext, devices: readonly StandInDevice[]) {
  const uem = await createStandInUem({
    port: 0,
    devices,
    oauth: null,
    basic: BASIC,
    tenantCode: 'tenant',
    event: null,
  });
  t.after(() => uem.close());
  return { uem, source: sourceAt(t, uem.url) };
}

async function lookUp(source: WorkspaceOneSource, deviceIds: readonly string[]) {
  assert.ok(source.bulk !== undefined);
  return await source.bulk.fetch(deviceIds, never);
}

async function pagesOf(source: WorkspaceOneSource, since: string | null = null) {
  assert.ok(source.changes !== undefined);
  const pages: ChangePage[] = [];
  for await (const page of source.changes(since, never)) pages.push(page);
  return pages;
}

test('a batch is one POST to the look-up, and never to the neighbour that deletes', async (t) => {
  const { uem, source } = await standIn(t, [device(0), device(1, { compliance: 'NonCompliant' })]);
  const found = await lookUp(source, [udidOf(0), udidOf(1)]);
  assert.equal(found.get(udidOf(0))?.compliance, 'compliant');
  assert.equal(found.get(udidOf(1))?.compliance, 'non_compliant');
  assert.deepEqual(uem.requests, ['POST /api/mdm/devices']);
});

test('one device the UEM does not know does not take its batch with it, nor is it unknown by that', async (t) => {
  const devices = Array.from({ length: 99 }, (_, at) => device(at));
  const { uem, source } = await standIn(t, devices);
  const all = Array.from({ length: 100 }, (_, at) => udidOf(at));
  const found = await lookUp(source, all);
  assert.equal(found.size, 99);
  assert.equal(found.has(udidOf(99)), false);
  assert.ok(uem.requests.length < 20, String(uem.requests.length));
});

test('a batch of strangers is given up after a bounded number of questions', async (t) => {
  const { uem, source } = await standIn(t, []);
  const found = await lookUp(
    source,
    Array.from({ length: 100 }, (_, at) => udidOf(at)),
  );
  assert.equal(found.size, 0);
  assert.ok(uem.requests.length <= 33, String(uem.requests.length));
});

const good = toV1Device(device(0), NOW);
const listed: readonly (readonly [string, unknown, readonly string[]])[] = [
  ['half of what was asked', { Devices: [good] }, [udidOf(0)]],
  ['nothing', { Devices: [] }, []],
  ['no list', {}, []],
  ['a device nobody asked about', { Devices: [toV1Device(device(7), NOW)] }, []],
  ['one device twice', { Devices: [good, { ...good, ComplianceStatus: 'NonCompliant' }] }, []],
  ['a text for a boolean', { Devices: [{ ...good, CompromisedStatus: 'false' }] }, []],
  ['a device without a verdict', { Devices: [{ ...good, ComplianceStatus: null }] }, []],
  ['an identity of bytes', { Devices: [{ ...good, Udid: 'System.Byte[]' }, good] }, [udidOf(0)]],
  ['something that is no device', { Devices: [null, 'x', 7, good] }, [udidOf(0)]],
];

for (const [what, answer, known] of listed) {
  test(`a batch answered with ${what} leaves the others to be asked alone (P06)`, async (t) => {
    const { url } = await answering(t, (_, response) => json(response, answer));
    const found = await lookUp(sourceAt(t, url), [udidOf(0), udidOf(1)]);
    assert.deepEqual([...found.keys()], known);
    assert.ok([...found.values()].every((report) => report !== null));
  });
}

test('an empty body is an empty list, in a batch and in a sweep', async (t) => {
  const { url } = await answering(t, (_, response) => response.writeHead(200).end());
  const source = sourceAt(t, url);
  assert.equal((await lookUp(source, [udidOf(0)])).size, 0);
  const pages = await pagesOf(source);
  assert.deepEqual(
    pages.flatMap(({ reports }) => reports),
    [],
  );
});

for (const [status, body] of [
  [401, '{}'],
  [429, ''],
  [500, '{"errorCode":5002}'],
  [200, '<h1>'],
  [200, '{"Devices":"many"}'],
] as const) {
  test(`a batch and a sweep answered with ${status} ${body} are outages (P05)`, async (t) => {
    const { url } = await answering(t, (_, response) =>
      response.writeHead(status, { 'retry-after': '7' }).end(body),
    );
    const source = sourceAt(t, url);
    const outage = { kind: 'outage', retryAfterMs: status === 200 ? null : 7000 };
    await assert.rejects(lookUp(source, [udidOf(0), udidOf(1)]), outage);
    await assert.rejects(pagesOf(source), outage);
  });
}

test('a sweep reads every page, and says from where the next one goes on', async (t) => {
  const devices = Array.from({ length: 1203 }, (_, at) => device(at));
  const { uem, source } = await standIn(t, devices);
  const pages = await pagesOf(source);
  assert.equal(pages.flatMap(({ reports }) => reports).length, 1203);
  assert.equal(uem.requests.length, 3);
  assert.equal(pages.at(-1)?.mark, '2026-01-30T23:55:00.000Z');
  assert.deepEqual(
    pages.slice(0, -1).map(({ mark }) => mark),
    [null, null, null],
  );
});

test('a sweep since a mark lists what was seen since', async (t) => {
  const { source } = await standIn(t, [
    device(0, { lastSeen: NOW - 3_600_000 }),
    device(1, { lastSeen: NOW - 60_000 }),
  ]);
  const pages = await pagesOf(source, '2026-01-30T23:55:00.000Z');
  assert.deepEqual(
    pages.flatMap(({ reports }) => reports).map(({ deviceId }) => deviceId),
    [udidOf(1)],
  );
});

const paged =
  (total: number): Parameters<typeof answering>[1] =>
  ({ path }, response) => {
    const page = Number(new URL(path, 'http://x').searchParams.get('page'));
    json(response, { Devices: page < 2 ? [toV1Device(device(page), NOW)] : [], Total: total });
  };

test('a sweep that ends before its total is an outage: it would make devices disappear', async (t) => {
  const { url } = await answering(t, paged(3));
  await assert.rejects(pagesOf(sourceAt(t, url)), /listed 2 of 3 devices/);
});

test('smaller pages than were asked for are read to the end', async (t) => {
  const { url, asked }: Answering = await answering(t, paged(2));
  const pages = await pagesOf(sourceAt(t, url));
  assert.equal(pages.flatMap(({ reports }) => reports).length, 2);
  assert.equal(asked.length, 2);
});

test('a device that is listed and cannot be read has to be asked for', async (t) => {
  const odd = { ...good, EnrollmentStatus: 7 };
  const { url } = await answering(t, (_, response) => json(response, { Devices: [odd], Total: 1 }));
  const [page] = await pagesOf(sourceAt(t, url));
  assert.deepEqual([page?.reports, page?.deviceIds], [[], [udidOf(0)]]);
});
