// A device listener in this process: real TLS and real sockets on loopback; DNS, posture and limits are handed in.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import { listedServers } from '../../../gateway/config/upstreams.ts';
import type { DeviceFacts } from '../../../gateway/decision/block.ts';
import type { AppSource } from '../../../gateway/decision/identity.ts';
import type { PostureFacts } from '../../../gateway/decision/posture.ts';
import type { ForwardParts } from '../../../gateway/edge/carry.ts';
import { createDeviceConnections } from '../../../gateway/edge/device-connections.ts';
import { createFamilyMemory } from '../../../gateway/edge/family-memory.ts';
import { type ListenOptions, listen } from '../../../gateway/edge/listen.ts';
import type { Listener } from '../../../gateway/edge/listener.ts';
import { createOwnFiles } from '../../../gateway/edge/own-files.ts';
import { createPaces } from '../../../gateway/edge/pace.ts';
import { peerReader } from '../../../gateway/edge/peer.ts';
import { type ReachOptions, reach } from '../../../gateway/edge/reach.ts';
import type { Resolver } from '../../../gateway/edge/resolve.ts';
import { createTelemetry } from '../../../gateway/edge/telemetry.ts';
import { createTunnels, type Tunnels } from '../../../gateway/edge/tunnels.ts';
import type { Upstream } from '../../../gateway/edge/upstream.ts';
import { createUpstreamRests, type UpstreamChange } from '../../../gateway/edge/upstream-rests.ts';
import { GatewayError } from '../../../gateway/errors.ts';
import { createAuthority, type KeyedCertificate } from '../../../runtime/authority.ts';
import { createLog } from '../../../runtime/log.ts';
import { createMetrics } from '../../../runtime/metrics.ts';
import { addressOf, DEVICE, healthyReport, policyFor } from '../decision/policy-for.ts';

const WAIT_MS = 20_000; // a test that waits longer than this has failed

export const authority = await createAuthority({ name: 'edge test devices', days: 30 });
const sans = { dns: ['localhost'] };
const server = await authority.issue({ commonName: 'gateway', sans, usage: 'server', days: 2 });
export const device = await authority.issue({ commonName: DEVICE, usage: 'client', days: 2 });

export interface EdgeOptions {
  readonly limits?: Partial<Omit<ListenOptions, 'tls' | 'host' | 'port'>>;
  readonly tunnelsPerDevice?: number;
  readonly connectionsPerDevice?: number;
  readonly idleMs?: number;
  /** Whose own listener this is, and what is believed about applications. */
  readonly app?: string;
  readonly appSource?: AppSource;
  readonly lifetimeMs?: number;
  readonly bytesPerSecond?: number;
  readonly firstByteMs?: number;
  readonly dialTimeoutMs?: number;
  readonly pools?: Readonly<Record<string, readonly string[]>>;
  readonly upstreams?: ReadonlyMap<string, Upstream>;
  readonly resolve?: Resolver['resolve'];
  /** By which servers of upstream proxies rest. */
  readonly restClock?: () => number;
  readonly onUpstream?: (change: UpstreamChange) => void;
}

export interface Edge {
  readonly port: number;
  readonly listener: Listener;
  readonly options: ListenOptions;
  readonly tunnels: Tunnels;
  readonly parts: ForwardParts;
  /** What was logged, one object per line. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** Replaced by tests that let posture change or wait. */
  posture: () => Promise<PostureFacts & Partial<DeviceFacts>>;
  metric(line: string): Promise<string | null>;
}

/** Rules let `127.0.0.1` and `origin.test` through, and `*.proxied.test` and 2606:4700::/32 through the upstream proxy. */
const ruleSets = [
  {
    name: 'staff',
    defaultAction: 'BLOCK',
    rules: [
      {
        id: 'proxied',
        action: 'PROXY',
        upstream: 'proxy',
        destinations: '*.proxied.test, 2606:4700::/32',
      },
      {
        id: 'local',
        action: 'TUNNEL',
        destinations: '127.0.0.1, 127.0.0.2, 127.0.0.3, origin.test, *.origin.test',
        open: ['127.0.0.0/8'],
      },
      {
        id: 'mail',
        action: 'TUNNEL',
        apps: ['mail'],
        destinations: '127.0.0.4',
        open: ['127.0.0.0/8'],
      },
    ],
  },
];
const applications = { mail: { bundleId: 'com.example.mail' } };

