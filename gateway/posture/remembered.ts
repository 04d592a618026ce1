// What the cache remembers of a device, and until when it is believed without asking again.

import type { PostureFacts, PostureReport } from '../decision/posture.ts';

export interface Remembered {
  readonly facts: PostureFacts;
  readonly since: number;
  readonly freshUntil: number;
  readonly order: number; // of the question: an older answer does not replace a newer one
  readonly named: PostureReport | null; // the last report ever: events of a device now unknown still find it
}

export function isFresh(entry: Remembered | undefined, now: number): entry is Remembered {
  // A clock that was set back must not keep a report fresh until it has caught up.
  return entry !== undefined && entry.since <= now && now < entry.freshUntil;
}

// A worker learns from its primary: what counts is when the UEM told that.
export function learnedAt({ report, known }: PostureFacts, now: number): number {
  return known && report !== null ? Math.min(report.fetchedAt, now) : now;
}

// All that a verdict or the choice of a rule set depends on; `fetchedAt` only moves with the clock.
export function sameFacts(a: PostureFacts, b: PostureFacts): boolean {
  if (a.known !== b.known) return false;
  if (a.report === null || b.report === null) return a.report === b.report;
  const timeless = (report: PostureReport) => JSON.stringify({ ...report, fetchedAt: null });
  return timeless(a.report) === timeless(b.report);
}
