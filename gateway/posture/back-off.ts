// When a failing source may be asked again: at once after a slip, ever later while it stays down.

export interface BackOff {
  // A ticket for one attempt, to be handed back with its outcome; null while the source is left alone.
  enter(now: number): Ticket | null;
  succeeded(): void;
  // The attempt ended without telling anything; after an outcome this does nothing.
  leave(ticket: Ticket): void;
  failed(ticket: Ticket, now: number, retryAfterMs: number | null): void;
}

export interface Ticket {
  readonly round: number;
}

const FAILURES_TO_CLOSE = 3;
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 10_000;
// Pauses are shortened by up to this part, so that gateways that failed together do not come back together.
const JITTER = 0.25;
// Longer wishes would outlast any reasonable grace and lock every device out.
const MAX_RETRY_AFTER_MS = 300_000;

export function createBackOff(random: () => number = Math.random): BackOff {
  let round = 0; // consecutive failures; many attempts in flight at the same time fail once
  let closedUntil = 0;
  let probe: Ticket | null = null;

  return {
    enter(now) {
      if (now < closedUntil) return null;
      const ticket = { round };
      if (round < FAILURES_TO_CLOSE) return ticket;
      // It was down: one attempt finds out for everybody.
      if (probe !== null) return null;
      probe = ticket;
      return ticket;
    },
    succeeded() {
      round = 0;
      closedUntil = 0;
      probe = null;
    },
    leave(ticket) {
      if (probe === ticket) probe = null;
    },
    failed(ticket, now, retryAfterMs) {
      if (probe === ticket) probe = null;
      if (ticket.round === round) round += 1;
      const pauseMs = Math.min(retryAfterMs ?? pauseAfter(round, random()), MAX_RETRY_AFTER_MS);
      closedUntil = Math.max(closedUntil, now + pauseMs);
    },
  };
}

function pauseAfter(round: number, random: number): number {
  if (round < FAILURES_TO_CLOSE) return 0;
  const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (round - FAILURES_TO_CLOSE));
  return pauseMs * (1 - JITTER * random);
}
