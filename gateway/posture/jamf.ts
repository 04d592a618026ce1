// Posture from Jamf Pro: read-only look-ups in the inventories of computers and of mobile devices.

import { LRUCache } from 'lru-cache';
import type { PostureReport } from '../decision/posture.ts';
import { unbelievable } from './device-fields.ts';
import { type JamfReading, readJamfDevice } from './jamf-device.ts';
import type { JamfKind } from './jamf-event.ts';
import { type BulkLookUp, type PostureSource, SourceError } from './source.ts';
import { type Fields, fieldsOf } from './uem-answer.ts';
import { createUemCaller } from './uem-caller.ts';

export interface JamfOptions extends Omit<JamfReading, 'source' | 'fetchedAt'> {
  readonly name: string;
  /** For example `https://example.jamfcloud.com`. */
  readonly url: string;
  readonly tokenUrl: string | null;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Which inventories to look into, in this order. */
  readonly kinds: readonly JamfKind[];
  readonly ca: string | null;
  readonly deadlineMs?: number;
  readonly maxAnswerBytes?: number;
  readonly now: () => number;
}

export interface JamfSource extends PostureSource {
  readonly bulk: BulkLookUp;
  close(): Promise<void>;
}

// Invariant: the only API paths this program can ask for, and only with GET: neighbouring ones erase devices.
const INVENTORIES = {
  computer: {
    path: '/api/v1/computers-inventory',
    sections: ['GENERAL', 'HARDWARE', 'OPERATING_SYSTEM', 'USER_AND_LOCATION', 'GROUP_MEMBERSHIPS'],
    filterBy: { udid: 'udid', serial: 'hardware.serialNumber' },
  },
  mobile: {
    path: '/api/v2/mobile-devices/detail',
    sections: ['GENERAL', 'HARDWARE', 'USER_AND_LOCATION', 'SECURITY', 'GROUPS'],
    filterBy: { udid: 'udid', serial: 'serialNumber' },
  },
} as const;

const WHO = 'Jamf Pro';
const PAGE = 100;
// A filter of that many, each in both cases, is a URL of about 5 kB.
const MOST = 50;
const REMEMBERED = 100_000;

export function createJamfSource(options: JamfOptions): JamfSource {
  const { name: source, deadlineMs = 5_000, maxAnswerBytes = 4_194_304, now } = options;
  const { clientId, clientSecret, ca } = options;
  const tokenUrl = options.tokenUrl ?? `${options.url.replace(/\/+$/, '')}/api/oauth/token`;
  const auth = { kind: 'oauth', tokenUrl, clientId, clientSecret } as const;
  const shared = { url: options.url, auth, headers: {}, ca, deadlineMs, now };
  const caller = createUemCaller({ ...shared, maxAnswerBytes });
  // A device that was a computer is one still: the other inventory need not be asked first.
  const kinds = new LRUCache<string, JamfKind>({ max: REMEMBERED });

  /** All devices of one inventory with these ids, and whether that is all there are. */
  async function look(kind: JamfKind, deviceIds: readonly string[], signal: AbortSignal) {
    const { path, sections, filterBy } = INVENTORIES[kind];
    const query = new URLSearchParams({ page: '0' });
    for (const section of sections) query.append('section', section);
    query.set('page-size', String(PAGE));
    query.set('filter', filterFor(filterBy[options.identifier], deviceIds));
    const fields = await caller.object({ path: `${path}?${query.toString()}` }, signal);
    const results = fields.get('results');
    const total = fields.get('totalCount');
    if (!Array.isArray(results) || typeof total !== 'number')
      throw new SourceError('outage', `${WHO} answered something else than a page of devices`);
    return { devices: results.map(fieldsOf), isAll: total === results.length };
  }

  const read = (device: Fields | null, kind: JamfKind): PostureReport => {
    if (device === null) throw unbelievable('has a device that is no object');
    const report = readJamfDevice(device, kind, { ...options, source, fetchedAt: now() });
    kinds.set(report.deviceId, kind);
    return report;
  };

  function orderFor(deviceId: string): readonly JamfKind[] {
    const last = kinds.get(deviceId);
    if (last === undefined) return options.kinds;
    return [last, ...options.kinds.filter((kind) => kind !== last)];
  }

  async function fetch(deviceId: string, signal: AbortSignal): Promise<PostureReport | null> {
    for (const kind of orderFor(deviceId)) {
      const { devices, isAll } = await look(kind, [deviceId], signal);
      // Records of one serial number are left behind when a device is enrolled anew: which of them holds?
      if (!isAll || devices.length > 1) throw unbelievable('has several devices of this id');
      const [device] = devices;
      if (device === undefined) continue;
      const report = read(device, kind);
      if (report.deviceId !== deviceId) throw unbelievable('is about another device');
      return report;
    }
    return null;
  }

  async function fetchMany(deviceIds: readonly string[], signal: AbortSignal) {
    const found = new Map<string, PostureReport>();
    const doubtful = new Set<string>();
    let isAll = true;
    for (const kind of options.kinds) {
      const page = await look(kind, deviceIds, signal);
      isAll &&= page.isAll;
      for (const device of page.devices) {
        const report = tryTo(() => read(device, kind));
        // One that cannot be read may be any of those asked for.
        if (report === null) isAll = false;
        else if (found.has(report.deviceId)) doubtful.add(report.deviceId);
        else found.set(report.deviceId, report);
      }
    }
    const answers = new Map<string, PostureReport | null>();
    for (const deviceId of deviceIds) {
      const report = found.get(deviceId) ?? null;
      if (doubtful.has(deviceId) || (report === null && !isAll)) continue;
      answers.set(deviceId, report);
    }
    return answers;
  }

  return {
    name: source,
    fetch,
    bulk: { most: MOST, fetch: fetchMany },
    close: () => caller.close(),
  };
}

/** RSQL. A device id holds letters, digits, `.`, `_` and `-` only, so nothing in it can end the quotes. Jamf Pro keeps
 *  the spelling of the device, which may be either. */
function filterFor(field: string, deviceIds: readonly string[]): string {
  const spellings = deviceIds.flatMap((id) => [...new Set([id, id.toUpperCase()])]);
  return `${field}=in=(${spellings.map((id) => `"${id}"`).join(',')})`;
}

function tryTo<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof SourceError) return null;
    throw error;
  }
}
