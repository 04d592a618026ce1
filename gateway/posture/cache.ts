// The posture cache: every device's last report in memory, and one question in flight per device.

import { LRUCache } from 'lru-cache';
import type { PostureFacts, PostureReport } from '../decision/posture.ts';
import type { Outcome, SourceHealth } from './asking.ts';
import { createAskingInOrder, type OrderedSource } from './asking-in-order.ts';
import { createDeviceIndex, type DeviceHint } from './device-index.ts';
import { isFresh, learnedAt, type Remembered, sameFacts } from './remembered.ts';
import { chunksOf, createRounds, createSweep, eachOf, type Rounds, spreadOf } from './rounds.ts';
import { createSharedWords } from './shared-words.ts';
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
  // The same about many, in few questions where the source can; nobody is left out unless this is closed.
  refreshMany(deviceIds: readonly string[]): Promise<ReadonlyMap<string, PostureFacts>>;
  // How many devices one question is best about: 1 where they are asked about one by one.
  readonly together: number;
  // Asks again for those no longer fresh, and tells the listeners about every one: grace runs out by time alone.
  recheck(deviceIds: Iterable<string>): Promise<void>;
  // The facts of many devices, asked for together where they are no longer fresh.
  factsOf(deviceIds: readonly string[]): Promise<ReadonlyMap<string, PostureFacts>>;
  // Looks through what the sources say has changed, for devices that are remembered here, every so often.
  sweepEvery(ms: number, failed: (error: unknown) => void): void;
  // Takes over what the store has; each of it is asked again before it is believed.
  restore(): Promise<void>;
  // Somebody credible contradicts the last report while the source is silent: it earns no grace any more.
  distrust(deviceId: string): void;
  // What another gateway has learnt: taken over when it is newer than what is here, else asked about if it differs.
  take(report: PostureReport): void;
  // The source has new answers: what it said until now is not believed without asking again.
  outdate(): void;
  // Until `close`: asks for live devices before their reports are too old, and re-checks them every `recheckMs`.
  start(liveDevices: () => Iterable<string>): void;
  // Returns how to stop listening.
  onChange(listener: FactsListener): () => void;
  // A device seen before; by UDID only when its number and serial lead nowhere.
  findDevice(hint: DeviceHint): string | null;
  // Of every source, in the declared order.
  health(): readonly SourceHealth[];
  close(): void;
}

interface Storing {
  readonly freshForMs: number;
  readonly order: number;
  // Nothing was learnt: what the store has about a device that found no place here stays.
  readonly silent?: boolean;
}

interface Flight {
  readonly order: number;
  readonly done: Promise<PostureFacts>;
  next: Promise<PostureFacts> | null;
}

// A failure is an answer too, for this long: sixty connections of one device are one question (threats P09).
const FAILURE_MS = 1_000;
const RECHECKS_AT_ONCE = 16;
const BATCHES_AT_ONCE = 2;
// Of a report's life, over which devices are spread when they are asked about in the background.
const SPREAD = 0.2;
const MIN_REFRESH_MS = 250;

