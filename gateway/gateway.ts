// Builds what serves devices from a configuration: listeners, policy, tunnels; start and close.

import { compileAddressTable } from '../dtr-rules/address.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { GatewayConfig } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import type { Policy } from './decision/policy.ts';
import type { PostureFacts } from './decision/posture.ts';
import { rejudge, type Standing } from './decision/rejudge.ts';
import type { ForwardParts } from './edge/carry.ts';
import { type Listener, listen } from './edge/listen.ts';
import { createRateLimiter } from './edge/rate.ts';
import { reach, upstreamCandidates } from './edge/reach.ts';
import { createTelemetry } from './edge/telemetry.ts';
import { createTunnels, type Tunnels } from './edge/tunnels.ts';
import type { PostureCache } from './posture/cache.ts';
import { snapshotOf } from './snapshot.ts';

export interface GatewayOptions {
  readonly loaded: Loaded;
  readonly posture: PostureCache;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface Gateway {
  readonly port: number;
  /** Of the listener for clients that break on HTTP/2 proxies, if there is one. */
  readonly http1Port: number | null;
  readonly tunnels: Tunnels;
  readonly posture: PostureCache;
  /** A port of this machine that no device may reach, whatever the rules open: the admin server. */
  protect(port: number): void;
  /** Swaps the whole snapshot, and judges the open tunnels by it. */
  replace(loaded: Loaded): void;
  drain(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

const closeMs = 500;

export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { posture, log, metrics } = options;
  const { config } = options.loaded;
  const now = Date.now;
  const telemetry = createTelemetry(metrics, log);
  let current = snapshotOf(options.loaded, [], telemetry);
  const perSecond = config.limits.newTunnelsPerDevice;
  const rate = createRateLimiter({ perSecond, burst: 2 * perSecond, maxKeys: 100_000, now });
  const limits = () => ({
    maxTunnels: current.config.limits.tunnels,
    maxTunnelsPerDevice: current.config.limits.tunnelsPerDevice,
  });
  const tunnels = createTunnels(limits, rate);
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
  const listener = await listen(listenOptions(options.loaded, config.listeners.device), parts);
  const http1 = await listenHttp1(options.loaded, listener, parts);
  const listeners = http1 === null ? [listener] : [listener, http1];
  const own = listeners.map(({ port }) => ({ address: null, port }));
  current = snapshotOf(options.loaded, own, telemetry);

  watchPosture({ posture, tunnels, policy: () => current.policy, now, telemetry, log });
  metrics.gauge('zonegate_tunnels_open', 'Tunnels open now.', () => tunnels.count());
  let { loaded: inForce } = options;

  return {
    port: listener.port,
    http1Port: http1?.port ?? null,
    tunnels,
    posture,
    protect(port) {
      own.push({ address: null, port });
      current = snapshotOf(inForce, own, telemetry);
    },
    replace(loaded) {
      // What the old resolver is still being asked it may answer: a reload refuses nobody (design 5.6).
      current = snapshotOf(loaded, own, telemetry);
      inForce = loaded;
      for (const one of listeners) one.setTls(loaded.tls);
      const cut = rejudgeAll({ posture, tunnels, policy: () => current.policy, now });
      cut.catch((error: unknown) => log.error({ err: error }, 'judging open tunnels anew failed'));
    },
    async drain(signal) {
      for (const one of listeners) one.stop();
      await tunnels.drain(signal);
    },
    async close() {
      for (const one of listeners) await one.close();
      // Sockets tell a moment later that they are closed: how tunnels ended belongs into the log.
      await tunnels.drain(AbortSignal.timeout(closeMs));
      current.resolver.close();
    },
  };
}

function listenOptions({ config, tls }: Loaded, at: GatewayConfig['listeners']['device']) {
  const { handshake, head, idleConnection, unauthenticated, unauthenticatedPerSource } =
    config.limits;
  return {
    host: at.host === '' ? null : at.host,
    port: at.port,
    tls,
    handshakeTimeoutMs: handshake,
    headTimeoutMs: head,
    idleConnectionMs: idleConnection,
    unauthenticated,
    unauthenticatedPerSource,
    connectionsPerSource: config.limits.connectionsPerSource,
    handshakesPerCertificate: config.limits.handshakesPerCertificate,
    proxyProtocol: proxyProtocolOf(config),
    h2: true,
    streamsPerConnection: config.limits.streamsPerConnection,
  };
}

function proxyProtocolOf({ listeners: { proxyProtocol } }: GatewayConfig) {
  if (proxyProtocol === null) return null;
  const { peers, timeout: timeoutMs } = proxyProtocol;
  return { peers: compileAddressTable(peers.map((range) => ({ range, value: true }))), timeoutMs };
}

/** The second listener, when there is to be one; with the first it stands or falls. */
async function listenHttp1(
  loaded: Loaded,
  first: Listener,
  parts: ForwardParts,
): Promise<Listener | null> {
  const at = loaded.config.listeners.deviceHttp1;
  if (at === null) return null;
  try {
    return await listen({ ...listenOptions(loaded, at), h2: false }, parts);
  } catch (error) {
    await first.close();
    throw error;
  }
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
    readonly telemetry: ReturnType<typeof createTelemetry>;
    readonly log: Log;
  },
): void {
  const { posture, tunnels, telemetry, log, now } = wiring;
  posture.onChange((deviceId, facts) => {
    const learned = now();
    const closed = tunnels.rejudge(deviceId, judgeWith(wiring, facts));
    if (closed === 0) return;
    telemetry.changeToCut((now() - learned) / 1000);
    log.info({ 'device.id': deviceId, 'zonegate.cut': closed }, 'posture changed, tunnels cut');
  });
  posture.start(() => tunnels.devices());
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
