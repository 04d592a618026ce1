// Posture from a file the operator keeps: read whole, answered from memory, replaced whole.

import { z } from 'zod';
import type { Issue, Parsed } from '../../runtime/issue.ts';
import { optional, parseWith, section } from '../../runtime/schema.ts';
import type { PostureReport } from '../decision/posture.ts';
import { parseMoment } from './moment.ts';
import { canonicalDeviceId, type PostureSource } from './source.ts';

export interface InventoryDevice {
  readonly udid: string;
  readonly serial: string | null;
  readonly user: string | null;
  readonly platform: string | null;
  readonly groups: readonly string[];
  readonly tags: readonly string[];
  readonly ownership: PostureReport['ownership'];
  readonly osVersion: string | null;
  readonly model: string | null;
  readonly enrolled: boolean;
  readonly compliant: boolean;
  readonly compromised: boolean;
  readonly lastSeen: number | null;
}

export interface InventorySource extends PostureSource {
  update(devices: readonly InventoryDevice[]): void;
}

const readDeviceId = z.string().transform((text, context) => {
  const deviceId = canonicalDeviceId(text);
  if (deviceId !== null) return deviceId;
  const message = 'expected 4 to 128 letters, digits, `.`, `_` or `-`';
  context.addIssue({ code: 'custom', message, input: text });
  return z.NEVER;
});

const readMoment = z.string().transform((text, context) => {
  const moment = parseMoment(text);
  if (moment !== null) return moment;
  const params = { hint: 'for example `2025-01-31T08:00:00Z`' };
  context.addIssue({ code: 'custom', message: 'expected a date and time', input: text, params });
  return z.NEVER;
});

// The three verdicts have no default: silence must not make a device healthy.
export const deviceShape = {
  udid: readDeviceId,
  serial: optional(z.string().min(1)),
  user: optional(z.string().min(1)),
  platform: optional(z.enum(['ios', 'macos', 'android', 'windows', 'chromeos', 'linux'])),
  groups: z.array(z.string().min(1)).default([]),
  tags: z.array(z.string().min(1)).default([]),
  ownership: optional(z.enum(['corporate', 'personal', 'shared'])),
  // YAML reads 18.10 as the number 18.1: only text keeps it.
  osVersion: optional(z.string().min(1)),
  model: optional(z.string().min(1)),
  enrolled: z.boolean(),
  compliant: z.boolean(),
  compromised: z.boolean(),
  lastSeen: optional(readMoment),
} as const;

const readInventory = parseWith(section({ devices: z.array(section(deviceShape)) }));

export function parseInventory(value: unknown): Parsed<readonly InventoryDevice[]> {
  const parsed = readInventory(value);
  if (!parsed.ok) return parsed;
  const { devices } = parsed.value;
  const issues = findRepeated(devices);
  return issues.length === 0 ? { ok: true, value: devices } : { ok: false, issues };
}

// Two entries for one device may disagree, and then nobody knows which one holds.
function findRepeated(devices: readonly InventoryDevice[]): readonly Issue[] {
  const seen = new Set<string>();
  return devices.flatMap(({ udid }, at) => {
    if (!seen.has(udid)) {
      seen.add(udid);
      return [];
    }
    const message = `device \`${udid}\` is listed twice`;
    return [{ path: ['devices', at, 'udid'], message, hint: null }];
  });
}

export function createInventorySource(options: {
  readonly name: string;
  readonly devices: readonly InventoryDevice[];
  readonly now: () => number;
}): InventorySource {
  const { name, now } = options;
  let devices = byDeviceId(options.devices);
  return {
    name,
    fetch(deviceId) {
      const device = devices.get(deviceId);
      return Promise.resolve(device === undefined ? null : toReport(device, name, now()));
    },
    update(list) {
      devices = byDeviceId(list);
    },
  };
}

function byDeviceId(devices: readonly InventoryDevice[]): ReadonlyMap<string, InventoryDevice> {
  return new Map(devices.map((device) => [device.udid, device]));
}

// The file is the truth at the moment it is asked, so its reports never grow old by themselves.
function toReport(device: InventoryDevice, source: string, now: number): PostureReport {
  const { udid, enrolled, compliant, compromised, ...known } = device;
  return {
    source,
    id: udid,
    deviceId: udid,
    ...known,
    enrollment: enrolled ? 'enrolled' : 'unenrolled',
    compliance: compliant ? 'compliant' : 'non_compliant',
    compromised: compromised ? 'yes' : 'no',
    fetchedAt: now,
  };
}
