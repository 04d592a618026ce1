// Tells which configuration is in force: since when, what of it will expire, and whether a newer one was refused.

import { isDeepStrictEqual } from 'node:util';
import { formatIssue } from '../runtime/issue.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Readiness } from '../runtime/readiness.ts';
import type { GatewayConfig } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import { watchExpiry } from './expiry.ts';

export interface InForceOptions {
  readonly loaded: Loaded;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
}

export interface InForce {
  loaded(): Loaded;
  /** Counts a reload. Returns the settings that differ but need a restart. */
  replaced(loaded: Loaded): readonly string[];
  /** Counts a reload that changed nothing because the files are broken. */
  refused(summary: string): void;
}

export function createInForce(options: InForceOptions): InForce {
  const { log, metrics, readiness } = options;
  const started = options.loaded.config;
  let { loaded } = options;
  const reloads = metrics.counterBy(
    'zonegate_config_reloads_total',
    'Reloads of the configuration, by result.',
    'result',
    ['ok', 'failed'],
  );
  const loadedAt = metrics.gauge(
    'zonegate_config_last_reload_success_timestamp_seconds',
    'When the configuration in force was read.',
  );
  const isLatest = metrics.gauge(
    'zonegate_config_last_reload_successful',
    'Whether the configuration in force is the one in the files; 0: a changed one was refused.',
  );
  watchExpiry(metrics, () => loaded);
  isLatest.set(1);
  loadedAt.set(Date.now() / 1000);
  readiness.set('policy', 'ok');
  warn(loaded, log);
  return {
    loaded: () => loaded,
    replaced(next) {
      loaded = next;
      warn(loaded, log);
      loadedAt.set(Date.now() / 1000);
      isLatest.set(1);
      reloads.ok.inc();
      readiness.set('policy', 'ok');
      log.info(
        { 'event.name': 'zonegate.reload', 'zonegate.policy.version': loaded.policy.version },
        'configuration reloaded',
      );
      return restartNeeded(started, loaded.config);
    },
    refused(summary) {
      isLatest.set(0);
      reloads.failed.inc();
      readiness.set('policy', `the changed configuration is not in force: ${summary}`);
    },
  };
}

/** What does not work as it reads, or will stop working by itself: said while there is time. */
function warn({ warnings }: Loaded, log: Log): void {
  for (const warning of warnings) {
    log.warn({ 'event.name': 'zonegate.warning' }, formatIssue(warning));
  }
}

/** Settings that are read once; a change of them waits for a restart and says so. */
function restartNeeded(started: GatewayConfig, after: GatewayConfig): readonly string[] {
  const once = (config: GatewayConfig): Record<string, unknown> => ({
    'listeners.device': config.listeners.device,
    'listeners.deviceHttp1': config.listeners.deviceHttp1,
    'listeners.pac': config.listeners.pac,
    'listeners.apps': config.listeners.apps,
    'listeners.proxyProtocol': config.listeners.proxyProtocol,
    'posture.source': config.posture.source,
    'posture.sources': config.posture.sources,
    'posture.webhook': config.posture.webhook,
    'posture.signals': config.posture.signals,
    'posture.maxEvents': config.posture.maxEvents,
    'posture.maxReportAge': config.posture.maxReportAge,
    'posture.recheck': config.posture.recheck,
    'posture.sweep': config.posture.sweep,
    'posture.timeout': config.posture.timeout,
    'posture.maxDevices': config.posture.maxDevices,
    'limits.handshake': config.limits.handshake,
    'limits.head': config.limits.head,
    'limits.idleConnection': config.limits.idleConnection,
    'limits.drain': config.limits.drain,
    'limits.connectionsPerSource': config.limits.connectionsPerSource,
    'limits.handshakesPerCertificate': config.limits.handshakesPerCertificate,
    'limits.newTunnels': config.limits.newTunnels,
    'limits.newTunnelsPerDevice': config.limits.newTunnelsPerDevice,
    'limits.newTunnelsPerUser': config.limits.newTunnelsPerUser,
    'limits.streamsPerConnection': config.limits.streamsPerConnection,
    'limits.unauthenticated': config.limits.unauthenticated,
    'limits.unauthenticatedPerSource': config.limits.unauthenticatedPerSource,
  });
  const then = once(after);
  return Object.entries(once(started))
    .filter(([key, value]) => !isDeepStrictEqual(value, then[key]))
    .map(([key]) => key);
}