export async function runEdge(t: TestContext, options: EdgeOptions = {}): Promise<Edge> {
  const lines: Record<string, unknown>[] = [];
  const stream = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const metrics = createMetrics();
  const log = createLog({ level: 'debug', secrets: [], stream });
  const base = policyFor({
    applications,
    ruleSets,
    pools: options.pools ?? { main: ['127.0.0.1'] },
  });
  const upstreams = options.upstreams ?? new Map<string, Upstream>();
  const x509 = new X509Certificate(authority.certificatePem);
  const anchors = new Set([x509.fingerprint256.replaceAll(':', '').toLowerCase()]);
  const policy = {
    ...base,
    identity: { ...base.identity, anchors, app: options.appSource ?? null },
    upstreams: listedServers(upstreams),
  };
  const telemetry = createTelemetry(metrics, log);
  const bytes = createPaces({
    bytesPerSecond: () => ({ device: options.bytesPerSecond ?? null, user: null, all: null }),
    // Time stands still: what is slowed depends on bytes alone.
    now: () => 0,
    onSlowed: (...how) => telemetry.slowed(...how),
  });
  const tunnels = createTunnels(
    () => ({
      maxTunnels: 100,
      maxTunnelsPerDevice: options.tunnelsPerDevice ?? 50,
      maxTunnelsPerUser: null,
      lifetimeMs: options.lifetimeMs ?? null,
    }),
    { device: null, user: null, all: null, bytes },
  );
  const facts = { report: { ...healthyReport, fetchedAt: 0 }, known: true };
  const reaching: ReachOptions = {
    upstreams,
    dialTimeoutMs: options.dialTimeoutMs ?? 2_000,
    attemptDelayMs: 20,
    rests: createUpstreamRests({
      now: options.restClock ?? Date.now,
      onChange: options.onUpstream ?? (() => undefined),
    }),
    families: createFamilyMemory(Date.now),
    watch: null,
  };
  const resolver = { resolve: options.resolve ?? resolveOrigin, close: () => undefined };
  const own = {
    files: createOwnFiles({ host: 'gw.test', port: 8443 }, 'closed'),
    pacSecret: 'secret of the tests',
  };
  const parts: ForwardParts = {
    policy: () => policy,
    posture: { facts: async () => ({ block: null, ...(await edge.posture()) }) },
    follow: () => undefined,
    resolver: () => resolver,
    unfit: () => new Set(),
    tunnels,
    app: options.app ?? null,
    connections: createDeviceConnections(() => options.connectionsPerDevice ?? 100),
    telemetry,
    now: Date.now,
    own: () => own,
    answer: () => ({ name: 'gw-test', help: 'https://help.example/' }),
    reach: (way) => reach(way, reaching, resolver),
    readPeer: peerReader({ authorities: [x509], maxPeers: 100, now: Date.now }),
    idleMs: () => options.idleMs ?? 10_000,
    firstByteMs: () => options.firstByteMs ?? 10_000,
  };
  const { certificatePem: certificate, keyPem: key } = server;
  const listening: ListenOptions = {
    host: '127.0.0.1',
    port: 0,
    tls: { certificate, key, authorities: [authority.certificatePem] },
    handshakeTimeoutMs: 2_000,
    headTimeoutMs: 2_000,
    idleConnectionMs: 2_000,
    unauthenticated: 100,
    unauthenticatedPerSource: 50,
    connectionsPerSource: 100_000,
    handshakesPerCertificate: 100_000,
    proxyProtocol: null,
    h2: true,
    streamsPerConnection: 100,
    ...options.limits,
  };
  const listener = await listen(listening, parts);
  t.after(() => listener.close());
  const edge: Edge = {
    port: listener.port,
    listener,
    options: listening,
    tunnels,
    parts,
    lines,
    posture: () =>
      Promise.resolve({
        ...facts,
        report: { ...facts.report, fetchedAt: Date.now(), lastSeen: Date.now() },
      }),
    async metric(line) {
      const text = await metrics.text();
      const found = text.split('\n').find((one) => one.startsWith(`${line} `));
      return found?.slice(line.length + 1) ?? null;
    },
  };
  return edge;
}

