// Owns what this machine knows about devices' health: the posture source and its cache.

import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Readiness } from '../runtime/readiness.ts';
import type { GatewayConfig } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import type { OrderedSource } from './posture/asking-in-order.ts';
import { createPostureCache, type PostureCache, type PostureStore } from './posture/cache.ts';
import { watchOutages } from './posture/outage-watch.ts';
import { createSources } from './posture-sources.ts';

export interface PostureServiceOptions {
  readonly loaded: Loaded;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly store: PostureStore;
}

export interface PostureService {
  readonly cache: PostureCache;
  /** Takes what a reload read: the devices of an inventory file. */
  update(loaded: Loaded): void;
  close(): Promise<void>;
}

export function createPostureService(options: PostureServiceOptions): PostureService {
  const { loaded, log, metrics, readiness, store } = options;
  const { sweep } = loaded.config.posture;
  let { whenUnavailable } = loaded.config.posture;
  const sources = createSources(loaded, Date.now);
  const cache = cacheOver(sources.inOrder, loaded.config.posture, store);
  measure(cache, metrics);
  const outages = watchOutages({
    health: () => cache.health(),
    graceMs: () => whenUnavailable.graceForMs,
    log,
    readiness,
    now: Date.now,
  });
  cache.sweepEvery(sweep, (error) => {
    log.warn({ err: error }, 'the changes at a posture source could not be looked through');
  });
  return {
    cache,
    update(next) {
      ({ whenUnavailable } = next.config.posture);
      // What an inventory says changes with its file only; the reports of a UEM are as good as before.
      if (sources.update(next)) cache.outdate();
    },
    async close() {
      outages.close();
      cache.close();
      await sources.close();
    },
  };
}

function measure(cache: PostureCache, metrics: Metrics): void {
  const how = { labels: ['source'], join: 'min' } as const;
  metrics.gaugeOf('zonegate_posture_source_up', 'Whether the posture source answers.', how, () =>
    cache.health().map(({ source, ok }) => ({ labels: { source }, value: ok ? 1 : 0 })),
  );
  metrics.gaugeOf(
    'zonegate_posture_source_last_success_timestamp_seconds',
    'When the posture source last answered; 0 before the first time.',
    how,
    () =>
      cache.health().map(({ source, lastSuccess }) => ({
        labels: { source },
        value: (lastSuccess ?? 0) / 1000,
      })),
  );
}

export function cacheOver(
  source: readonly OrderedSource[],
  posture: GatewayConfig['posture'],
  store?: PostureStore,
): PostureCache {
  const keptMs = posture.maxReportAge;
  return createPostureCache({
    source,
    // Asked again a little before the decision calls it stale, so that a slow connect is no refusal.
    maxAgeMs: keptMs * 0.8,
    negativeMs: keptMs,
    maxDevices: posture.maxDevices,
    deadlineMs: posture.timeout,
    recheckMs: posture.recheck,
    now: Date.now,
    ...(store && { store }),
  });
}
