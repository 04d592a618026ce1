// The posture cache: every device's last report in memory, and one question in flight per device.

import { LRUCache } from 'lru-cache';
import type { PostureFacts, PostureReport } from '../decision/posture.ts';
import type { Outcome, SourceHealth } from './asking.ts';
import { createAskingInOrder, type OrderedSource } from './asking-in-order.ts';
import { createDeviceIndex, type DeviceHint } from './device-index.ts';
import type { PostureSource } from './source.ts';

/** What outlives this process: the last report of every device. Called on the path of every answer, so it must not wait. */
export interface PostureStore {
  load(): Iterable<PostureReport> | AsyncIterable<PostureReport>;
  remember(reports: readonly PostureReport[]): void;
  /** They are unknown to the source now, or it says something about them that cannot be believed. */
  forget(deviceIds: readonly string[]): void;
}

export interface PostureCacheOptions {
  // Or several in their declared order.
  readonly source: PostureSource | readonly OrderedSource[];
  readonly maxAgeMs: number; // a report is used for this long without asking again
  readonly ages?: 'since-fetched'; // counted from when its source had it, however many hands it went through
  readonly negativeMs: number; // "no such device" is believed for this long
  readonly maxDevices: number;
  readonly deadlineMs: number;
  readonly recheckMs: number;
  readonly now: () => number;
  readonly random?: () => number;
  readonly store?: PostureStore;
}

// `learnedAt`: when the source said so, or when this was noticed.
export type FactsListener = (deviceId: string, facts: PostureFacts, learnedAt: number) => void;

export interface PostureCache {
  // From memory while fresh, else from the source. A failing source is `known: false`, not an error.
  facts(deviceId: string): Promise<PostureFacts>;
  // What is in memory, however old: judging it with the clock says what it is worth.
  peek(deviceId: string): PostureFacts | undefined;
  // From the source, by a request that begins after this call.
  refresh(deviceId: string): Promise<PostureFacts>;
  // Asks again for those no longer fresh, and tells the listeners about every one: grace runs out by time alone.
  recheck(deviceIds: Iterable<string>): Promise<void>;
  // Takes over what the store has; each of it is asked again before it is believed.
  restore(): Promise<void>;
  // Somebody credible contradicts the last report while the source is silent: it earns no grace any more.
  distrust(deviceId: string): void;
  // What another gateway has learnt: taken over when it is newer than what is here, else asked about if it differs.
  take(report: PostureReport): void;
  // The source has new answers: what it said until now is not believed without asking again.
  outdate(): void;
  // Re-checks every `recheckMs` until `close`.
  start(liveDevices: () => Iterable<string>): void;
  // Returns how to stop listening.
  onChange(listener: FactsListener): () => void;
  // A device seen before; by UDID only when its number and serial lead nowhere.
  findDevice(hint: DeviceHint): string | null;
  // Of every source, in the declared order.
  health(): readonly SourceHealth[];
  close(): void;
}

interface Entry {
  readonly facts: PostureFacts;
  readonly since: number;
  readonly freshUntil: number;
  readonly edition: number; // that of the source when it was asked
  readonly named: PostureReport | null; // the last report ever: events of a device now unknown still find it
}

interface Flight {
  readonly edition: number;
  readonly done: Promise<PostureFacts>;
  next: Promise<PostureFacts> | null;
}

// A failure is an answer too, for this long: sixty connections of one device are one question (threats P09).
const FAILURE_MS = 1_000;
const RECHECKS_AT_ONCE = 16;

