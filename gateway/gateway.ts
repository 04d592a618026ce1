// Builds what serves devices from a configuration: listeners, policy, tunnels; start and close.

import { compileAddressTable } from '../dtr-rules/address.ts';
import type { Log } from '../runtime/log.ts';
import type { GaugeRow, Metrics } from '../runtime/metrics.ts';
import type { ListenAddress } from '../runtime/schema.ts';
import type { GatewayConfig } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import type { Policy } from './decision/policy.ts';
import type { DeviceHealth } from './device-health.ts';
import type { ForwardParts } from './edge/carry.ts';
import { createDeviceConnections } from './edge/device-connections.ts';
import type { EgressState } from './edge/egress-health.ts';
import { type Elsewhere, nowhere } from './edge/elsewhere.ts';
import { listen } from './edge/listen.ts';
import type { Listener } from './edge/listener.ts';
import { listenForPac } from './edge/pac-listen.ts';
import { type ByteRates, createPaces } from './edge/pace.ts';
import { createRateLimiter, type RateLimiter } from './edge/rate.ts';
import { reach } from './edge/reach.ts';
import { createTelemetry } from './edge/telemetry.ts';
import { createTunnels, type Tunnels } from './edge/tunnels.ts';
import { endSessions } from './end-sessions.ts';
import type { Whose } from './posture/signals/receiver.ts';
import { createRejudging } from './rejudging.ts';
import { createRuleClock } from './rule-clock.ts';
import { snapshotOf } from './snapshot.ts';
import { createWayOut } from './way-out.ts';

export interface GatewayOptions {
  readonly loaded: Loaded;
  readonly posture: DeviceHealth;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Told at every change of how the egress addresses do. */
  readonly onEgress: (states: readonly EgressState[]) => void;
  /** Where other processes count against the same limits. */
  readonly elsewhere?: Elsewhere;
}

/** Where devices come to. */
export interface DevicePorts {
  readonly port: number;
  /** Of the listener for clients that break on HTTP/2 proxies, if there is one. */
  readonly http1Port: number | null;
  /** Of the listeners for one application each, in the order of the configuration. */
  readonly appPorts: readonly number[];
  /** Of the listener for PAC files, if there is one. */
  readonly pacPort: number | null;
}

