// One device as the admin API and the command line show it: what its UEM said, when, what fails, and what mends it.

import { blockHolds, type DeviceFacts } from './decision/block.ts';
import { judgePosture, type PosturePolicy } from './decision/posture.ts';
import { type Reason, reasons } from './decision/reasons.ts';

/** Times are RFC 3339 in UTC. */
export type DeviceRow = ReturnType<typeof deviceRow>;

export function deviceRow(
  deviceId: string,
  { report, known, block }: DeviceFacts,
  policy: PosturePolicy,
  now: number,
) {
  const holds = blockHolds(block, now) ? block : null;
  const verdict = judgePosture({ report, known }, policy, now);
  return {
    device_id: deviceId,
    source: report?.source ?? null,
    /** The device's number there. */
    uem_id: report?.id ?? null,
    serial: report?.serial ?? null,
    user: report?.user ?? null,
    platform: report?.platform ?? null,
    os_version: report?.osVersion ?? null,
    model: report?.model ?? null,
    ownership: report?.ownership ?? null,
    groups: report?.groups ?? [],
    tags: report?.tags ?? [],
    enrollment: report?.enrollment ?? null,
    compliance: report?.compliance ?? null,
    compromised: report?.compromised ?? null,
    last_seen: timeOf(report?.lastSeen ?? null),
    fetched_at: timeOf(report?.fetchedAt ?? null),
    /** False: the source could not be asked the last time, or nobody has asked since the start. */
    source_answered: known,
    ...verdictOf(holds ? 'posture.blocked' : verdict.reason),
    /** Which of `posture.admit` refuses; then what would, but for report-only and exceptions. */
    failed_check: verdict.check,
    would_refuse: verdict.wouldRefuse.map(({ check }) => check),
    exceptions: verdict.excepted.map(({ check, exception }) => ({
      check,
      why: exception.why,
      until: timeOf(exception.until),
    })),
    block: holds && {
      reason: holds.reason,
      by: holds.by,
      since: timeOf(holds.since),
      until: timeOf(holds.until),
    },
  };
}

/** The same sentences that the person at the device reads. */
function verdictOf(reason: Reason | null) {
  if (reason === null) return { passes: true, reason: null, sentence: null, fix: null };
  const { sentence, fix } = reasons[reason];
  return { passes: false, reason, sentence, fix };
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
