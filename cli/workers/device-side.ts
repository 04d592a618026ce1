// What serves devices, as the process with the admin server sees it: a gateway here, or workers with one each.

import { availableParallelism } from 'node:os';
import type { Hono } from 'hono';
import type { Loaded } from '../../gateway/config/load.ts';
import { sourcesOf } from '../../gateway/config/posture-sources.ts';
import { createDeviceHealth } from '../../gateway/device-health.ts';
import { mountDevicesApi } from '../../gateway/devices-api.ts';
import { mountApi, type TunnelRow, toRow } from '../../gateway/edge/api.ts';
import { createEgressBoard } from '../../gateway/egress-board.ts';
import { createGateway, type DevicePorts, type Gateway } from '../../gateway/gateway.ts';
import { createInForce } from '../../gateway/in-force.ts';
import type { EndSessions } from '../../gateway/posture/signals/receiver.ts';
import { createPostureDoors } from '../../gateway/posture-doors.ts';
import { createPostureService, type PostureService } from '../../gateway/posture-service.ts';
import { type DeviceState, openDeviceState } from '../../gateway/state/device-state.ts';
import { createPeer } from '../../gateway/state/peer.ts';
import type { Log } from '../../runtime/log.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { Readiness } from '../../runtime/readiness.ts';
import type { Store } from '../../runtime/state/state.ts';
import { forkWorker } from './fork.ts';
import { createWorkers, type WorkerCounters } from './workers.ts';

export interface DeviceSideOptions {
  /** zonegate.yaml, for workers to read. */
  readonly file: string;
  readonly workers: number | 'auto';
  readonly loaded: Loaded;
  readonly store: Store;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly counters: WorkerCounters;
}

/** Carries connections: in one process or in several. */
export interface Carrier extends DevicePorts {
  tunnels(): Promise<readonly TunnelRow[]>;
  readonly endSessions: EndSessions;
  /** The metrics page, of all processes. */
  metricsText(): Promise<string>;
  /** A port of this machine that no device may reach, whatever the rules open: the admin server. */
  protect(port: number): void;
  /** Resolves when the whole snapshot is in force, or when it is known where it is not. */
  replace(loaded: Loaded): Promise<void>;
  drain(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface DeviceSide extends Carrier {
  /** Null with workers. */
  readonly gateway: Gateway | null;
  routes(app: Hono): void;
  webhooks(app: Hono): void;
  /** Returns the settings that differ but need a restart. */
  reload(loaded: Loaded): Promise<readonly string[]>;
  refusedReload(summary: string): void;
}

export async function openDeviceSide(options: DeviceSideOptions): Promise<DeviceSide> {
  const { loaded, log } = options;
  const state = await openDeviceState(options);
  const posture = await openPosture(options, state);
  const blocks = state.blocks.list;
  const health = createDeviceHealth(posture.cache, blocks);
  const inForce = createInForce(options);
  const egress = () => inForce.loaded().policy.egress;
  const board = createEgressBoard({ egress, log, readiness: options.readiness });
  try {
    const count = options.workers === 'auto' ? availableParallelism() : options.workers;
    const gateway =
      count > 1
        ? null
        : await createGateway({
            loaded,
            log,
            metrics: options.metrics,
            posture: health,
            onEgress: (states) => board.report('here', states),
          });
    const carrier =
      gateway === null
        ? await createWorkers({
            ...options,
            count,
            posture: posture.cache,
            blocks,
            board,
            fork: forkWorker,
          })
        : inThisProcess(gateway, options.metrics);
    const { cache } = posture;
    const { endSessions } = carrier;
    const doors = createPostureDoors({ ...options, cache, endSessions, blocks: state.blocks });
    return {
      ...carrier,
      gateway,
      webhooks: (app) => doors.mount(app),
      routes(app) {
        const policy = () => inForce.loaded().policy;
        const faultOf = (address: string) => board.faultOf(address);
        mountApi(app, { policy, faultOf, tunnels: () => carrier.tunnels() });
        const { blocks, posture: rows } = state;
        mountDevicesApi(app, { health, blocks, rows, policy, log, now: Date.now });
      },
      async reload(next) {
        // First: tunnels are judged anew with what it says.
        posture.update(next);
        doors.update(next);
        await carrier.replace(next);
        const needed = inForce.replaced(next);
        board.refresh();
        return needed;
      },
      refusedReload: (summary) => inForce.refused(summary),
      async close() {
        await carrier.close();
        await doors.close();
        await posture.close();
        await state.close();
      },
    };
  } catch (error) {
    await posture.close();
    await state.close();
    throw error;
  }
}

function inThisProcess(gateway: Gateway, metrics: Metrics): Carrier {
  return {
    port: gateway.port,
    http1Port: gateway.http1Port,
    appPorts: gateway.appPorts,
    pacPort: gateway.pacPort,
    tunnels: () => Promise.resolve(gateway.tunnels.list().map(toRow)),
    endSessions: (whose) => Promise.resolve(gateway.endSessions(whose)),
    metricsText: () => metrics.text(),
    protect: (port) => gateway.protect(port),
    replace(loaded) {
      gateway.replace(loaded);
      return Promise.resolve();
    },
    drain: (signal) => gateway.drain(signal),
    close: () => gateway.close(),
  };
}

/** Knows what was known before the last stop, and hears what other gateways learn. */
async function openPosture(
  { loaded, log, metrics, readiness }: DeviceSideOptions,
  state: DeviceState,
): Promise<PostureService> {
  const posture = createPostureService({
    loaded,
    log,
    metrics,
    readiness,
    store: state.posture,
  });
  const { cache } = posture;
  const believes = sourcesOf(loaded.config.posture).every(
    ({ source }) => source.kind !== 'inventory',
  );
  state.follow(createPeer({ rows: state.posture, cache, believes, log }));
  try {
    await cache.restore();
    return posture;
  } catch (error) {
    await posture.close();
    await state.close();
    throw error;
  }
}
