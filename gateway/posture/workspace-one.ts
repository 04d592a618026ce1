// Posture from Workspace ONE UEM: read-only look-ups of one device, of many, and of all that were seen lately.

import type { PostureReport } from '../decision/posture.ts';
import type { Answer } from './exchange.ts';
import { type ChangePage, canonicalDeviceId, type PostureSource, SourceError } from './source.ts';
import { type Fields, fieldsOf, parseJsonObject, readObject, refusedAnswer } from './uem-answer.ts';
import { createUemCaller, type UemCredentials } from './uem-caller.ts';
import { readDevice } from './workspace-one-device.ts';

export interface WorkspaceOneOptions {
  readonly name: string;
  // The API host, for example `https://as123.awmdm.com`.
  readonly url: string;
  readonly auth: UemCredentials;
  readonly tenantCode: string | null;
  readonly ca: string | null;
  readonly deadlineMs?: number;
  readonly maxAnswerBytes?: number;
  readonly now: () => number;
}

export interface WorkspaceOneSource extends PostureSource {
  close(): Promise<void>;
}

// Invariant: the only API paths this program can ask for. `devices` is asked with GET and, about many, with POST;
// `/devices/bulk` beside it deletes what it is given, and other neighbours wipe.
const PATHS = { devices: '/api/mdm/devices', search: '/api/mdm/devices/search' } as const;

const WHO = 'the UEM';
const NO_SUCH_DEVICE = new Set<unknown>([5002, 5061]);
// A device in an answer takes 2 to 4 KiB: this many stay well below the bound on an answer.
const MANY = 100;
const PAGE = 500;
const MAX_PAGES = 10_000;
const MAX_PAGE_BYTES = 16 * 1_048_576;
// One device that the UEM does not know refuses all that are asked with it. The halves are asked then, this often.
const MAX_SPLITS = 16;
// A clock there may differ from ours, and what was seen while a sweep ran belongs into the next one.
const OVERLAP_MS = 300_000;

export function createWorkspaceOneSource(options: WorkspaceOneOptions): WorkspaceOneSource {
  const { name, deadlineMs = 5_000, maxAnswerBytes = 1_048_576, now } = options;
  const { url, auth, tenantCode, ca } = options;
  // Version 1 is what plain `application/json` asks for; some edges answer 503 to `;version=1`.
  const headers: Record<string, string> =
    tenantCode === null ? {} : { 'aw-tenant-code': tenantCode };
  const shared = { url, auth, headers, ca, deadlineMs, now };
  const caller = createUemCaller({ ...shared, maxAnswerBytes });
  const lists = createUemCaller({ ...shared, maxAnswerBytes: MAX_PAGE_BYTES });

  async function askMany(
    deviceIds: readonly string[],
    found: Map<string, PostureReport | null>,
    budget: { splits: number },
    signal: AbortSignal,
  ): Promise<void> {
    const json = { BulkValues: { Value: deviceIds } };
    const answer = await lists.send({ path: `${PATHS.devices}?searchby=Udid`, json }, signal);
    if (!saysNoSuchDevice(answer)) {
      if (answer.status !== 200) throw refusedAnswer(answer, WHO, now());
      // Nothing at all is how an empty list is written.
      if (answer.text.trim() === '') return;
      const asked = new Set(deviceIds);
      for (const report of readAll(parseJsonObject(answer, WHO), name, now()).reports) {
        if (asked.has(report.deviceId)) found.set(report.deviceId, report);
      }
      return;
    }
    // Which one it does not know is not said; of one alone, only its own look-up is believed.
    if (deviceIds.length === 1 || budget.splits === 0) return;
    budget.splits -= 1;
    const half = Math.ceil(deviceIds.length / 2);
    await askMany(deviceIds.slice(0, half), found, budget, signal);
    await askMany(deviceIds.slice(half), found, budget, signal);
  }

  async function* changes(since: string | null, signal: AbortSignal): AsyncGenerator<ChangePage> {
    const began = now();
    const seen = since === null ? '' : `&seensince=${encodeURIComponent(since)}`;
    const pathOf = (page: number) => `${PATHS.search}?page=${page}&pagesize=${PAGE}${seen}`;
    let read = 0;
    let total = 0;
    // The page size is capped without a word: only the total says whether there is more.
    const next = (page: Fields, at: number) => {
      const size = listIn(page).length;
      read += size;
      total = Math.max(total, Number(page.get('Total') ?? 0));
      return size > 0 && read < total ? { path: pathOf(at + 1) } : null;
    };
    const how = { most: MAX_PAGES, signal };
    for await (const page of lists.pages({ path: pathOf(0) }, next, how)) {
      yield { ...readAll(page, name, now()), mark: null };
    }
    if (read < total) throw new SourceError('outage', `${WHO} listed ${read} of ${total} devices`);
    yield { reports: [], deviceIds: [], mark: new Date(began - OVERLAP_MS).toISOString() };
  }

  return {
    name,
    async fetch(deviceId, signal): Promise<PostureReport | null> {
      const query = `searchby=Udid&id=${encodeURIComponent(deviceId)}`;
      const answer = await caller.send({ path: `${PATHS.devices}?${query}` }, signal);
      if (saysNoSuchDevice(answer)) return null;
      if (answer.status !== 200) throw refusedAnswer(answer, WHO, now());
      const device = parseJsonObject(answer, WHO);
      return readDevice(device, { source: name, deviceId, fetchedAt: now() });
    },
    bulk: {
      most: MANY,
      async fetch(deviceIds, signal) {
        const found = new Map<string, PostureReport | null>();
        await askMany(deviceIds, found, { splits: MAX_SPLITS }, signal);
        return found;
      },
    },
    changes,
    async close() {
      await Promise.all([caller.close(), lists.close()]);
    },
  };
}

// 404, or the error codes that say the same under another status. A 404 page of some web server is an outage.
function saysNoSuchDevice(answer: Answer): boolean {
  if (answer.status < 400 || answer.status > 499) return false;
  const fields = readObject(answer.text);
  if (NO_SUCH_DEVICE.has(fields?.get('errorCode'))) return true;
  return answer.status === 404 && (fields !== null || answer.text === '');
}

function listIn(page: Fields): readonly unknown[] {
  const list = page.get('Devices') ?? [];
  if (Array.isArray(list)) return list;
  throw new SourceError('outage', `${WHO} gave no usable \`Devices\``);
}

// Devices that are there and cannot be read, or come twice, have to be asked for alone.
function readAll(
  page: Fields,
  source: string,
  fetchedAt: number,
): Pick<ChangePage, 'reports' | 'deviceIds'> {
  const reports = new Map<string, PostureReport>();
  const unclear = new Set<string>();
  for (const item of listIn(page)) {
    const fields = fieldsOf(item);
    const udid = fields?.get('Udid');
    // `System.Byte[]` and the like name no device, so nothing can be asked about them either.
    const deviceId = typeof udid === 'string' ? canonicalDeviceId(udid) : null;
    if (fields === null || deviceId === null) continue;
    const report = readOrNull(fields, { source, deviceId, fetchedAt });
    if (report === null || reports.has(deviceId)) unclear.add(deviceId);
    else reports.set(deviceId, report);
  }
  for (const deviceId of unclear) reports.delete(deviceId);
  return { reports: [...reports.values()], deviceIds: [...unclear] };
}

function readOrNull(
  fields: Fields,
  context: Parameters<typeof readDevice>[1],
): PostureReport | null {
  try {
    return readDevice(fields, context);
  } catch (error) {
    if (error instanceof SourceError) return null;
    throw error;
  }
}
