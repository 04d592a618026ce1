// Keeps the configured number of workers running and in step, and speaks for all of them.

import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { BlockList } from '../../gateway/block-list.ts';
import type { Loaded } from '../../gateway/config/load.ts';
import type { TunnelRow } from '../../gateway/edge/api.ts';
import type { EgressBoard } from '../../gateway/egress-board.ts';
import type { DevicePorts } from '../../gateway/gateway.ts';
import type { PostureCache } from '../../gateway/posture/cache.ts';
import type { Log } from '../../runtime/log.ts';
import {
  type Counter,
  joinMetrics,
  type Metrics,
  type MetricsSnapshot,
  sumOfCounts,
} from '../../runtime/metrics.ts';
import type { Readiness } from '../../runtime/readiness.ts';
import type { ListenError, Order } from './calls.ts';
import type { Carrier } from './device-side.ts';
import type { WorkerHandle } from './fork.ts';
import { relayLines } from './log-relay.ts';
import { createSlot, type Slot, type SlotState } from './slot.ts';
import { createUsageDesk } from './usage.ts';

export interface WorkersOptions {
  readonly count: number;
  readonly file: string;
  readonly loaded: Loaded;
  /** The one that asks the source; those of the workers ask it. */
  readonly posture: PostureCache;
  readonly blocks: BlockList;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly counters: WorkerCounters;
  readonly board: EgressBoard;
  readonly fork: () => WorkerHandle;
  /** A worker that does nothing for so long is ended. */
  readonly hangMs?: number;
}

export interface WorkerCounters {
  readonly restarts: Counter;
  readonly hangs: Counter;
}

const answerMs = 2000;
const closeMs = 3000;
/** Longer than a worker is busy with the largest configuration. */
const defaultHangMs = 10_000;

