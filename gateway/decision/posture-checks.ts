// The checks of the admission policy: what a device must be like, each check by the name it has in the configuration.

import { isAtLeast, type OsVersion, parseOsVersion } from './os-version.ts';
import type { PostureReport } from './posture.ts';

/** In the order in which they are said: what is worst, and what explains the others, first. */
export const checks = [
  'enrollment',
  'compromise',
  'compliance',
  'seenWithin',
  'ownership',
  'osVersion',
  'groups',
  'tags',
] as const;
export type Check = (typeof checks)[number];

/** What passes is named and everything else refuses, so that a value this code has never seen cannot pass. The good
 *  state passes always; the sets say what else does. */
export interface Requirements {
  readonly enrollment: ReadonlySet<PostureReport['enrollment']>;
  readonly compromise: ReadonlySet<PostureReport['compromised']>;
  readonly compliance: ReadonlySet<PostureReport['compliance']>;
  /** Null does not ask when the device was seen. */
  readonly seenWithinMs: number | null;
  /** Null does not ask whose it is. */
  readonly ownership: ReadonlySet<PostureReport['ownership']> | null;
  /** The lowest that passes, by platform; a platform that is not named has none. */
  readonly osVersion: ReadonlyMap<string, OsVersion>;
  readonly groups: Membership;
  readonly tags: Membership;
}

/** Empty lists ask for nothing. */
export interface Membership {
  readonly anyOf: readonly string[];
  readonly allOf: readonly string[];
  readonly noneOf: readonly string[];
}

export type CheckReason =
  | 'posture.not_enrolled'
  | 'posture.enrolling'
  | 'posture.wiped'
  | 'posture.compromised'
  | 'posture.non_compliant'
  | 'posture.in_grace_period'
  | 'posture.not_evaluated'
  | 'posture.pending'
  | 'posture.not_seen'
  | 'posture.ownership'
  | 'posture.os_outdated'
  | 'posture.os_unknown'
  | 'posture.groups'
  | 'posture.tags';

type Verdict = CheckReason | null;

const verdicts: Readonly<
  Record<Check, (report: PostureReport, required: Requirements, now: number) => Verdict>
> = {
  enrollment({ enrollment }, required) {
    if (enrollment === 'enrolled' || required.enrollment.has(enrollment)) return null;
    if (enrollment === 'pending') return 'posture.enrolling';
    return enrollment === 'wiped' ? 'posture.wiped' : 'posture.not_enrolled';
  },
  compromise({ compromised }, required) {
    if (compromised === 'no' || required.compromise.has(compromised)) return null;
    return compromised === 'unknown' ? 'posture.not_evaluated' : 'posture.compromised';
  },
  compliance({ compliance }, required) {
    if (compliance === 'compliant' || required.compliance.has(compliance)) return null;
    return `posture.${compliance}`;
  },
  seenWithin({ lastSeen }, { seenWithinMs }, now) {
    if (seenWithinMs === null) return null;
    if (lastSeen === null) return 'posture.not_seen';
    return ageOf(lastSeen, now) <= seenWithinMs ? null : 'posture.not_seen';
  },
  ownership({ ownership }, required) {
    return required.ownership === null || required.ownership.has(ownership)
      ? null
      : 'posture.ownership';
  },
  osVersion({ platform, osVersion }, required) {
    if (required.osVersion.size === 0) return null;
    if (platform === null) return 'posture.os_unknown';
    const floor = required.osVersion.get(platform);
    if (floor === undefined) return null;
    const version = osVersion === null ? null : parseOsVersion(osVersion);
    if (version === null) return 'posture.os_unknown';
    return isAtLeast(version, floor) ? null : 'posture.os_outdated';
  },
  groups: ({ groups }, required) => (isMember(groups, required.groups) ? null : 'posture.groups'),
  tags: ({ tags }, required) => (isMember(tags, required.tags) ? null : 'posture.tags'),
};

export function judgeCheck(
  check: Check,
  report: PostureReport,
  { required, now }: { readonly required: Requirements; readonly now: number },
): Verdict {
  return verdicts[check](report, required, now);
}

/** A clock that runs ahead of ours makes a moment "now", not "in the future"; NaN stays NaN and refuses. */
export function ageOf(moment: number, now: number): number {
  return Math.max(0, now - moment);
}

function isMember(has: readonly string[], { anyOf, allOf, noneOf }: Membership): boolean {
  if (anyOf.length > 0 && !anyOf.some((one) => has.includes(one))) return false;
  return allOf.every((one) => has.includes(one)) && !noneOf.some((one) => has.includes(one));
}