export function createPostureCache(options: PostureCacheOptions): PostureCache {
  const { source, now } = options;
  const asking = createAskingInOrder(
    'name' in source ? [{ source, whileDown: 'refuse' }] : source,
    options,
  );
  const index = createDeviceIndex();
  const share = createSharedWords();
  const flights = new Map<string, Flight>();
  const listeners = new Set<FactsListener>();
  const rounds: Rounds[] = [];
  const stopping = new AbortController();
  let closed = false;
  let lastOrder = 0;
  let outdated = 0; // questions up to here were asked before the source had news
  const entries = new LRUCache<string, Remembered>({
    max: options.maxDevices,
    dispose({ named }) {
      if (named !== null) index.remove(named);
    },
  });

  function nextOrder(): number {
    lastOrder += 1;
    return lastOrder;
  }

  function tell(deviceId: string, facts: PostureFacts, learnedAt: number): void {
    for (const listener of listeners) listener(deviceId, facts, learnedAt);
  }

  function store(
    deviceId: string,
    facts: PostureFacts,
    { freshForMs, order, silent = false }: Storing,
  ): PostureFacts {
    const before = entries.peek(deviceId);
    if (before !== undefined && before.order > order) {
      // Taken from another gateway meanwhile, or asked for twice: which one is newer, only the source can say.
      if (!sameFacts(before.facts, facts)) void refresh(deviceId);
      return before.facts;
    }
    const since = now();
    const named = facts.report ?? before?.named ?? null;
    const freshUntil = since + freshForMs;
    entries.set(deviceId, { facts, since, freshUntil, order, named });
    if (named !== null) index.add(named);
    if (facts.known && facts.report !== null) options.store?.remember([facts.report]);
    else if (facts.report === null && !silent) options.store?.forget([deviceId]);
    if (before === undefined || !sameFacts(before.facts, facts)) {
      tell(deviceId, facts, learnedAt(facts, since));
    }
    return facts;
  }

  function settle(deviceId: string, outcome: Outcome, order: number): PostureFacts {
    const last = entries.peek(deviceId)?.facts.report ?? null;
    switch (outcome.kind) {
      case 'answered': {
        const report = outcome.report && share(outcome.report);
        const age = options.ages && report ? now() - report.fetchedAt : 0;
        const freshForMs = report === null ? options.negativeMs : options.maxAgeMs - age;
        return store(deviceId, { report, known: true }, { freshForMs, order });
      }
      // Grace is for silence, not for an answer that contradicts itself (threats P06).
      case 'unbelievable':
        return store(deviceId, { report: null, known: false }, { freshForMs: FAILURE_MS, order });
      // Whoever relays has the longer memory, and knows too when a report must no longer be believed.
      case 'outage': {
        const report = outcome.relayed === null ? last : outcome.relayed.last;
        return store(
          deviceId,
          { report, known: false },
          { freshForMs: FAILURE_MS, order, silent: true },
        );
      }
      // Devices never seen leave no trace: an outage must not push good reports out of memory.
      case 'left_alone':
        if (!entries.has(deviceId)) return { report: null, known: false };
        return store(deviceId, { report: last, known: false }, { freshForMs: 0, order });
    }
  }

  const knownTo = (deviceId: string): string | null =>
    entries.peek(deviceId)?.named?.source ?? null;

  // Invariant: one question in flight per device.
  function ask(deviceId: string): Promise<PostureFacts> {
    const current = flights.get(deviceId);
    if (current !== undefined) return current.done;
    const order = nextOrder();
    const done = asking
      .ask(deviceId, knownTo)
      .then((outcome) => settle(deviceId, outcome, order))
      .finally(() => flights.delete(deviceId));
    flights.set(deviceId, { order, done, next: null });
    return done;
  }

  // Nobody waits for this: a connection meanwhile asks for itself, and the later question has the last word.
  async function askTogether(deviceIds: readonly string[]): Promise<Map<string, PostureFacts>> {
    const found = new Map<string, PostureFacts>();
    await eachOf(chunksOf(deviceIds, asking.most), BATCHES_AT_ONCE, async (part) => {
      if (closed) return;
      const order = nextOrder();
      const outcomes = await asking.askMany(part, knownTo);
      for (const [deviceId, outcome] of outcomes) {
        found.set(deviceId, settle(deviceId, outcome, order));
      }
    });
    return found;
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
    if (isBelieved(entry)) return Promise.resolve(entry.facts);
    const flight = flights.get(deviceId);
    return flight === undefined || flight.order > outdated ? ask(deviceId) : refresh(deviceId);
  }

  function isBelieved(entry: Remembered | undefined): entry is Remembered {
    return isFresh(entry, now()) && entry.order > outdated;
  }

  async function factsOf(deviceIds: readonly string[]): Promise<ReadonlyMap<string, PostureFacts>> {
    const old = deviceIds.filter((deviceId) => !isBelieved(entries.peek(deviceId)));
    if (asking.most > 0 && old.length > 1) await askTogether(old);
    const found = new Map<string, PostureFacts>();
    await eachOf(deviceIds, RECHECKS_AT_ONCE, async (deviceId) => {
      if (!closed) found.set(deviceId, await facts(deviceId));
    });
    return found;
  }

  async function recheck(deviceIds: Iterable<string>): Promise<void> {
    for (const [deviceId, known] of await factsOf([...deviceIds])) {
      if (!closed) tell(deviceId, known, now());
    }
  }

  // Before its report is too old to be believed, at a moment of its own; and while the source is silent, always.
  function isDue(deviceId: string, withinMs: number): boolean {
    const entry = entries.peek(deviceId);
    if (!isBelieved(entry) || !entry.facts.known) return true;
    const earlierMs = withinMs + spreadOf(deviceId) * SPREAD * options.maxAgeMs;
    return entry.freshUntil - earlierMs <= now();
  }

  async function refreshDue(deviceIds: readonly string[]): Promise<void> {
    // Whom the answer leaves out is due again in the next round.
    if (asking.most > 0 && deviceIds.length > 1) await askTogether(deviceIds);
    else await refreshMany(deviceIds);
  }

  async function refreshMany(deviceIds: readonly string[]): Promise<Map<string, PostureFacts>> {
    const isTogether = asking.most > 0 && deviceIds.length > 1;
    const found = isTogether ? await askTogether(deviceIds) : new Map<string, PostureFacts>();
    // Half an answer says nothing about the other half.
    const rest = deviceIds.filter((deviceId) => !found.has(deviceId));
    await eachOf(rest, RECHECKS_AT_ONCE, async (deviceId) => {
      if (!closed) found.set(deviceId, await refresh(deviceId));
    });
    return found;
  }

  async function restore(): Promise<void> {
    if (options.store === undefined) return;
    for await (const stored of options.store.load()) {
      const report = share(stored);
      const { deviceId, fetchedAt: since } = report;
      if (entries.has(deviceId)) continue; // learnt since
      const facts = { report, known: false };
      entries.set(deviceId, { facts, since, freshUntil: since, order: 0, named: report });
      index.add(report);
    }
  }

  function take(told: PostureReport): void {
    const { deviceId } = told;
    const before = entries.peek(deviceId);
    const last = before?.facts.report ?? null;
    const since = now();
    // A clock that runs ahead there must not make it last longer here.
    const report = share({ ...told, fetchedAt: Math.min(told.fetchedAt, since) });
    const freshUntil = report.fetchedAt + options.maxAgeMs;
    const facts = { report, known: since < freshUntil };
    // That there is no report, or none to be believed, was learnt, too. Silence about a device never met was not.
    const isLearnt = before !== undefined && (before.facts.known || before.named !== null);
    const lastAt = last?.fetchedAt ?? (isLearnt ? before.since : Number.NEGATIVE_INFINITY);
    if (lastAt >= report.fetchedAt) {
      if (!sameFacts({ report: last, known: true }, { report, known: true }))
        void refresh(deviceId);
      return;
    }
    entries.set(deviceId, { facts, since, freshUntil, order: nextOrder(), named: report });
    index.add(report);
    if (before === undefined || !sameFacts(before.facts, facts)) {
      tell(deviceId, facts, learnedAt(facts, since));
    }
  }

  function start(liveDevices: () => Iterable<string>): void {
    const everyMs = Math.min(options.recheckMs, Math.max(MIN_REFRESH_MS, options.maxAgeMs / 8));
    rounds.push(
      createRounds(options.recheckMs, () => recheck(liveDevices())),
      createRounds(everyMs, () =>
        refreshDue([...liveDevices()].filter((deviceId) => isDue(deviceId, everyMs))),
      ),
    );
  }

  const sweep = createSweep({
    asking,
    knownTo,
    isKnown: (deviceId) => entries.has(deviceId),
    nextOrder,
    learn: settle,
    refresh,
  });

  return {
    facts,
    peek: (deviceId) => entries.peek(deviceId)?.facts,
    refresh,
    refreshMany,
    together: Math.max(1, asking.most),
    recheck,
    factsOf,
    sweepEvery(ms, failed) {
      const run = () => sweep(stopping.signal).catch((error) => void (closed || failed(error)));
      rounds.push(createRounds(ms, run));
    },
    restore,
    distrust(deviceId) {
      if (entries.peek(deviceId)?.facts.known !== false) return;
      store(deviceId, { report: null, known: false }, { freshForMs: 0, order: nextOrder() });
    },
    take,
    outdate() {
      outdated = lastOrder;
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
      for (const round of rounds) round.close();
      stopping.abort();
      listeners.clear();
      asking.close();
    },
  };
}
