// One attempt to ask a source: with a deadline, and not at all while the source is to be left alone.

import type { PostureReport } from '../decision/posture.ts';
import { createBackOff, type Ticket } from './back-off.ts';
import {
  type ChangePage,
  type Mark,
  type PostureSource,
  type Relayed,
  SourceError,
} from './source.ts';

export interface SourceHealth {
  readonly source: string;
  readonly ok: boolean;
  readonly lastSuccess: number | null;
  readonly lastError: string | null; // cleared by the next success
}

export type Outcome =
  | { readonly kind: 'answered'; readonly report: PostureReport | null }
  | { readonly kind: 'unbelievable' } // the source is there, but what it says about this device cannot be used
  | { readonly kind: 'outage'; readonly relayed: Relayed | null }
  | { readonly kind: 'left_alone' };

// The name of the source that last knew a device; null when none ever did.
export type KnownTo = (deviceId: string) => string | null;

export interface SourceChanges extends ChangePage {
  readonly source: string;
}

export interface Asking {
  // How many devices one call of `askMany` takes; 0 when nobody can be asked about many.
  readonly most: number;
  ask(deviceId: string, knownTo: KnownTo): Promise<Outcome>;
  // What could not be told from this is missing from the map, and has to be asked for alone.
  askMany(
    deviceIds: readonly string[],
    knownTo: KnownTo,
  ): Promise<ReadonlyMap<string, Exclude<Outcome, { kind: 'unbelievable' }>>>;
  // Of each source by its name, since its mark. Throws a SourceError when one of them cannot tell. Sources that
  // keep no account of changes are left out.
  changes(
    since: ReadonlyMap<string, Mark>,
    knownTo: KnownTo,
    signal: AbortSignal,
  ): AsyncIterable<SourceChanges>;
  // In the declared order.
  health(): readonly SourceHealth[];
  close(): void; // ends what is in flight
}

export interface AskingOptions {
  readonly deadlineMs: number;
  readonly now: () => number;
  // From 0 to 1, for pauses that differ; a test has its own.
  readonly random?: () => number;
}

// Nobody waits for many at once, and one look-up of many may be several calls.
const MANY_DEADLINES = 4;

export function createAsking(source: PostureSource, options: AskingOptions): Asking {
  const { deadlineMs, now } = options;
  const { name, bulk } = source;
  const backOff = createBackOff(options.random);
  const inFlight = new Set<AbortController>();
  let health: SourceHealth = { source: name, ok: true, lastSuccess: null, lastError: null };
  let closed = false;

  async function inTime<T>(
    limitMs: number,
    question: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const controller = new AbortController();
    const { signal } = controller;
    inFlight.add(controller);
    // Made when it is late, not before: an error with its stack costs more than the rest of a question.
    const late = (): void =>
      controller.abort(new SourceError('outage', `no answer within ${limitMs} ms`));
    const deadline = setTimeout(late, limitMs);
    try {
      return await Promise.race([question(signal), rejectedBy(signal)]);
    } finally {
      clearTimeout(deadline);
      inFlight.delete(controller);
    }
  }

  function succeeded(): void {
    backOff.succeeded();
    health = { ...health, ok: true, lastSuccess: now(), lastError: null };
  }

  function judgeFailure(ticket: Ticket, error: unknown): Exclude<Outcome, { kind: 'answered' }> {
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
    most: bulk?.most ?? 0,
    async ask(deviceId) {
      const ticket = closed ? null : backOff.enter(now());
      if (ticket === null) return { kind: 'left_alone' };
      try {
        const report = await inTime(deadlineMs, (signal) => source.fetch(deviceId, signal));
        requireSame(report, deviceId);
        succeeded();
        return { kind: 'answered', report };
      } catch (error) {
        return judgeFailure(ticket, error);
      }
    },
    async askMany(deviceIds) {
      if (bulk === undefined) return new Map();
      const ticket = closed ? null : backOff.enter(now());
      if (ticket === null) return forAll(deviceIds, { kind: 'left_alone' });
      try {
        const limitMs = deadlineMs * MANY_DEADLINES;
        const reports = await inTime(limitMs, (signal) => bulk.fetch(deviceIds, signal));
        for (const [deviceId, report] of reports) requireSame(report, deviceId);
        succeeded();
        return new Map(
          [...reports].map(([deviceId, report]) => [deviceId, { kind: 'answered', report }]),
        );
      } catch (error) {
        const outcome = judgeFailure(ticket, error);
        // An answer that cannot be used says nothing about any of them.
        return outcome.kind === 'unbelievable' ? new Map() : forAll(deviceIds, outcome);
      }
    },
    async *changes(since, _, signal) {
      if (source.changes === undefined) return;
      const ticket = closed ? null : backOff.enter(now());
      if (ticket === null) throw new SourceError('outage', `\`${name}\` is being left alone`);
      const controller = new AbortController();
      inFlight.add(controller);
      try {
        const either = AbortSignal.any([signal, controller.signal]);
        for await (const page of source.changes(since.get(name) ?? null, either)) {
          succeeded();
          yield { source: name, ...page };
        }
      } catch (error) {
        // Whoever asked has changed its mind: no fault of the source.
        if (!signal.aborted) judgeFailure(ticket, error);
        throw error;
      } finally {
        backOff.leave(ticket);
        inFlight.delete(controller);
      }
    },
    health: () => [health],
    close() {
      closed = true;
      const reason = new SourceError('outage', 'the gateway is closing');
      for (const controller of inFlight) controller.abort(reason);
    },
  };
}

function requireSame(report: PostureReport | null, deviceId: string): void {
  if (report === null || report.deviceId === deviceId) return;
  throw new SourceError('answer', 'the answer is about another device');
}

function forAll<T>(deviceIds: readonly string[], outcome: T): ReadonlyMap<string, T> {
  return new Map(deviceIds.map((deviceId) => [deviceId, outcome]));
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
