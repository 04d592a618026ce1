// Says in log and readiness that a posture source does not answer, since when, and what good reports count meanwhile.

import type { Log } from '../../runtime/log.ts';
import type { Readiness } from '../../runtime/readiness.ts';
import type { SourceHealth } from './asking.ts';
import { createRounds, type Rounds } from './rounds.ts';

export interface OutageWatchOptions {
  readonly health: () => readonly SourceHealth[];
  /** The declared grace in force, in milliseconds. */
  readonly graceMs: () => number;
  readonly log: Log;
  readonly readiness: Readiness;
  readonly now: () => number;
  readonly everyMs?: number;
}

/** A UEM that is down is no reason to send devices elsewhere: whoever asks is told, and the check stays `ok`. */
export function watchOutages(options: OutageWatchOptions): Rounds {
  const { health, graceMs, log, readiness, now, everyMs = 1000 } = options;
  const downSince = new Map<string, number>();

  function look(): Promise<void> {
    for (const { source, ok, lastError } of health()) {
      if (ok === !downSince.has(source)) continue;
      const fields = { 'event.name': 'zonegate.posture', 'zonegate.source': source };
      if (ok) {
        downSince.delete(source);
        log.info(fields, 'the posture source answers again');
      } else {
        downSince.set(source, now());
        const grace = { 'zonegate.grace_ms': graceMs(), 'error.message': lastError };
        log.warn({ ...fields, ...grace }, `the posture source does not answer: ${meanwhile()}`);
      }
    }
    readiness.set('posture', state());
    return Promise.resolve();
  }

  function meanwhile(): string {
    const ms = graceMs();
    return ms === 0
      ? 'no report counts longer than usual'
      : `good reports count for ${Math.round(ms / 1000)} s`;
  }

  function state(): string {
    if (downSince.size === 0) return 'ok';
    const down = [...downSince].map(
      ([source, since]) => `\`${source}\` since ${new Date(since).toISOString().slice(0, 19)}Z`,
    );
    return `ok: no answer from ${down.join(', ')}; ${meanwhile()}`;
  }

  readiness.set('posture', 'ok');
  return createRounds(everyMs, look);
}
