// Posture from Microsoft Intune through Microsoft Graph: look-ups of one device and of many, and what has synchronised.

import type { PostureReport } from '../decision/posture.ts';
import { deviceIdOf, type IntuneId, readManagedDevice, SELECTED } from './intune-device.ts';
import { type ChangePage, type PostureSource, SourceError } from './source.ts';
import { type Fields, fieldsOf, parseJsonObject, readObject, refusedAnswer } from './uem-answer.ts';
import { createUemCaller } from './uem-caller.ts';

export interface IntuneOptions {
  readonly name: string;
  // The directory: its id, or one of its domains.
  readonly tenant: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly identifier: IntuneId;
  // Where Graph and the sign-in service are: other national clouds have other hosts.
  readonly url: string;
  readonly login: string;
  readonly ca: string | null;
  readonly deadlineMs: number;
  readonly now: () => number;
}

export interface IntuneSource extends PostureSource {
  close(): Promise<void>;
}

// Invariant: the only paths this program can ask for. `$batch` carries nothing but GET of the first.
const DEVICES = '/deviceManagement/managedDevices';
const BATCH = '/$batch';
// As many as Graph takes in one `$batch`.
const MANY = 20;
const PAGE = 1000;
const MAX_PAGES = 10_000;
const MAX_ANSWER_BYTES = 16 * 1_048_576;
// What synchronised while a sweep ran belongs into the next one.
const OVERLAP_MS = 300_000;
const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const WHO = 'Microsoft Graph';