export interface Gateway extends DevicePorts {
  readonly tunnels: Tunnels;
  readonly posture: DeviceHealth;
  /** A port of this machine that no device may reach, whatever the rules open: the admin server. */
  protect(port: number): void;
  /** Cuts what is open now, whatever may be opened anew. Returns the devices that had something open. */
  endSessions(whose: Whose): readonly string[];
  /** Swaps the whole snapshot, and judges the open tunnels by it. */
  replace(loaded: Loaded): void;
  drain(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

const closeMs = 500;

export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { posture, log, metrics, elsewhere = nowhere } = options;
  const { config } = options.loaded;
  const now = Date.now;
  const telemetry = createTelemetry(metrics, log);
  const wayOut = createWayOut({ ...options, telemetry });
  let current = snapshotOf(options.loaded, [], wayOut.watch);
  const limits = () => ({
    maxTunnels: current.config.limits.tunnels,
    maxTunnelsPerDevice: current.config.limits.tunnelsPerDevice,
    maxTunnelsPerUser: current.config.limits.tunnelsPerUser,
    lifetimeMs: current.config.limits.lifetime,
  });
  const limiter = limiterFor(config.limits, elsewhere);
  const rates = {
    device: limiter('newTunnelsPerDevice'),
    user: limiter('newTunnelsPerUser'),
    all: limiter('newTunnels'),
    bytes: createPaces({
      bytesPerSecond: () => byteRates(current.config.limits),
      now: () => performance.now(),
      onSlowed: (...how) => telemetry.slowed(...how),
      elsewhere,
    }),
  };
  const tunnels = createTunnels(limits, rates, elsewhere);
  const policy = (): Policy => current.policy;
  const rejudging = createRejudging({ posture, tunnels, policy, telemetry, log, now });
  const parts: ForwardParts = {
    policy,
    posture,
    follow: rejudging.follow,
    resolver: () => current.resolver,
    unfit: () => wayOut.unfit(),
    tunnels,
    app: null,
    connections: createDeviceConnections(() => {
      const { connectionsPerDevice, tunnelsPerDevice } = current.config.limits;
      return connectionsPerDevice ?? 2 * tunnelsPerDevice;
    }, elsewhere.count('connectionsPerDevice')),
    telemetry,
    now,
    own: () => current.own,
    answer: () => ({ name: current.config.name, help: current.config.help }),
    reach: (way) => reach(way, current.reach, current.resolver),
    readPeer: (socket) => current.readPeer(socket),
    idleMs: () => current.config.limits.idleTunnel,
    firstByteMs: () => current.config.limits.firstByte,
  };
  const opened = await listenAll(options.loaded, parts, elsewhere);
  const { device, http1, apps, pac } = opened;
  const listeners = [device, http1, ...apps, pac].filter((one) => one !== null);
  const own = listeners.map(({ port }) => ({ address: null, port }));
  current = snapshotOf(options.loaded, own, wayOut.watch);

  const ruleClock = createRuleClock({
    next: (moment) => current.policy.rules.nextChange(moment),
    changed: rejudging.everything,
    now,
  });
  metrics.gauge(
    'zonegate_posture_grace_devices',
    'Devices with open tunnels that go on by the declared grace: their report is too old, and the source does not answer.',
    () => rejudging.onGrace(),
  );
  metrics.gauge('zonegate_tunnels_open', 'Tunnels open now.', () => tunnels.count());
  metrics.gaugeOf(
    'zonegate_egress_tunnels_open',
    'Tunnels open now by the address they leave from; towards one destination each takes a port of it.',
    { labels: ['address'], join: 'sum' },
    () => countBySource(tunnels, current.policy),
  );
  let { loaded: inForce } = options;

  return {
    port: device.port,
    http1Port: http1?.port ?? null,
    appPorts: apps.map(({ port }) => port),
    pacPort: pac?.port ?? null,
    tunnels,
    posture,
    protect(port) {
      own.push({ address: null, port });
      current = snapshotOf(inForce, own, wayOut.watch);
    },
    endSessions: (whose) => endSessions(whose, { tunnels, posture }),
    replace(loaded) {
      // What the old resolver is still being asked it may answer: a reload refuses nobody (design 5.6).
      current = snapshotOf(loaded, own, wayOut.watch);
      inForce = loaded;
      wayOut.use(loaded);
      for (const one of listeners) one.setTls(loaded.tls);
      ruleClock.restart();
      rejudging.everything();
    },
    async drain(signal) {
      for (const one of listeners) one.stop();
      await tunnels.drain(signal);
    },
    async close() {
      ruleClock.close();
      rejudging.close();
      for (const one of listeners) await one.close();
      // Sockets tell a moment later that they are closed: how tunnels ended belongs into the log.
      await tunnels.drain(AbortSignal.timeout(closeMs));
      current.resolver.close();
      wayOut.close();
    },
  };
}

/** Twice the rate at once, after a quiet time. */
function limiterFor(limits: GatewayConfig['limits'], elsewhere: Elsewhere) {
  return (name: 'newTunnels' | 'newTunnelsPerDevice' | 'newTunnelsPerUser'): RateLimiter | null => {
    const perSecond = limits[name];
    if (perSecond === null) return null;
    const burst = 2 * perSecond;
    const shared = elsewhere.rate(name, () => burst);
    return createRateLimiter({ perSecond, burst, maxKeys: 100_000, now: Date.now, shared });
  };
}

function byteRates(limits: GatewayConfig['limits']): ByteRates {
  const { bytesPerSecondPerDevice: device, bytesPerSecondPerUser: user, bytesPerSecond } = limits;
  return { device, user, all: bytesPerSecond };
}

function listenOptions({ config, tls }: Loaded, at: ListenAddress) {
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
    streamsPerConnection: config.limits.streamsPerConnection,
  };
}

function proxyProtocolOf({ listeners: { proxyProtocol } }: GatewayConfig) {
  if (proxyProtocol === null) return null;
  const { peers, timeout: timeoutMs } = proxyProtocol;
  return { peers: compileAddressTable(peers.map((range) => ({ range, value: true }))), timeoutMs };
}

interface Opened {
  readonly device: Listener;
  readonly http1: Listener | null;
  readonly apps: readonly Listener[];
  readonly pac: Listener | null;
}

/** They stand or fall together. */
async function listenAll(
  loaded: Loaded,
  parts: ForwardParts,
  elsewhere: Elsewhere,
): Promise<Opened> {
  const { device, deviceHttp1, apps, pac } = loaded.config.listeners;
  const opened: Listener[] = [];
  const optionsFor = (at: ListenAddress) => {
    // Every process has the same listeners, in this order, and each its own rates.
    const nth = opened.length;
    const sharedRate: Elsewhere['rate'] = (name, burst) => elsewhere.rate(`${nth} ${name}`, burst);
    return { ...listenOptions(loaded, at), sharedRate };
  };
  const open = async (at: ListenAddress, { h2 = true, app = null as string | null } = {}) => {
    const listener = await listen({ ...optionsFor(at), h2 }, { ...parts, app });
    opened.push(listener);
    return listener;
  };
  try {
    const first = await open(device);
    const http1 = deviceHttp1 === null ? null : await open(deviceHttp1, { h2: false });
    const own: Listener[] = [];
    for (const { listen: at, app } of apps) own.push(await open(at, { app }));
    const files = pac === null ? null : await listenForPac(optionsFor(pac), parts);
    return { device: first, http1, apps: own, pac: files };
  } catch (error) {
    for (const one of opened) await one.close();
    throw error;
  }
}

function countBySource(tunnels: Tunnels, { egress }: Policy): readonly GaugeRow[] {
  const counts = new Map<string, number>();
  for (const { addresses } of egress.pools.values()) {
    for (const { text } of addresses) counts.set(text, 0);
  }
  for (const { standing } of tunnels.list()) {
    const { text } = standing.source;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts].map(([address, value]) => ({ labels: { address }, value }));
}
