// The device listener: TLS that asks for a client certificate; CONNECT and plain requests come in here.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { identify } from '../decision/identity.ts';
import { type ArrivalOptions, guardArrivals } from './arrivals.ts';
import type { ForwardParts } from './carry.ts';
import { handleConnect } from './connect.ts';
import { connectionOf, markSurplus } from './connection.ts';
import { createFirstWords, type FirstWordsOptions } from './first-words.ts';
import { handleForward } from './forward.ts';
import { createH2, type H2 } from './h2.ts';
import { contextOf, type Listener, opening, type TlsMaterial } from './listener.ts';
import type { ConnectHead } from './request-head.ts';
import type { Strangers } from './strangers.ts';
import { type Exchange, takeTurn } from './turns.ts';
import { hearFaults } from './unreadable.ts';
import { handleUpgrade, mayUpgrade } from './upgrade.ts';

export interface ListenOptions extends ArrivalOptions {
  readonly host: string | null;
  readonly port: number;
  readonly tls: TlsMaterial;
  readonly handshakeTimeoutMs: number;
  readonly headTimeoutMs: number;
  readonly idleConnectionMs: number;
  /** Offers HTTP/2 too; not for clients that break on a proxy that chooses it (Go, undici). */
  readonly h2: boolean;
  readonly streamsPerConnection: number;
}

const maxHeadBytes = 16_384;

export async function listen(options: ListenOptions, parts: ForwardParts): Promise<Listener> {
  const settings: ServerOptions & { allowHalfOpen: true } = {
    ...contextOf(options.tls),
    requestCert: true,
    // A device that is not trusted is told so, with a reason, instead of a dropped connection; the
    // verdict is in `authorizationError` and nothing is served before it was looked at.
    rejectUnauthorized: false,
    ALPNProtocols: options.h2 ? ['h2', 'http/1.1'] : ['http/1.1'],
    handshakeTimeout: options.handshakeTimeoutMs,
    allowHalfOpen: true,
    noDelay: true,
    maxHeaderSize: maxHeadBytes,
    requireHostHeader: false, // refused with a reason, by `isPlain`
    shouldUpgradeCallback: mayUpgrade,
    headersTimeout: options.headTimeoutMs,
    requestTimeout: 0,
    keepAliveTimeout: options.idleConnectionMs,
    connectionsCheckingInterval: Math.min(5000, options.headTimeoutMs / 2),
  };
  const server = createServer(settings);
  // Node keeps about 1000 fields and drops later ones unseen while its parser obeys them; bytes are the limit.
  server.maxHeadersCount = 0;
  // A client that has sent its request and closes its half still gets the answer.
  Object.assign(server, { httpAllowHalfOpen: true });
  const { strangers, watch } = guardArrivals(server, options, parts);
  const open = opening(server, options);
  const wiring = {
    strangers,
    met: new WeakSet<TLSSocket>(),
    parts,
    restMs: options.idleConnectionMs + options.headTimeoutMs,
  };
  const connect = wire(server, wiring);
  const { drain } = divide(server, connect, wiring, options);
  watch();
  return await open({ telemetry: parts.telemetry, drain });
}

interface Wiring {
  readonly strangers: Strangers;
  /** No strangers any more: told without looking for their addresses, with every request and stream. */
  readonly met: WeakSet<TLSSocket>;
  readonly parts: ForwardParts;
  readonly restMs: number;
}

/** Once its device is identified, a connection is no stranger's any more, but one of that device's. */
function meet(socket: TLSSocket, { strangers, met, parts }: Wiring): void {
  if (met.has(socket) || socket.destroyed || !strangers.has(socket)) return;
  const { peer } = connectionOf(socket, parts.readPeer);
  const who = identify(peer, parts.policy().identity, parts.now());
  if (!who.ok) return;
  strangers.know(socket);
  met.add(socket);
  if (!parts.connections.enter(who.identity.deviceId, socket)) markSurplus(socket);
}

/** Connections on which `h2` was chosen leave the HTTPS server for an HTTP/2 one, those that begin with a
 *  plain CONNECT become tunnels; the others stay. The HTTPS server is the one that listens: only then does
 *  Node watch the time-outs of HTTP/1.1. */
function divide(
  server: Server,
  connect: FirstWordsOptions['connect'],
  wiring: Wiring,
  options: ListenOptions,
): { readonly drain: () => void } {
  const h2 = options.h2 ? offerH2(wiring, options) : null;
  const http1 = server.listeners('secureConnection');
  const firstWords = createFirstWords({
    patienceMs: Math.min(1000, options.headTimeoutMs / 4),
    connect,
    leave(socket) {
      for (const listener of http1) listener.call(server, socket);
    },
  });
  server.removeAllListeners('secureConnection');
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.destroyed) return;
    if (socket.alpnProtocol === 'h2') h2?.adopt(socket);
    else firstWords.hear(socket);
  });
  return {
    drain() {
      firstWords.leaveAll();
      h2?.drain();
    },
  };
}

function offerH2(wiring: Wiring, options: ListenOptions): H2 {
  return createH2(wiring.parts, {
    maxStreams: options.streamsPerConnection,
    maxHeadBytes,
    idleMs: options.idleConnectionMs,
    met: (socket) => meet(socket, wiring),
  });
}

/** Returns what makes a tunnel of a connection. */
function wire(server: Server, wiring: Wiring): FirstWordsOptions['connect'] {
  const { parts, restMs } = wiring;
  const handle = async (exchange: Exchange): Promise<void> => {
    meet(exchange.request.socket as TLSSocket, wiring);
    await handleForward(exchange, parts);
  };
  const forward = (request: IncomingMessage, response: ServerResponse): void => {
    takeTurn({ request, response }, { handle, restMs });
  };
  // Not async: its frame would keep the request for as long as the tunnel lives.
  const carry = (request: ConnectHead, socket: TLSSocket, early: Buffer) => {
    meet(socket, wiring);
    return handleConnect(request, socket, early, parts);
  };
  const connect: FirstWordsOptions['connect'] = (request, socket, early) => {
    Promise.try(carry, request, socket, early).catch(() => socket.destroy());
  };
  server.on('request', forward);
  server.on('checkContinue', forward);
  server.on('checkExpectation', forward);
  server.on('connect', (request, socket, early) => connect(request, socket as TLSSocket, early));
  const upgrade = async (request: IncomingMessage, socket: TLSSocket, head: Buffer) => {
    meet(socket, wiring);
    await handleUpgrade(request, socket, head, parts);
  };
  server.on('upgrade', (request, socket, head) => {
    upgrade(request, socket as TLSSocket, head).catch(() => socket.destroy());
  });
  hearFaults(server, parts);
  return connect;
}