export function createIntuneSource(options: IntuneOptions): IntuneSource {
  const { name, identifier: idIs, ca, deadlineMs, now } = options;
  const graph = new URL(options.url).origin;
  const caller = createUemCaller({
    url: `${graph}/v1.0`,
    auth: {
      kind: 'oauth',
      tokenUrl: `${options.login.replace(/\/+$/, '')}/${options.tenant}/oauth2/v2.0/token`,
      clientId: options.clientId,
      clientSecret: options.clientSecret,
      scope: `${graph}/.default`,
    },
    headers: {},
    ca,
    deadlineMs,
    maxAnswerBytes: MAX_ANSWER_BYTES,
    now,
  });

  function reportIn(page: Fields, deviceId: string): PostureReport | null {
    return newest(
      devicesIn(page, idIs).map((device) =>
        readManagedDevice(device, idIs, { source: name, deviceId, fetchedAt: now() }),
      ),
    );
  }

  async function fetchMany(
    deviceIds: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, PostureReport | null>> {
    const requests = deviceIds.map((deviceId, at) => ({
      id: String(at),
      method: 'GET',
      url: pathOf(deviceId, idIs),
    }));
    const answer = await caller.send({ path: BATCH, json: { requests } }, signal);
    if (answer.status !== 200) throw refusedAnswer(answer, WHO, now());
    const found = new Map<string, PostureReport | null>();
    let slowDown: SourceError | null = null;
    for (const part of listOf(parseJsonObject(answer, WHO).get('responses'), 'responses')) {
      const deviceId = deviceIds[Number(part.get('id'))];
      const body = fieldsOf(part.get('body'));
      if (part.get('status') === 200 && deviceId !== undefined && body !== null) {
        const report = believedOrMissing(() => reportIn(body, deviceId));
        if (report !== undefined) found.set(deviceId, report);
      } else if (deviceId !== undefined && saysNoSuchDevice(part.get('status'), body, idIs)) {
        found.set(deviceId, null);
      } else if (part.get('status') === 429) {
        slowDown ??= throttled(part, now());
      }
    }
    // Answered in part, the rest is asked for later; answered not at all, Graph is to be left alone.
    if (found.size === 0 && slowDown !== null) throw slowDown;
    return found;
  }

  async function* changes(since: string | null, signal: AbortSignal): AsyncGenerator<ChangePage> {
    const began = now();
    const filter =
      since === null ? '' : `&$filter=${encodeURIComponent(`lastSyncDateTime ge ${since}`)}`;
    const first = { path: `${DEVICES}?$select=${SELECTED.join(',')}&$top=${PAGE}${filter}` };
    const next = (page: Fields) => {
      const link = page.get('@odata.nextLink');
      return typeof link === 'string' ? { path: caller.nextPath(link) } : null;
    };
    let newestSync = 0;
    for await (const page of caller.pages(first, next, { most: MAX_PAGES, signal })) {
      const changed = readAll(listIn(page), idIs, { source: name, fetchedAt: now() });
      for (const { lastSeen } of changed.reports) newestSync = Math.max(newestSync, lastSeen ?? 0);
      yield { ...changed, mark: null };
    }
    // By the clock of Intune where it has told one: ours may be ahead, and would skip what it has not seen yet.
    const upTo = newestSync === 0 ? began : Math.min(newestSync, began);
    yield { reports: [], deviceIds: [], mark: new Date(upTo - OVERLAP_MS).toISOString() };
  }

  return {
    name,
    async fetch(deviceId, signal) {
      // Not even a question: every device that is not registered would be the answer.
      if (idIs !== 'serialNumber' && !GUID.test(deviceId)) return null;
      const answer = await caller.send({ path: pathOf(deviceId, idIs) }, signal);
      const body = readObject(answer.text);
      if (saysNoSuchDevice(answer.status, body, idIs)) return null;
      if (answer.status !== 200) throw refusedAnswer(answer, WHO, now());
      return reportIn(parseJsonObject(answer, WHO), deviceId);
    },
    bulk: { most: MANY, fetch: fetchMany },
    changes,
    close: () => caller.close(),
  };
}

function pathOf(deviceId: string, idIs: IntuneId): string {
  const select = `$select=${SELECTED.join(',')}`;
  if (idIs === 'id') return `${DEVICES}/${deviceId}?${select}`;
  const serial = `serialNumber eq '${deviceId}' or serialNumber eq '${deviceId.toUpperCase()}'`;
  const filter = idIs === 'serialNumber' ? serial : `${idIs} eq '${deviceId}'`;
  return `${DEVICES}?$filter=${encodeURIComponent(filter)}&${select}`;
}

// Asked by its own id a device that is not there is a 404 of Graph, and not of some web server before it; asked by a
// filter it is an empty list, and a 404 means something else.
function saysNoSuchDevice(status: unknown, body: Fields | null, idIs: IntuneId): boolean {
  return idIs === 'id' && status === 404 && fieldsOf(body?.get('error')) !== null;
}

function devicesIn(page: Fields, idIs: IntuneId): readonly Fields[] {
  return idIs === 'id' ? [page] : listOf(page.get('value'), 'value');
}

// A device enrolled anew may leave its old entry behind: what synchronised last speaks. Two that say the same moment
// cannot both be right.
function newest(reports: readonly PostureReport[]): PostureReport | null {
  const [first = null, second] = reports.toSorted((a, b) => (b.lastSeen ?? 0) - (a.lastSeen ?? 0));
  if (first === null || second === undefined || first.lastSeen !== second.lastSeen) return first;
  throw new SourceError('answer', 'the answer has two entries of one device');
}

function readAll(
  devices: readonly Fields[],
  idIs: IntuneId,
  context: { readonly source: string; readonly fetchedAt: number },
): Pick<ChangePage, 'reports' | 'deviceIds'> {
  const reports = new Map<string, PostureReport>();
  const unclear = new Set<string>();
  for (const device of devices) {
    const deviceId = deviceIdOf(device, idIs);
    if (deviceId === null) continue;
    const report = believedOrMissing(() =>
      readManagedDevice(device, idIs, { ...context, deviceId }),
    );
    if (report === undefined || reports.has(deviceId)) unclear.add(deviceId);
    else reports.set(deviceId, report);
  }
  for (const deviceId of unclear) reports.delete(deviceId);
  return { reports: [...reports.values()], deviceIds: [...unclear] };
}

function believedOrMissing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof SourceError && error.kind === 'answer') return undefined;
    throw error;
  }
}

// An empty body is an empty list.
function listIn(page: Fields): readonly Fields[] {
  return page.size === 0 ? [] : listOf(page.get('value'), 'value');
}

function listOf(value: unknown, name: string): readonly Fields[] {
  if (!Array.isArray(value)) throw new SourceError('outage', `${WHO} gave no usable \`${name}\``);
  return value.map((item) => {
    const fields = fieldsOf(item);
    if (fields !== null) return fields;
    throw new SourceError('outage', `${WHO} gave no usable \`${name}\``);
  });
}

function throttled(part: Fields, now: number): SourceError {
  const headers = [...(fieldsOf(part.get('headers')) ?? [])];
  const [, after = null] = headers.find(([key]) => key.toLowerCase() === 'retry-after') ?? [];
  const retryAfter = typeof after === 'string' ? after : null;
  return refusedAnswer({ status: 429, contentType: '', retryAfter, text: '' }, WHO, now);
}
