// What `zonegate explain` takes for granted: who asks, in which state, at which moment, and what the name resolves to.

import { type Address, parseAddress } from '../../dtr-rules/address.ts';
import { readMoment } from '../../dtr-rules/moment.ts';
import type { Posture } from '../../dtr-rules/rule.ts';
import type { Loaded } from '../../gateway/config/load.ts';
import type { Identity } from '../../gateway/decision/identity.ts';
import type { PostureFacts, PostureReport } from '../../gateway/decision/posture.ts';
import { reportOf } from '../ask-posture.ts';
import { UsageError } from '../output.ts';

/** The words of posture reports, and one for a device that the source does not know. */
export const compliances = [
  'compliant',
  'in_grace_period',
  'non_compliant',
  'not_evaluated',
  'pending',
  'unknown_device',
] as const;

export interface Assumptions {
  readonly device?: string;
  readonly user?: string;
  readonly app?: string;
  readonly at?: string;
  readonly posture?: Posture;
  /** Finer than `posture`: one of the two at most. */
  readonly compliance?: (typeof compliances)[number];
  readonly platform?: string;
  readonly group?: readonly string[];
  readonly tag?: readonly string[];
  readonly address?: readonly string[];
}

export function momentOf({ at }: Assumptions): number {
  if (at === undefined) return Date.now();
  const moment = readMoment(at);
  if (moment.ok) return moment.value;
  throw new UsageError(moment.hint === null ? moment.message : `${moment.message}; ${moment.hint}`);
}

export function assumedAddresses({ address }: Assumptions): Address[] | null {
  if (address === undefined) return null;
  return address.map((text) => {
    const parsed = parseAddress(text);
    if (parsed === null) throw new UsageError(`\`${text}\` is not an IP address`);
    return parsed;
  });
}

export function identityOf({ device, user, app }: Assumptions): Identity {
  return {
    deviceId: (device ?? 'any-device').toLowerCase(),
    user: user ?? null,
    serial: null,
    app: app ?? null,
    fingerprint: 'assumed',
    certificateSerial: '',
    subjectText: '',
    notAfter: Number.MAX_SAFE_INTEGER,
  };
}

export async function postureOf(
  options: Assumptions,
  loaded: Loaded,
  now: number,
): Promise<PostureFacts> {
  const { device, posture } = options;
  const { compliance = posture === undefined ? undefined : complianceOf[posture] } = options;
  if (compliance === 'unknown_device') return { report: null, known: true };
  if (compliance !== undefined) {
    return { report: assumedReport(options, compliance, now), known: true };
  }
  if (device === undefined) {
    throw new UsageError(
      'name a device (--device UDID), or say what to assume (--posture healthy)',
    );
  }
  const told = (['platform', 'group', 'tag'] as const).find((key) => options[key] !== undefined);
  if (told !== undefined) {
    throw new UsageError(`the source says what --${told} would: add --posture, or leave it out`);
  }
  const report = await reportOf(device, loaded, 'assume something with --posture');
  if (report === null || options.at === undefined) return { report, known: true };
  // The report is as fresh at the assumed moment as it is now.
  const lastSeen = report.lastSeen && now;
  return { report: { ...report, fetchedAt: now, lastSeen }, known: true };
}

/** What most reports of such a device say. */
const complianceOf = { healthy: 'compliant', unhealthy: 'non_compliant' } as const;

function assumedReport(
  { device, user, posture, platform, group, tag }: Assumptions,
  compliance: PostureReport['compliance'],
  now: number,
): PostureReport {
  return {
    source: 'assumed',
    id: posture ?? compliance,
    deviceId: device ?? 'any-device',
    serial: null,
    user: user ?? null,
    platform: platform ?? null,
    groups: group ?? [],
    tags: tag ?? [],
    ownership: null,
    osVersion: null,
    model: null,
    enrollment: 'enrolled',
    compliance,
    compromised: 'no',
    lastSeen: now,
    fetchedAt: now,
  };
}
