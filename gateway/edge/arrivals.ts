// Decides which connections may begin: balancers' PROXY headers, handshake rates, bounds on unidentified peers.

import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { AddressTable } from '../../dtr-rules/address.ts';
import { expectProxyHeaders, type ProxiedClients } from '../../runtime/proxy-protocol.ts';
import type { PeerFacts } from '../decision/identity.ts';
import { announceClient, connectionOf } from './connection.ts';
import { type Elsewhere, nowhere } from './elsewhere.ts';
import { clientKey, createRateLimiter, type RateLimiter } from './rate.ts';
import { createStrangers, type Strangers } from './strangers.ts';
import type { Telemetry } from './telemetry.ts';

export interface ArrivalOptions {
  /** Connections on which no device has been identified yet. */
  readonly unauthenticated: number;
  readonly unauthenticatedPerSource: number;
  /** New connections a second from one address, and handshakes a second with one certificate (a
   *  client that breaks on h2 comes back about 160 times a second). */
  readonly connectionsPerSource: number;
  readonly handshakesPerCertificate: number;
  /** Null: nobody stands in front, and a header is no TLS. Else it is mandatory. */
  readonly proxyProtocol: ProxyProtocolSettings | null;
  /** Where other processes count against the same rates. */
  readonly sharedRate?: Elsewhere['rate'];
}

export interface ProxyProtocolSettings {
  readonly peers: AddressTable<unknown>;
  readonly timeoutMs: number;
}

export interface ArrivalParts {
  readonly telemetry: Telemetry;
  readonly readPeer: (socket: TLSSocket) => PeerFacts;
}

const unreadable = 'UNREADABLE_CERTIFICATE';

/** More than the addresses of any balancer's header; its TLVs are read over. */
const maxHeaderBytes = 4096;
const maxKeys = 100_000;

/** Call it before any other listener for `connection` is added, and `watch` after all for `secureConnection`. */
export function guardArrivals(
  server: Server,
  options: ArrivalOptions,
  parts: ArrivalParts,
): { readonly strangers: Strangers; readonly watch: () => void } {
  const { unauthenticated, proxyProtocol } = options;
  const { telemetry } = parts;
  const limiter = limiterFor(options);
  const bySource = limiter('connectionsPerSource');
  const byCertificate = limiter('handshakesPerCertificate');
  // Behind a balancer every connection has its address: only the total says anything.
  const maxPerSource = proxyProtocol === null ? options.unauthenticatedPerSource : unauthenticated;
  const strangers = createStrangers({
    maxPerSource,
    maxTotal: unauthenticated,
    onEvicted: () => telemetry.strangerEvicted(),
  });

  const mayBegin = (address: string): boolean => {
    const ok = bySource.take(clientKey(address));
    if (!ok) telemetry.handshakeFailed(address, 'RATE_OF_SOURCE');
    return ok;
  };
  const proxied =
    proxyProtocol === null ? null : expectHeaders(server, proxyProtocol, telemetry, mayBegin);
  server.on('connection', (socket: Socket) => {
    strangers.enter(socket);
    if (proxied === null && !mayBegin(socket.remoteAddress ?? '')) socket.destroy();
  });
  return {
    strangers,
    watch() {
      server.prependListener('secureConnection', (socket: TLSSocket) => {
        const client = proxied?.clientOf(socket) ?? null;
        if (client !== null) announceClient(socket, client);
        const { certificate, trust } = connectionOf(socket, parts.readPeer).peer;
        // Those that cannot be read share one bucket.
        const key = certificate?.fingerprint ?? (trust === unreadable ? unreadable : null);
        if (key === null || byCertificate.take(key)) return;
        telemetry.handshakeFailed(socket.remoteAddress ?? '', 'RATE_OF_CERTIFICATE');
        socket.destroy();
      });
    },
  };
}

function expectHeaders(
  server: Server,
  { peers, timeoutMs }: ProxyProtocolSettings,
  telemetry: Telemetry,
  mayBegin: (address: string) => boolean,
): ProxiedClients {
  return expectProxyHeaders(server, {
    timeoutMs,
    maxBytes: maxHeaderBytes,
    peers: () => peers,
    mayBegin: ({ address }) => mayBegin(address),
    refused: (fault, _detail, peer) =>
      telemetry.handshakeFailed(peer.address, `PROXY_${fault.toUpperCase()}`),
  });
}

/** Twice the rate at once, after a quiet time. */
function limiterFor(options: ArrivalOptions) {
  const { sharedRate = nowhere.rate } = options;
  return (name: 'connectionsPerSource' | 'handshakesPerCertificate'): RateLimiter => {
    const perSecond = options[name];
    const burst = perSecond * 2;
    const shared = sharedRate(name, () => burst);
    return createRateLimiter({ perSecond, burst, maxKeys, now: Date.now, shared });
  };
}
