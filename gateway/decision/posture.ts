// Posture: what a UEM reports about a device, and whether the operator's policy lets that pass.

import {
  ageOf,
  type Check,
  type CheckReason,
  checks,
  judgeCheck,
  type Requirements,
} from './posture-checks.ts';

// `registered`: known to the UEM without being managed by it. `pending`: enrolling. `wiped`: its wipe is asked for.
export type Enrollment = 'enrolled' | 'registered' | 'pending' | 'unenrolled' | 'wiped';

// `in_grace_period`: a requirement is not met, and its UEM gives the device time. `not_evaluated`: nobody has looked.
export const compliances = [
  'compliant',
  'in_grace_period',
  'non_compliant',
  'not_evaluated',
  'pending',
] as const;
export type Compliance = (typeof compliances)[number];

export type Ownership = 'corporate' | 'personal' | 'shared';

export interface PostureReport {
  readonly source: string;
  // The device's number in the UEM, for example `616`.
  readonly id: string;
  // The UDID in canonical form.
  readonly deviceId: string;
  readonly serial: string | null;
  readonly user: string | null;
  // ios, macos, android, windows, chromeos, linux; null when the UEM names something else.
  readonly platform: string | null;
  readonly groups: readonly string[];
  // Tags or smart groups, where the source knows of any.
  readonly tags: readonly string[];
  readonly ownership: Ownership | null;
  // As the UEM writes it, for example `18.1.0`.
  readonly osVersion: string | null;
  readonly model: string | null;
  readonly enrollment: Enrollment;
  readonly compliance: Compliance;
  readonly compromised: 'yes' | 'no' | 'unknown';
  // When the device last spoke to the UEM, in milliseconds.
  readonly lastSeen: number | null;
  // When the source said all this, in milliseconds.
  readonly fetchedAt: number;
}

// `known` false: the source could not be asked, and `report` is the last it gave, if any.
// `known` true without a report: the source says that it has no such device.
export interface PostureFacts {
  readonly report: PostureReport | null;
  readonly known: boolean;
}

export interface PosturePolicy {
  readonly maxReportAgeMs: number;
  readonly graceMs: number;
  readonly required: Requirements;
  // Checks that only say what they would have refused.
  readonly reportOnly: ReadonlySet<Check>;
  // By device.
  readonly exceptions: ReadonlyMap<string, readonly PostureException[]>;
}

// Lets one device pass some checks for a while.
export interface PostureException {
  readonly checks: ReadonlySet<Check>;
  readonly why: string;
  // The first moment at which it no longer holds, in milliseconds.
  readonly until: number;
}

export type PostureReason =
  | 'posture.unknown_device'
  | 'posture.unavailable'
  | 'posture.stale'
  | CheckReason;

export interface Finding {
  readonly check: Check;
  readonly reason: CheckReason;
}

export interface Excepted extends Finding {
  readonly exception: PostureException;
}

export interface PostureVerdict {
  // Null lets the device pass.
  readonly reason: PostureReason | null;
  // The check that refuses, where it is one of them.
  readonly check: Check | null;
  // What does not hold and refuses nothing: its check is report-only, or an exception covers it.
  readonly wouldRefuse: readonly Finding[];
  readonly excepted: readonly Excepted[];
}

// A clock may be set back, and another gateway's may run ahead. Beyond that nobody can tell how old a report is.
const skewMs = 300_000;

// Says what is wrong with the device before what is wrong with the report.
export function judgePosture(
  facts: PostureFacts,
  policy: PosturePolicy,
  now: number,
): PostureVerdict {
  const { report, known } = facts;
  if (report === null) {
    return refusedFor(known ? 'posture.unknown_device' : 'posture.unavailable', null);
  }
  const wouldRefuse: Finding[] = [];
  const excepted: Excepted[] = [];
  for (const finding of failedChecks(report, policy.required, now)) {
    const exception = exceptionFor(report.deviceId, finding.check, policy, now);
    if (exception !== null) excepted.push({ ...finding, exception });
    else if (policy.reportOnly.has(finding.check)) wouldRefuse.push(finding);
    else return refusedFor(finding.reason, finding.check);
  }
  return { reason: judgeAge(facts, report, policy, now), check: null, wouldRefuse, excepted };
}

// Every check that does not hold, whoever is excepted from it.
export function failedChecks(
  report: PostureReport,
  required: Requirements,
  now: number,
): readonly Finding[] {
  const failed: Finding[] = [];
  for (const check of checks) {
    const reason = judgeCheck(check, report, { required, now });
    if (reason !== null) failed.push({ check, reason });
  }
  return failed;
}

// The next moment at which time alone may change the verdict; null when none will.
export function nextVerdict(
  { report, known }: PostureFacts,
  policy: PosturePolicy,
  now: number,
): number | null {
  if (report === null) return null;
  const { maxReportAgeMs, graceMs, required, exceptions } = policy;
  const moments = [report.fetchedAt + maxReportAgeMs + 1];
  if (!known) moments.push(report.fetchedAt + graceMs + 1);
  if (required.seenWithinMs !== null && report.lastSeen !== null) {
    moments.push(report.lastSeen + required.seenWithinMs + 1);
  }
  for (const { until } of exceptions.get(report.deviceId) ?? []) moments.push(until);
  const coming = moments.filter((moment) => moment > now);
  return coming.length === 0 ? null : Math.min(...coming);
}

function refusedFor(reason: PostureReason, check: Check | null): PostureVerdict {
  return { reason, check, wouldRefuse: [], excepted: [] };
}

function exceptionFor(
  deviceId: string,
  check: Check,
  { exceptions }: PosturePolicy,
  now: number,
): PostureException | null {
  const own = exceptions.get(deviceId) ?? [];
  return own.find((one) => one.checks.has(check) && now < one.until) ?? null;
}

// An outage is bridged for the declared grace, counted from the last good answer (threats P07). Bad
// verdicts never come this far, so grace can only prolong a good one.
function judgeAge(
  { known }: PostureFacts,
  { fetchedAt }: PostureReport,
  { maxReportAgeMs, graceMs }: PosturePolicy,
  now: number,
): PostureReason | null {
  const age = ageOf(fetchedAt, now);
  const isDatable = fetchedAt <= now + skewMs;
  if (isDatable && age <= maxReportAgeMs) return null;
  if (known) return 'posture.stale';
  return isDatable && age <= graceMs ? null : 'posture.unavailable';
}