export function createPostureCache(options: PostureCacheOptions): PostureCache {
  const { source, now } = options;
  const asking = createAskingInOrder(
    'name' in source ? [{ source, whileDown: 'refuse' }] : source,
    options,
  );
  const index = createDeviceIndex();
  const flights = new Map<string, Flight>();
  const listeners = new Set<FactsListener>();
  let timer: NodeJS.Timeout | null = null;
  let closed = false;
  let edition = 0;
  const entries = new LRUCache<string, Entry>({
    max: options.maxDevices,
    dispose({ named }) {
      if (named !== null) index.remove(named);
    },
  });

  function tell(deviceId: string, facts: PostureFacts, learnedAt: number): void {
    for (const listener of listeners) listener(deviceId, facts, learnedAt);
  }

  function store(
    deviceId: string,
    facts: PostureFacts,
    { freshForMs, asked }: { readonly freshForMs: number; readonly asked: number },
  ): PostureFacts {
    const before = entries.peek(deviceId);
    const since = now();
    const named = facts.report ?? before?.named ?? null;
    const freshUntil = since + freshForMs;
    entries.set(deviceId, { facts, since, freshUntil, edition: asked, named });
    if (named !== null) index.add(named);
    if (facts.known && facts.report !== null) options.store?.remember([facts.report]);
    else if (facts.report === null) options.store?.forget([deviceId]);
    if (before === undefined || !sameFacts(before.facts, facts)) {
      tell(deviceId, facts, learnedAt(facts, since));
    }
    return facts;
  }

  function settle(deviceId: string, outcome: Outcome, asked: number): PostureFacts {
    const last = entries.peek(deviceId)?.facts.report ?? null;
    switch (outcome.kind) {
      case 'answered': {
        const { report } = outcome;
        const age = options.ages && report ? now() - report.fetchedAt : 0;
        const freshForMs = report === null ? options.negativeMs : options.maxAgeMs - age;
        return store(deviceId, { report, known: true }, { freshForMs, asked });
      }
      // Grace is for silence, not for an answer that contradicts itself (threats P06).
      case 'unbelievable':
        return store(deviceId, { report: null, known: false }, { freshForMs: FAILURE_MS, asked });
      // Whoever relays has the longer memory, and knows too when a report must no longer be believed.
      case 'outage': {
        const report = outcome.relayed === null ? last : outcome.relayed.last;
        return store(deviceId, { report, known: false }, { freshForMs: FAILURE_MS, asked });
      }
      // Devices never seen leave no trace: an outage must not push good reports out of memory.
      case 'left_alone':
        if (!entries.has(deviceId)) return { report: null, known: false };
        return store(deviceId, { report: last, known: false }, { freshForMs: 0, asked });
    }
  }

  const knownTo = (deviceId: string): string | null =>
    entries.peek(deviceId)?.named?.source ?? null;

  // Invariant: one question in flight per device.
  function ask(deviceId: string): Promise<PostureFacts> {
    const current = flights.get(deviceId);
    if (current !== undefined) return current.done;
    const asked = edition;
    const done = asking
      .ask(deviceId, knownTo)
      .then((outcome) => settle(deviceId, outcome, asked))
      .finally(() => flights.delete(deviceId));
    flights.set(deviceId, { edition: asked, done, next: null });
    return done;
  }

  // What is in flight may speak of the time before: one more follows, for all who ask meanwhile.
  function refresh(deviceId: string): Promise<PostureFacts> {
    const flight = flights.get(deviceId);
    if (flight === undefined) return ask(deviceId);
    flight.next ??= flight.done.then(() => ask(deviceId));
    return flight.next;
  }

  function facts(deviceId: string): Promise<PostureFacts> {
    const entry = entries.get(deviceId);
    if (isFresh(entry, now()) && entry.edition === edition) return Promise.resolve(entry.facts);
    const flight = flights.get(deviceId);
    return flight === undefined || flight.edition === edition ? ask(deviceId) : refresh(deviceId);
  }

  async function recheck(deviceIds: Iterable<string>): Promise<void> {
    // All workers share one iterator: it is the queue.
    const queue = [...deviceIds].values();
    const work = async () => {
      for (const deviceId of queue) {
        if (closed) return;
        tell(deviceId, await facts(deviceId), now());
      }
    };
    await Promise.all(Array.from({ length: RECHECKS_AT_ONCE }, work));
  }

  async function restore(): Promise<void> {
    if (options.store === undefined) return;
    const asked = edition;
    for await (const report of options.store.load()) {
      const { deviceId, fetchedAt: since } = report;
      if (entries.has(deviceId)) continue; // learnt since
      const facts = { report, known: false };
      entries.set(deviceId, { facts, since, freshUntil: since, edition: asked, named: report });
      index.add(report);
    }
  }

  function take(told: PostureReport): void {
    const { deviceId } = told;
    const before = entries.peek(deviceId);
    const last = before?.facts.report ?? null;
    const since = now();
    // A clock that runs ahead there must not make it last longer here.
    const report = { ...told, fetchedAt: Math.min(told.fetchedAt, since) };
    const freshUntil = report.fetchedAt + options.maxAgeMs;
    const facts = { report, known: since < freshUntil };
    if (last !== null && last.fetchedAt >= report.fetchedAt) {
      if (!sameFacts({ report: last, known: true }, { report, known: true }))
        void refresh(deviceId);
      return;
    }
    entries.set(deviceId, { facts, since, freshUntil, edition, named: report });
    index.add(report);
    if (before === undefined || !sameFacts(before.facts, facts)) {
      tell(deviceId, facts, learnedAt(facts, since));
    }
  }

  function start(liveDevices: () => Iterable<string>): void {
    const round = async () => {
      await recheck(liveDevices());
      if (!closed) start(liveDevices);
    };
    timer = setTimeout(() => void round(), options.recheckMs);
  }

  return {
    facts,
    peek: (deviceId) => entries.peek(deviceId)?.facts,
    refresh,
    recheck,
    restore,
    distrust(deviceId) {
      if (entries.peek(deviceId)?.facts.known !== false) return;
      store(deviceId, { report: null, known: false }, { freshForMs: 0, asked: edition });
    },
    take,
    outdate() {
      edition += 1;
    },
    start,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    findDevice(hint) {
      const { deviceId = null } = hint;
      return index.find(hint) ?? (deviceId !== null && entries.has(deviceId) ? deviceId : null);
    },
    health: () => asking.health(),
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      listeners.clear();
      asking.close();
    },
  };
}

function isFresh(entry: Entry | undefined, now: number): entry is Entry {
  // A clock that was set back must not keep a report fresh until it has caught up.
  return entry !== undefined && entry.since <= now && now < entry.freshUntil;
}

// A worker learns from its primary: what counts is when the UEM told that.
function learnedAt({ report, known }: PostureFacts, now: number): number {
  return known && report !== null ? Math.min(report.fetchedAt, now) : now;
}

// All that a verdict or the choice of a rule set depends on; `fetchedAt` only moves with the clock.
function sameFacts(a: PostureFacts, b: PostureFacts): boolean {
  if (a.known !== b.known) return false;
  if (a.report === null || b.report === null) return a.report === b.report;
  const timeless = (report: PostureReport) => JSON.stringify({ ...report, fetchedAt: null });
  return timeless(a.report) === timeless(b.report);
}
