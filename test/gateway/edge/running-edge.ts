// A device listener in this process: real TLS and real sockets on loopback; DNS, posture and limits are handed in.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import type { PostureFacts } from '../../../gateway/decision/posture.ts';
import type { ForwardParts } from '../../../gateway/edge/carry.ts';
import { type Listener, type ListenOptions, listen } from '../../../gateway/edge/listen.ts';
import { peerReader } from '../../../gateway/edge/peer.ts';
import { reach, type Upstream, upstreamCandidates } from '../../../gateway/edge/reach.ts';
import type { Resolver } from '../../../gateway/edge/resolve.ts';
import { createTelemetry } from '../../../gateway/edge/telemetry.ts';
import { createTunnels, type Tunnels } from '../../../gateway/edge/tunnels.ts';
import { GatewayError } from '../../../gateway/errors.ts';
import type { PostureCache } from '../../../gateway/posture/cache.ts';
import { createAuthority, type KeyedCertificate } from '../../../runtime/authority.ts';
import { createLog } from '../../../runtime/log.ts';
import { createMetrics } from '../../../runtime/metrics.ts';
import { addressOf, DEVICE, healthyReport, policyFor } from '../decision/policy-for.ts';

const WAIT_MS = 5_000; // a test that waits longer than this has failed

export const authority = await createAuthority({ name: 'edge test devices', days: 30 });
const sans = { dns: ['localhost'] };
const server = await authority.issue({ commonName: 'gateway', sans, usage: 'server', days: 2 });
export const device = await authority.issue({ commonName: DEVICE, usage: 'client', days: 2 });

export interface EdgeOptions {
  readonly limits?: Partial<Omit<ListenOptions, 'tls' | 'host' | 'port'>>;
  readonly tunnelsPerDevice?: number;
  readonly idleMs?: number;
  readonly firstByteMs?: number;
  readonly dialTimeoutMs?: number;
  readonly pools?: Readonly<Record<string, readonly string[]>>;
  readonly upstreams?: ReadonlyMap<string, Upstream>;
  readonly resolve?: Resolver['resolve'];
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
  posture: () => Promise<PostureFacts>;
  metric(line: string): Promise<string | null>;
}

/** Rules let `127.0.0.1` and `origin.test` through, and `*.proxied.test` through the upstream proxy. */
const ruleSets = [
  {
    name: 'staff',
    defaultAction: 'BLOCK',
    rules: [
      { id: 'proxied', action: 'PROXY', upstream: 'proxy', destinations: '*.proxied.test' },
      {
        id: 'local',
        action: 'TUNNEL',
        destinations: '127.0.0.1, 127.0.0.2, 127.0.0.3, origin.test, *.origin.test',
        open: ['127.0.0.0/8'],
      },
    ],
  },
];

export async function runEdge(t: TestContext, options: EdgeOptions = {}): Promise<Edge> {
  const lines: Record<string, unknown>[] = [];
  const stream = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const metrics = createMetrics();
  const log = createLog({ level: 'debug', secrets: [], stream });
  const base = policyFor({ ruleSets, pools: options.pools ?? { main: ['127.0.0.1'] } });
  const x509 = new X509Certificate(authority.certificatePem);
  const anchors = new Set([x509.fingerprint256.replaceAll(':', '').toLowerCase()]);
  const policy = { ...base, identity: { ...base.identity, anchors } };
  const tunnels = createTunnels(() => ({
    maxTunnels: 100,
    maxTunnelsPerDevice: options.tunnelsPerDevice ?? 50,
  }));
  const facts = { report: { ...healthyReport, fetchedAt: 0 }, known: true };
  const upstreams = options.upstreams ?? new Map();
  const reaching = { upstreams, dialTimeoutMs: options.dialTimeoutMs ?? 2_000, attemptDelayMs: 20 };
  const resolver = { resolve: options.resolve ?? resolveOrigin, close: () => undefined };
  const parts: ForwardParts = {
    policy: () => policy,
    posture: { facts: () => edge.posture() } as unknown as PostureCache,
    resolver: () => resolver,
    upstream: (tunnel) => upstreamCandidates(tunnel, reaching, resolver),
    tunnels,
    telemetry: createTelemetry(metrics, log),
    now: Date.now,
    answer: () => ({ name: 'gw-test', help: 'https://help.example/' }),
    reach: (way) => reach(way, reaching),
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
): Promise<{ readonly port: number; readonly sockets: readonly net.Socket[] }> {
  const sockets: net.Socket[] = [];
  const origin = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.push(socket);
    onConnection(collect(t, socket));
  });
  origin.listen(port, host);
  await once(origin, 'listening');
  t.after(() => void origin.close());
  return { port: (origin.address() as AddressInfo).port, sockets };
}

/** An origin that gives every connection the same bytes as soon as a request head is complete. */
export async function runAnswering(t: TestContext, answer: string | Buffer) {
  const requests: string[] = [];
  const origin = await runOrigin(t, (client) => {
    void client
      .until(/\r\n\r\n/)
      .then((text) => {
        requests.push(text);
        client.write(answer);
      })
      .catch(() => undefined);
  });
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
