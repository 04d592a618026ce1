// One worker: the gateway's data plane in a process of its own, over the configuration and posture of the primary.

import cluster from 'node:cluster';
import { type BlockList, createBlockList } from '../../gateway/block-list.ts';
import type { Loaded } from '../../gateway/config/load.ts';
import { createDeviceHealth } from '../../gateway/device-health.ts';
import { toRow } from '../../gateway/edge/api.ts';
import type { Elsewhere } from '../../gateway/edge/elsewhere.ts';
import { createGateway, type Gateway } from '../../gateway/gateway.ts';
import { createWorkerPosture, type WorkerPosture } from '../../gateway/worker-posture.ts';
import { countLostLines, createLog, hideSecrets, type Log } from '../../runtime/log.ts';
import { createMetrics, type Metrics } from '../../runtime/metrics.ts';
import { loadEverything, secretsOf } from '../load.ts';
import type { ListenError, Order, Outcome, PrimaryCalls, WorkerCalls } from './calls.ts';
import { createElsewhere } from './elsewhere.ts';
import { watchPulse } from './pulse.ts';
import { shareOf } from './share.ts';
import { createTalk, type Talk } from './talk.ts';

export interface Channel {
  send(message: object): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Ends this process. */
  leave(): void;
  /** Ends it at once. */
  die(): void;
}

/** What runs once the first order could be followed. */
interface Running {
  readonly log: Log;
  readonly gateway: Gateway;
  readonly posture: WorkerPosture;
}

const primaryHangMs = 30_000;
const primaryTurns = 15;

export function runWorker(channel: Channel): void {
  const metrics = createMetrics();
  const blocks = createBlockList();
  const stop = new AbortController();
  let running: Running | null = null;
  let last: Promise<unknown> = Promise.resolve();
  let drained: Promise<void> | undefined;
  let workers = 1;
  const elsewhere = createElsewhere({
    workers: () => workers,
    tell: (usage) => talk.tell('used', usage),
  });
  // Connections go on without a primary, but what changes does not reach them any more (threats P01).
  const primary = watchPulse({
    everyMs: primaryHangMs / primaryTurns,
    misses: () => primaryTurns,
    onStopped: () => channel.die(),
  });

  async function follow(order: Order): Promise<Outcome> {
    const read = await loadEverything(order.file);
    if (!read.ok) return { kind: 'behind', why: 'it finds issues in the configuration' };
    const { gateway: loaded } = read.all;
    if (loaded?.policy.version !== order.version) {
      return { kind: 'behind', why: 'it finds another configuration than the primary has' };
    }
    workers = order.workers;
    const share = shareOf(loaded, order);
    if (running === null) {
      const log = workerLog(read.all.common.log.level, secretsOf(read.all));
      countLostLines(log, metrics);
      running = await start(share, { talk, log, metrics, elsewhere, blocks });
      for (const port of order.ports) running.gateway.protect(port);
    }
    hideSecrets(running.log, secretsOf(read.all));
    running.posture.update(share);
    // The first time too: node:cluster has handed it the ticket keys of the very first worker, however old.
    running.gateway.replace(share);
    const { port, http1Port, appPorts, pacPort } = running.gateway;
    return { kind: 'in_force', port, http1Port, appPorts, pacPort };
  }

  function fail(error: unknown): Outcome {
    if (running === null) return cannotListen(error);
    running.log.error({ err: error }, 'the configuration could not be taken over');
    return { kind: 'behind', why: 'it failed, its log says why' };
  }

  const talk: Talk<PrimaryCalls> = createTalk<PrimaryCalls, WorkerCalls>(
    (message) => channel.send(message),
    {
      // One after the other: the last order is what is in force.
      serve(order) {
        const next = last.then(() => follow(order)).catch(fail);
        last = next;
        return next;
      },
      alive() {
        primary.heard();
        return null;
      },
      metrics: () => metrics.snapshot(),
      usedElsewhere(usage) {
        elsewhere.hear(usage);
        return null;
      },
      tunnels: () => running?.gateway.tunnels.list().map(toRow) ?? [],
      async drain() {
        drained = running?.gateway.drain(stop.signal);
        await drained;
        return null;
      },
      protect(port) {
        running?.gateway.protect(port);
        return null;
      },
      endSessions: (whose) => running?.gateway.endSessions(whose) ?? [],
      postureChanged(deviceId) {
        running?.posture.changed(deviceId);
        return null;
      },
      blocksChanged(change) {
        blocks.apply(change);
        return null;
      },
      async close() {
        stop.abort();
        await drained;
        await running?.gateway.close();
        channel.leave();
        return null;
      },
    },
  );
  channel.onMessage((message) => talk.receive(message));
  talk.tell('hello', null);
}

async function start(
  loaded: Loaded,
  parts: {
    readonly talk: Talk<PrimaryCalls>;
    readonly log: Log;
    readonly metrics: Metrics;
    readonly elsewhere: Elsewhere;
    readonly blocks: BlockList;
  },
): Promise<Running> {
  const { talk, log, metrics, elsewhere, blocks } = parts;
  // The primary's own time runs first, so that its answer to a silent UEM still arrives.
  const deadlineMs = loaded.config.posture.timeout + 1000;
  const posture = createWorkerPosture({
    loaded,
    log,
    ask: (deviceId) => talk.ask('facts', deviceId, deadlineMs),
    askMany: (deviceIds) => talk.ask('factsOf', deviceIds, 4 * deadlineMs),
    deadlineMs,
  });
  const gateway = await createGateway({
    loaded,
    posture: createDeviceHealth(posture.cache, blocks),
    log,
    metrics,
    elsewhere,
    onEgress: (states) => talk.tell('egress', states),
  });
  return { log, gateway, posture };
}

function workerLog(level: string, secrets: readonly string[]): Log {
  return createLog({ level, secrets, fields: { 'zonegate.worker': cluster.worker?.id ?? 0 } });
}

/** A port that is taken, above all: the primary explains it. Anything else fails the same way, by its message. */
function cannotListen(error: unknown): Outcome {
  if (!(error instanceof Error)) throw error;
  const { message, code, address, port } = error as Error & ListenError;
  return {
    kind: 'cannot_listen',
    error: {
      message,
      ...(code !== undefined && { code }),
      ...(address !== undefined && { address }),
      ...(port !== undefined && { port }),
    },
  };
}
