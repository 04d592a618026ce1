// Posture: what a UEM reports about a device, and whether the operator's policy lets that pass.

// `registered`: known to the UEM without being managed by it. `pending`: enrolling. `wiped`: its wipe is asked for.
export type Enrollment = 'enrolled' | 'registered' | 'pending' | 'unenrolled' | 'wiped';

// `in_grace_period`: a requirement is not met, and its UEM gives the device time. `not_evaluated`: nobody has looked.
export type Compliance =
  | 'compliant'
  | 'in_grace_period'
  | 'non_compliant'
  | 'not_evaluated'
  | 'pending';

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
  readonly maxSeenAgeMs: number | null;
  readonly acceptNotEvaluated: boolean;
  readonly acceptPending: boolean;
  readonly acceptUnknownCompromise: boolean;
}

export type PostureReason =
  | 'posture.unknown_device'
  | 'posture.unavailable'
  | 'posture.not_enrolled'
  | 'posture.compromised'
  | 'posture.non_compliant'
  | 'posture.not_evaluated'
  | 'posture.pending'
  | 'posture.not_seen'
  | 'posture.stale';

// Null when the posture may pass. Says what is wrong with the device before what is wrong with the report.
export function judgePosture(
  facts: PostureFacts,
  policy: PosturePolicy,
  now: number,
): PostureReason | null {
  const { report, known } = facts;
  if (report === null) return known ? 'posture.unknown_device' : 'posture.unavailable';
  return (
    judgeEnrollment(report) ??
    judgeCompromise(report, policy) ??
    judgeCompliance(report, policy) ??
    judgeSeen(report, policy, now) ??
    judgeAge(report, known, policy, now)
  );
}

// What passes is named and everything else refuses, so that a value this code has never seen cannot pass.

function judgeEnrollment(report: PostureReport): PostureReason | null {
  return report.enrollment === 'enrolled' ? null : 'posture.not_enrolled';
}

function judgeCompromise(report: PostureReport, policy: PosturePolicy): PostureReason | null {
  if (report.compromised === 'no') return null;
  if (report.compromised !== 'unknown') return 'posture.compromised';
  return policy.acceptUnknownCompromise ? null : 'posture.not_evaluated';
}

function judgeCompliance(report: PostureReport, policy: PosturePolicy): PostureReason | null {
  if (report.compliance === 'compliant') return null;
  if (report.compliance === 'not_evaluated' && policy.acceptNotEvaluated) return null;
  if (report.compliance === 'pending' && policy.acceptPending) return null;
  if (report.compliance === 'in_grace_period') return 'posture.non_compliant';
  return `posture.${report.compliance}`;
}

function judgeSeen(
  report: PostureReport,
  policy: PosturePolicy,
  now: number,
): PostureReason | null {
  if (policy.maxSeenAgeMs === null) return null;
  if (report.lastSeen === null) return 'posture.not_seen';
  return ageOf(report.lastSeen, now) <= policy.maxSeenAgeMs ? null : 'posture.not_seen';
}

// An outage is bridged for the declared grace, counted from the last good answer (threats P07). Bad
// verdicts never come this far, so grace can only prolong a good one.
function judgeAge(
  report: PostureReport,
  known: boolean,
  policy: PosturePolicy,
  now: number,
): PostureReason | null {
  const age = ageOf(report.fetchedAt, now);
  if (age <= policy.maxReportAgeMs) return null;
  if (known) return 'posture.stale';
  return age <= policy.graceMs ? null : 'posture.unavailable';
}

// A clock that runs ahead of ours makes a moment "now", not "in the future"; NaN stays NaN and refuses.
function ageOf(moment: number, now: number): number {
  return Math.max(0, now - moment);
}
