// Posture in a worker: in its own memory while fresh, from the primary otherwise; an inventory it has read itself.

import type { Log } from '../runtime/log.ts';
import type { Loaded } from './config/load.ts';
import { sourcesOf } from './config/posture-sources.ts';
import type { PostureFacts } from './decision/posture.ts';
import { createPostureCache, type PostureCache } from './posture/cache.ts';
import { createRelayedSource } from './posture/relayed.ts';
import { cacheOver } from './posture-service.ts';
import { createSources } from './posture-sources.ts';

export interface WorkerPosture {
  readonly cache: PostureCache;
  /** Takes what a reload read: the devices of an inventory file. */
  update(loaded: Loaded): void;
  /** The primary has learnt something about a device. */
  changed(deviceId: string): void;
}

export interface WorkerPostureOptions {
  readonly loaded: Loaded;
  readonly log: Log;
  /** Asks the primary. */
  readonly ask: (deviceId: string) => Promise<PostureFacts>;
  readonly askMany: (
    deviceIds: readonly string[],
  ) => Promise<readonly (readonly [string, PostureFacts])[]>;
  readonly deadlineMs: number;
}

export function createWorkerPosture(options: WorkerPostureOptions): WorkerPosture {
  const sources = sourcesOf(options.loaded.config.posture);
  const onlyFiles = sources.every(({ source }) => source.kind === 'inventory');
  return onlyFiles ? fromInventory(options) : fromPrimary(options);
}

/** The same file the primary has: asking it would only add a way round. */
function fromInventory({ loaded }: WorkerPostureOptions): WorkerPosture {
  const sources = createSources(loaded, Date.now);
  const cache = cacheOver(sources.inOrder, loaded.config.posture);
  return {
    cache,
    update(next) {
      sources.update(next);
      cache.outdate();
    },
    changed: () => undefined,
  };
}

function fromPrimary({
  loaded,
  log,
  ask,
  askMany,
  deadlineMs,
}: WorkerPostureOptions): WorkerPosture {
  const { posture } = loaded.config;
  const source = createRelayedSource({ name: 'primary', ask, askMany });
  const cache = createPostureCache({
    source,
    // The primary asks the UEM again at 0.8 of a report's life, and tells what has changed: what is older than that
    // here is asked for again, before the decision calls it stale.
    ages: 'since-fetched',
    maxAgeMs: posture.maxReportAge * 0.9,
    negativeMs: posture.maxReportAge * 0.1,
    maxDevices: posture.maxDevices,
    deadlineMs,
    recheckMs: posture.recheck,
    now: Date.now,
  });
  const hasFiles = sourcesOf(posture).some(({ source }) => source.kind === 'inventory');
  return {
    cache,
    update() {
      // The primary has taken up the new devices before it told this worker.
      if (hasFiles) cache.outdate();
    },
    changed(deviceId) {
      // Devices that never came to this worker have nothing here that could be outdated.
      if (cache.peek(deviceId) === undefined && !source.isAsking(deviceId)) return;
      cache.refresh(deviceId).catch((error: unknown) => {
        log.error({ err: error, 'device.id': deviceId }, 'posture could not be asked again');
      });
    },
  };
}
