// Builds the gateway's parts from a configuration and wires them together; start and close.

import { isDeepStrictEqual } from 'node:util';
import type { Hono } from 'hono';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Readiness } from '../runtime/readiness.ts';
import type { GatewayConfig } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import type { Policy } from './decision/policy.ts';
import type { PostureFacts } from './decision/posture.ts';
import { rejudge, type Standing } from './decision/rejudge.ts';
import { mountApi } from './edge/api.ts';
import type { ForwardParts } from './edge/carry.ts';
import { listen } from './edge/listen.ts';
import { reach, upstreamCandidates } from './edge/reach.ts';
import { createTelemetry } from './edge/telemetry.ts';
import { createTunnels, type Tunnels } from './edge/tunnels.ts';
import { watchExpiry } from './expiry.ts';
import { createPostureCache, type PostureCache } from './posture/cache.ts';
import { createUemWebhook } from './posture/webhook.ts';
import { createSource } from './posture-source.ts';
import { snapshotOf } from './snapshot.ts';

export interface GatewayOptions {
  readonly loaded: Loaded;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
}

export interface Gateway {
  readonly port: number;
  readonly tunnels: Tunnels;
  readonly posture: PostureCache;
  /** Mounts `/egress`, `/tunnels` below the admin API, and the UEM's events below `/webhooks`. */
  routes(app: Hono): void;
  webhooks(app: Hono): void;
  /** A port of this machine that no device may reach, whatever the rules open: the admin server. */
  protect(port: number): void;
  /** Swaps the whole snapshot. Returns the settings that differ but need a restart. */
  replace(loaded: Loaded): readonly string[];
  /** Counts a reload that changed nothing because the files are broken. */
  refusedReload(summary: string): void;
  drain(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { log, metrics, readiness } = options;
  const { config } = options.loaded;
  const now = Date.now;
  const telemetry = createTelemetry(metrics, log);
  const source = createSource(options.loaded, now);
  // An inventory is in memory as it is: kept a second time it would only delay what a reload brings.
  const keptMs = config.posture.source.kind === 'inventory' ? 0 : config.posture.maxReportAge;
  const posture = createPostureCache({
    source,
    // Asked again a little before the decision calls it stale, so that a slow connect is no refusal.
    maxAgeMs: keptMs * 0.8,
    negativeMs: keptMs,
    maxDevices: config.posture.maxDevices,
    deadlineMs: config.posture.timeout,
    recheckMs: config.posture.recheck,
    now,
  });
  let current = snapshotOf(options.loaded, []);
  const tunnels = createTunnels(() => ({
    maxTunnels: current.config.limits.tunnels,
    maxTunnelsPerDevice: current.config.limits.tunnelsPerDevice,
  }));
  const parts: ForwardParts = {
    policy: () => current.policy,
    posture,
    resolver: () => current.resolver,
    upstream: (tunnel) => upstreamCandidates(tunnel, current.reach, current.resolver),
    tunnels,
    telemetry,
    now,
    answer: () => ({ name: current.config.name, help: current.config.help }),
    reach: (way) => reach(way, current.reach),
    readPeer: (socket) => current.readPeer(socket),
    idleMs: () => current.config.limits.idleTunnel,
    firstByteMs: () => current.config.limits.firstByte,
  };
  const { webhook: credentials } = config.posture;
  const webhook =
    credentials &&
    createUemWebhook({
      credentials: { kind: 'basic', ...credentials },
      cache: posture,
      log,
      metrics,
      now,
    });
  const listener = await listen(listenOptions(options.loaded), parts);
  const own = [{ address: null, port: listener.port }];
  current = snapshotOf(options.loaded, own);

  watchPosture({ posture, tunnels, policy: () => current.policy, now, metrics, telemetry, log });
  metrics.gauge('zonegate_tunnels_open', 'Tunnels open now.', () => tunnels.count());
  let inForce = options.loaded;
  watchExpiry(metrics, () => inForce);
  const loadedAt = metrics.gauge(
    'zonegate_config_last_reload_success_timestamp_seconds',
    'When the configuration in force was read.',
  );
  loadedAt.set(now() / 1000);
  readiness.set('policy', 'ok');

  return {
    port: listener.port,
    tunnels,
    posture,
    routes: (app) => mountApi(app, { tunnels, policy: () => current.policy, posture }),
    webhooks: (app) => webhook?.mount(app),
    protect(port) {
      own.push({ address: null, port });
      current = snapshotOf(options.loaded, own);
    },
    replace(loaded) {
      // What the old resolver is still being asked it may answer: a reload refuses nobody (design 5.6).
      current = snapshotOf(loaded, own);
      inForce = loaded;
      listener.setTls(loaded.tls);
      source.update(loaded);
      loadedAt.set(now() / 1000);
      telemetry.reloads.ok.inc();
      readiness.set('policy', 'ok');
      const cut = rejudgeAll({ posture, tunnels, policy: () => current.policy, now });
      log.info(
        { 'event.name': 'zonegate.reload', 'zonegate.policy.version': current.policy.version },
        'configuration reloaded',
      );
      cut.catch((error: unknown) => log.error({ err: error }, 'judging open tunnels anew failed'));
      return restartNeeded(config, loaded.config);
    },
    refusedReload(summary) {
      telemetry.reloads.failed.inc();
      readiness.set('policy', `the changed configuration is not in force: ${summary}`);
    },
    async drain(signal) {
      listener.stop();
      await tunnels.drain(signal);
    },
    async close() {
      webhook?.close();
      posture.close();
      await listener.close();
      current.resolver.close();
      await source.close();
    },
  };
}

function listenOptions({ config, tls }: Loaded) {
  const { host, port } = config.listeners.device;
  const { handshake, head, idleConnection, unauthenticated, unauthenticatedPerSource } =
    config.limits;
  return {
    host: host === '' ? null : host,
    port,
    tls,
    handshakeTimeoutMs: handshake,
    headTimeoutMs: head,
    idleConnectionMs: idleConnection,
    unauthenticated,
    unauthenticatedPerSource,
  };
}

interface Rejudging {
  readonly posture: PostureCache;
  readonly tunnels: Tunnels;
  readonly policy: () => Policy;
  readonly now: () => number;
}

/** A change reaches live tunnels: posture by event or re-check, and time itself (certificates and
 *  lists expire, grace ends) at every re-check. */
function watchPosture(
  wiring: Rejudging & {
    readonly metrics: Metrics;
    readonly telemetry: ReturnType<typeof createTelemetry>;
    readonly log: Log;
  },
): void {
  const { posture, tunnels, telemetry, metrics, log, now } = wiring;
  posture.onChange((deviceId, facts) => {
    const learned = now();
    const closed = tunnels.rejudge(deviceId, judgeWith(wiring, facts));
    if (closed === 0) return;
    telemetry.changeToCut((now() - learned) / 1000);
    log.info({ 'device.id': deviceId, 'zonegate.cut': closed }, 'posture changed, tunnels cut');
  });
  posture.start(() => tunnels.devices());
  metrics.gauge('zonegate_posture_source_up', 'Whether the posture source answers.', () =>
    posture.health().ok ? 1 : 0,
  );
  metrics.gauge(
    'zonegate_posture_source_last_success_timestamp_seconds',
    'When the posture source last answered; 0 before the first time.',
    () => (posture.health().lastSuccess ?? 0) / 1000,
  );
}

async function rejudgeAll(wiring: Rejudging): Promise<void> {
  const devices = [...new Set(wiring.tunnels.devices())];
  await Promise.all(
    devices.map(async (deviceId) => {
      const facts = await wiring.posture.facts(deviceId);
      wiring.tunnels.rejudge(deviceId, judgeWith(wiring, facts));
    }),
  );
}

function judgeWith({ policy, now }: Rejudging, facts: PostureFacts) {
  return (standing: Standing) => rejudge(standing, facts, policy(), now());
}

/** Settings that are read once; a change of them waits for a restart and says so. */
function restartNeeded(started: GatewayConfig, after: GatewayConfig): readonly string[] {
  const once = (config: GatewayConfig): Record<string, unknown> => ({
    'listeners.device': config.listeners.device,
    'posture.source': config.posture.source,
    'posture.webhook': config.posture.webhook,
    'posture.maxReportAge': config.posture.maxReportAge,
    'posture.recheck': config.posture.recheck,
    'limits.handshake': config.limits.handshake,
    'limits.head': config.limits.head,
    'limits.idleConnection': config.limits.idleConnection,
    'limits.unauthenticated': config.limits.unauthenticated,
    'limits.unauthenticatedPerSource': config.limits.unauthenticatedPerSource,
  });
  const then = once(after);
  return Object.entries(once(started))
    .filter(([key, value]) => !isDeepStrictEqual(value, then[key]))
    .map(([key]) => key);
}