function resolveOrigin(host: string) {
  if (host.endsWith('origin.test')) return Promise.resolve([addressOf('127.0.0.1')]);
  return Promise.reject(new GatewayError('dns.failed', `cannot resolve \`${host}\``));
}

/** One TLS connection of a device, in bytes. */
export interface Client {
  readonly socket: tls.TLSSocket;
  /** Everything received so far, as latin1. */
  text(): string;
  write(text: string | Buffer): void;
  /** Resolves once what was received matches. */
  until(wanted: RegExp | ((text: string) => boolean)): Promise<string>;
  /** Everything received by the time the connection is over. */
  closed(): Promise<string>;
}

export async function connectDevice(
  t: TestContext,
  edge: Pick<Edge, 'port'>,
  options: tls.ConnectionOptions & { readonly identity?: KeyedCertificate | null } = {},
): Promise<Client> {
  const { identity = device, ...rest } = options;
  const socket = tls.connect({
    host: '127.0.0.1',
    port: edge.port,
    servername: 'localhost',
    ca: authority.certificatePem,
    allowHalfOpen: true,
    ...(identity && { cert: identity.chainPem, key: identity.keyPem }),
    ...rest,
  } as tls.ConnectionOptions);
  const client = collect(t, socket) as Client;
  await once(socket, 'secureConnect');
  return client;
}

/** Collects what a socket receives. An error is an end like any other here. */
export function collect(
  t: TestContext,
  socket: net.Socket,
): Omit<Client, 'socket'> & { readonly socket: net.Socket } {
  let text = '';
  let over = false;
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const check of waiting) check();
  };
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    wake();
  });
  const end = (): void => {
    over = true;
    socket.end();
    wake();
  };
  socket.on('end', end).on('close', end);
  t.after(() => socket.destroy());
  function wait(ready: () => boolean, what: string): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const late = setTimeout(() => reject(new Error(`waited for ${what}, got: ${text}`)), WAIT_MS);
    const check = (): void => {
      if (!ready() && !over) return;
      clearTimeout(late);
      waiting.delete(check);
      if (ready()) resolve(text);
      else reject(new Error(`closed before ${what}, got: ${text}`));
    };
    waiting.add(check);
    check();
    return promise;
  }
  return {
    socket,
    text: () => text,
    write: (data) => void socket.write(data),
    until: (wanted) =>
      wait(() => (wanted instanceof RegExp ? wanted.test(text) : wanted(text)), String(wanted)),
    closed: () => wait(() => over, 'the end'),
  };
}

/** Sends bytes on a new connection and gives back all that comes until the gateway closes it. */
export async function send(t: TestContext, edge: Edge, bytes: string | Buffer): Promise<string> {
  const client = await connectDevice(t, edge);
  client.write(bytes);
  return await client.closed();
}

/** A TCP server that tests play the origin with. */
export async function runOrigin(
  t: TestContext,
  onConnection: (client: ReturnType<typeof collect>) => void,
  host = '127.0.0.1',
  port = 0,
): Promise<{
  readonly port: number;
  readonly sockets: readonly net.Socket[];
  readonly stop: () => void;
}> {
  const sockets: net.Socket[] = [];
  const origin = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.push(socket);
    onConnection(collect(t, socket));
  });
  origin.listen(port, host);
  await once(origin, 'listening');
  t.after(() => void origin.close());
  return {
    port: (origin.address() as AddressInfo).port,
    sockets,
    stop: () => void origin.close(),
  };
}

/** An origin that answers every request with the same bytes as soon as its head is complete. */
export async function runAnswering(t: TestContext, answer: string | Buffer, host = '127.0.0.1') {
  const requests: string[] = [];
  const answerAll = (client: Omit<Client, 'socket'> & { readonly socket: net.Socket }): void => {
    let text = '';
    client.socket.on('data', (chunk: Buffer) => {
      // What comes behind a head is the rest of its body.
      if (text === '' && !/^[A-Z]+ /.test(chunk.toString('latin1'))) return;
      text += chunk.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      requests.push(text);
      text = '';
      client.write(answer);
    });
  };
  const origin = await runOrigin(t, answerAll, host);
  return { ...origin, requests };
}

/** Waits until something that changes by events holds. */
export async function eventually(holds: () => boolean, what: string): Promise<void> {
  const until = Date.now() + WAIT_MS;
  while (!holds()) {
    assert.ok(Date.now() < until, `never: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0);
}
