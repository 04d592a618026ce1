// One attempt to ask a source: with a deadline, and not at all while the source is to be left alone.

import type { PostureReport } from '../decision/posture.ts';
import { createBackOff, type Ticket } from './back-off.ts';
import { type PostureSource, type Relayed, SourceError } from './source.ts';

export interface PostureHealth {
  readonly ok: boolean;
  readonly lastSuccess: number | null;
  readonly lastError: string | null; // cleared by the next success
}

export type Outcome =
  | { readonly kind: 'answered'; readonly report: PostureReport | null }
  | { readonly kind: 'unbelievable' } // the source is there, but what it says about this device cannot be used
  | { readonly kind: 'outage'; readonly relayed: Relayed | null }
  | { readonly kind: 'left_alone' };

export interface Asking {
  ask(deviceId: string): Promise<Outcome>;
  health(): PostureHealth;
  close(): void; // ends what is in flight
}

export function createAsking(
  source: PostureSource,
  options: { readonly deadlineMs: number; readonly now: () => number },
): Asking {
  const { deadlineMs, now } = options;
  const backOff = createBackOff();
  const inFlight = new Set<AbortController>();
  let health: PostureHealth = { ok: true, lastSuccess: null, lastError: null };
  let closed = false;

  async function fetchInTime(deviceId: string): Promise<PostureReport | null> {
    const controller = new AbortController();
    const { signal } = controller;
    inFlight.add(controller);
    // Made when it is late, not before: an error with its stack costs more than the rest of a question.
    const late = (): void =>
      controller.abort(new SourceError('outage', `no answer within ${deadlineMs} ms`));
    const deadline = setTimeout(late, deadlineMs);
    try {
      const report = await Promise.race([source.fetch(deviceId, signal), rejectedBy(signal)]);
      if (report === null || report.deviceId === deviceId) return report;
      throw new SourceError('answer', 'the answer is about another device');
    } finally {
      clearTimeout(deadline);
      inFlight.delete(controller);
    }
  }

  function judgeFailure(ticket: Ticket, error: unknown): Outcome {
    const { kind, message, retryAfterMs, relayed } = asSourceError(error);
    if (kind === 'answer') {
      backOff.succeeded();
      health = { ...health, ok: true, lastError: message };
      return { kind: 'unbelievable' };
    }
    // Who was asked is there and leaves the source alone by itself: it is asked again, about every device.
    if (relayed === null) backOff.failed(ticket, now(), retryAfterMs);
    else backOff.succeeded();
    health = { ...health, ok: false, lastError: message };
    return { kind: 'outage', relayed };
  }

  return {
    async ask(deviceId) {
      const ticket = closed ? null : backOff.enter(now());
      if (ticket === null) return { kind: 'left_alone' };
      try {
        const report = await fetchInTime(deviceId);
        backOff.succeeded();
        health = { ok: true, lastSuccess: now(), lastError: null };
        return { kind: 'answered', report };
      } catch (error) {
        return judgeFailure(ticket, error);
      }
    },
    health: () => health,
    close() {
      closed = true;
      const reason = new SourceError('outage', 'the gateway is closing');
      for (const controller of inFlight) controller.abort(reason);
    },
  };
}

// For sources that do not obey their signal.
function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function asSourceError(error: unknown): SourceError {
  if (error instanceof SourceError) return error;
  return new SourceError('outage', 'the posture source failed', { cause: error });
}