export async function createWorkers(options: WorkersOptions): Promise<Carrier> {
  const { count, posture, blocks, log, metrics } = options;
  const ports: number[] = [];
  let { tls } = options.loaded;
  let ticketKeys = newTicketKeys();
  let wanted = orderFor(options.loaded);
  // What workers that are gone had counted.
  let past: Promise<MetricsSnapshot> = Promise.resolve([]);

  function orderFor(loaded: Loaded): Order {
    // New keys cost the whole fleet a full handshake: other rules are no reason.
    if (!isDeepStrictEqual(loaded.tls, tls)) ticketKeys = newTicketKeys();
    ({ tls } = loaded);
    return {
      file: options.file,
      version: loaded.policy.version,
      workers: count,
      ticketKeys,
      ports,
    };
  }
  const crew = createCrew(options, {
    order: () => wanted,
    onGone(slot) {
      const last = slot.lastMetrics();
      if (last !== null) past = past.then((before) => sumOfCounts([before, last]));
    },
  });
  const all = <T>(ask: (slot: Slot) => Promise<T>) => Promise.all([...crew.slots].map(ask));
  const tunnelsOf = async (slot: Slot): Promise<readonly TunnelRow[]> => {
    if (!slot.isListening()) return [];
    try {
      return await slot.talk.ask('tunnels', null, answerMs);
    } catch (error) {
      // Its tunnels went with it; one that is there and does not answer has some that nobody knows.
      if (crew.slots.has(slot)) throw error;
      return [];
    }
  };
  const stops = [
    posture.onChange((deviceId) => {
      for (const { talk } of crew.slots) talk.tell('postureChanged', deviceId);
    }),
    blocks.onChange((change) => {
      for (const { talk } of crew.slots) talk.tell('blocksChanged', change);
    }),
  ];
  const close = async () => {
    for (const stop of stops) stop();
    await crew.close();
  };

  try {
    const listening: DevicePorts = await crew.start();
    return {
      ...listening,
      tunnels: async () => (await all(tunnelsOf)).flat(),
      async endSessions(whose) {
        // A worker that does not answer is gone, or is ended for it: its tunnels with it.
        const ended = await all(({ talk }) =>
          talk.ask('endSessions', whose, answerMs).catch(() => []),
        );
        return [...new Set(ended.flat())];
      },
      async metricsText() {
        await all((slot) => slot.readMetrics());
        const own = await metrics.snapshot();
        // In one moment: a worker that leaves now counts once, here or in the past.
        const live = [...crew.slots].map((slot) => slot.lastMetrics() ?? []);
        return await joinMetrics(own, [...live, await past]);
      },
      protect(added) {
        ports.push(added);
        for (const { talk } of crew.slots) talk.tell('protect', added);
      },
      async replace(loaded) {
        wanted = orderFor(loaded);
        const outcomes = await all((slot) => slot.order(wanted).catch(() => null));
        const kept = outcomes.filter((outcome) => outcome?.kind === 'behind').length;
        if (kept > 0)
          log.error({ 'zonegate.workers': kept }, 'workers behind; they are told again');
      },
      async drain() {
        crew.keepAsItIs();
        await all(({ talk }) => talk.ask('drain', null, null).catch(() => null));
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What encrypts TLS session tickets, so that each worker resumes sessions of the others. */
function newTicketKeys(): string {
  return randomBytes(48).toString('base64');
}

interface Crew {
  readonly slots: ReadonlySet<Slot>;
  /** Resolves when all serve. */
  start(): Promise<Extract<SlotState, { kind: 'in_force' }>>;
  /** From now on nobody is replaced. */
  keepAsItIs(): void;
  close(): Promise<void>;
}

interface Wishes {
  readonly order: () => Order;
  readonly onGone: (slot: Slot) => void;
}

/** The workers themselves: started, replaced when they end, stopped. */
function createCrew(options: WorkersOptions, { order, onGone }: Wishes): Crew {
  const { count, log, readiness, posture, counters, hangMs = defaultHangMs } = options;
  const usage = createUsageDesk<Slot>(({ talk }, used) => talk.tell('usedElsewhere', used));
  const slots = new Set<Slot>();
  const pauses = new Set<NodeJS.Timeout>();
  let isKept = true;
  let allGone: (() => void) | null = null;

  function show(): void {
    const states = [...slots].map((slot) => slot.state());
    readiness.set('workers', describe(states, count));
  }
  function spawn(failures: number): Slot {
    const handle = options.fork();
    const startedAt = Date.now();
    const at = { 'zonegate.worker': handle.id, 'process.pid': handle.pid };
    const onState = ({ kind }: SlotState): void => {
      if (kind === 'in_force')
        log.info({ 'event.name': 'zonegate.worker', ...at }, 'worker serves');
      show();
    };
    const slot = createSlot({
      handle,
      facts: (deviceId) => posture.facts(deviceId),
      factsOf: async (deviceIds) => [...(await posture.factsOf(deviceIds))],
      onState,
      onEgress: (states) => options.board.report(handle.id, states),
      onHello() {
        // Before its first order: from its first connection on it knows who is blocked.
        slot.talk.tell('blocksChanged', { blocks: options.blocks.all(), lifted: [] });
        usage.join(slot);
      },
      onUsed: (used) => usage.report(slot, used),
      hangMs,
      onHang() {
        log.error(
          { 'event.name': 'zonegate.worker', ...at },
          'worker does not answer, it is ended',
        );
        counters.hangs.inc();
        handle.kill();
      },
    });
    slots.add(slot);
    if (handle.output !== null) relayLines(handle.output, log);
    handle.onGone((how) => {
      slots.delete(slot);
      slot.close();
      options.board.forget(handle.id);
      usage.leave(slot);
      onGone(slot);
      show();
      if (slots.size === 0) allGone?.();
      if (!isKept) return;
      log.error({ 'event.name': 'zonegate.worker', ...at, 'zonegate.end': how }, 'worker ended');
      counters.restarts.inc();
      const isOld = Date.now() - startedAt >= settledMs;
      replaceLater(isOld ? 1 : failures + 1);
    });
    return slot;
  }
  function replaceLater(failures: number): void {
    const pause = setTimeout(() => {
      pauses.delete(pause);
      const slot = spawn(failures);
      slot.order(order()).then(
        (outcome) => {
          if (outcome.kind !== 'cannot_listen') return;
          log.error({ err: outcome.error }, 'a new worker cannot listen');
          slot.handle.kill();
        },
        () => undefined, // it ended; `onGone` goes on from there
      );
    }, pauseAfter(failures));
    pauses.add(pause);
  }
  function keepAsItIs(): void {
    isKept = false;
    // Nothing new begins: it has no tunnels yet.
    for (const slot of slots) {
      if (slot.state().kind === 'starting') slot.handle.kill();
    }
    for (const pause of pauses) clearTimeout(pause);
    pauses.clear();
  }

  return {
    slots,
    keepAsItIs,
    async start() {
      show();
      const starting = Array.from({ length: count }, () => spawn(0).order(order()));
      const outcomes = await Promise.all(starting);
      const first = outcomes[0];
      for (const outcome of outcomes) {
        if (outcome.kind === 'cannot_listen') throw listenError(outcome.error);
        if (outcome.kind === 'behind') throw new Error(`a worker cannot start: ${outcome.why}`);
      }
      if (first?.kind !== 'in_force') throw new Error('there are no workers');
      return first;
    },
    async close() {
      keepAsItIs();
      if (slots.size === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      allGone = resolve;
      for (const { talk } of slots) talk.tell('close', null);
      const late = setTimeout(() => {
        for (const { handle } of slots) handle.kill();
      }, closeMs);
      await promise;
      clearTimeout(late);
    },
  };
}

// A worker that ran so long did not die of its start.
const settledMs = 60_000;

/** At once after a first end, ever later while new ones end too: a start takes as much as some thousand tunnels. */
export function pauseAfter(failures: number): number {
  return failures <= 1 ? 0 : Math.min(10_000, 250 * 2 ** (failures - 2));
}

function describe(states: readonly SlotState[], count: number): string {
  const serving = states.filter(({ kind }) => kind === 'in_force').length;
  const behind = states.find((state) => state.kind === 'behind');
  if (behind !== undefined)
    return `a worker does not serve by the configuration in force: ${behind.why}`;
  return serving === count ? 'ok' : `${serving} of ${count} workers serve`;
}

function listenError({ message, ...fields }: ListenError): Error {
  return Object.assign(new Error(message), fields);
}
