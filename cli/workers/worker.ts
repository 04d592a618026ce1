// One worker: the gateway's data plane in a process of its own, over the configuration and posture of the primary.

import cluster from 'node:cluster';
import type { Loaded } from '../../gateway/config/load.ts';
import { toRow } from '../../gateway/edge/api.ts';
import { createGateway, type Gateway } from '../../gateway/gateway.ts';
import { createRelayedSource } from '../../gateway/posture/relayed.ts';
import { relayedCache } from '../../gateway/posture-service.ts';
import { createLog, hideSecrets, type Log } from '../../runtime/log.ts';
import { createMetrics, type Metrics } from '../../runtime/metrics.ts';
import { loadEverything, secretsOf } from '../load.ts';
import type { ListenError, Order, Outcome, PrimaryCalls, WorkerCalls } from './calls.ts';
import { shareOf } from './share.ts';
import { createTalk, type Talk } from './talk.ts';

export interface Channel {
  send(message: object): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Ends this process. */
  leave(): void;
}

/** What runs once the first order could be followed. */
interface Running {
  readonly log: Log;
  readonly gateway: Gateway;
  readonly postureChanged: (deviceId: string) => void;
}

export function runWorker(channel: Channel): void {
  const metrics = createMetrics();
  const stop = new AbortController();
  let running: Running | null = null;
  let last: Promise<unknown> = Promise.resolve();
  let drained: Promise<void> | undefined;

  async function follow(order: Order): Promise<Outcome> {
    const read = await loadEverything(order.file);
    if (!read.ok) return { kind: 'behind', why: 'it finds issues in the configuration' };
    const { gateway: loaded } = read.all;
    if (loaded?.policy.version !== order.version) {
      return { kind: 'behind', why: 'it finds another configuration than the primary has' };
    }
    const share = shareOf(loaded, order);
    if (running === null) {
      const log = workerLog(read.all.common.log.level, secretsOf(read.all));
      running = await start(share, { talk, log, metrics });
      for (const port of order.ports) running.gateway.protect(port);
    }
    hideSecrets(running.log, secretsOf(read.all));
    // The first time too: node:cluster has handed it the ticket keys of the very first worker, however old.
    running.gateway.replace(share);
    const { port, http1Port } = running.gateway;
    return { kind: 'in_force', port, http1Port };
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
      metrics: () => metrics.snapshot(),
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
      postureChanged(deviceId) {
        running?.postureChanged(deviceId);
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
  parts: { readonly talk: Talk<PrimaryCalls>; readonly log: Log; readonly metrics: Metrics },
): Promise<Running> {
  const { talk, log, metrics } = parts;
  const { config } = loaded;
  const source = createRelayedSource({
    name: config.posture.source.kind,
    ask: (deviceId) => talk.ask('facts', deviceId, config.posture.timeout + 1000),
  });
  const posture = relayedCache(source, config);
  const gateway = await createGateway({ loaded, posture, log, metrics });
  return {
    log,
    gateway,
    postureChanged(deviceId) {
      // Devices that never came to this worker have nothing here that could be outdated.
      if (posture.peek(deviceId) === undefined && !source.isAsking(deviceId)) return;
      posture.refresh(deviceId).catch((error: unknown) => {
        log.error({ err: error, 'device.id': deviceId }, 'posture could not be asked again');
      });
    },
  };
}

function workerLog(level: string, secrets: readonly string[]): Log {
  return createLog({ level, secrets }).child({ 'zonegate.worker': cluster.worker?.id ?? 0 });
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
