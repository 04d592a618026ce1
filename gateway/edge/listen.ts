// The device listener: TLS that asks for a client certificate; CONNECT and plain requests come in here.

import { constants, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { identify } from '../decision/identity.ts';
import { answerRefusal, toBytes } from './answer.ts';
import { type ArrivalOptions, guardArrivals } from './arrivals.ts';
import type { ForwardParts } from './carry.ts';
import { handleConnect } from './connect.ts';
import { abandon, connectionOf } from './connection.ts';
import { handleForward } from './forward.ts';
import { createH2, type H2 } from './h2.ts';
import type { Strangers } from './strangers.ts';
import { currentExchange, type Exchange, takeTurn } from './turns.ts';

export interface TlsMaterial {
  readonly certificate: string;
  readonly key: string;
  /** Authorities devices' certificates come from, PEM. */
  readonly authorities: readonly string[];
  /** 48 bytes, for processes that share a port: each resumes sessions of the others. Left out: its own. */
  readonly ticketKeys?: Buffer;
}

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

export interface Listener {
  readonly port: number;
  /** New connections see the new material; tickets of the old one end with it. The same changes nothing. */
  setTls(tls: TlsMaterial): void;
  /** No new connections; the open ones go on. */
  stop(): void;
  close(): Promise<void>;
}

// AEAD with forward secrecy only (threats T14).
const ciphers = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  // No MD5 or SHA-1 signatures, no RSA below 2048 bits, in the device's chain too (threats T08).
  '@SECLEVEL=2',
].join(':');

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
    maxHeaderSize: maxHeadBytes,
    requireHostHeader: false, // refused with a reason, by `isPlain`
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
  const { strangers, watch } = guardArrivals(server, options, parts.telemetry);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const wiring = { strangers, parts, restMs: options.idleConnectionMs + options.headTimeoutMs };
  wire(server, wiring);
  const h2 = options.h2 ? offerH2(server, wiring, options) : null;
  watch();
  server.listen(options.port, options.host ?? undefined);
  await once(server, 'listening');
  let { tls } = options;
  // From here on: no descriptors left, for example. One connection is lost, not the gateway (threats R14).
  server.on('error', (error) => parts.telemetry.listenerFailed(error));

  return {
    port: (server.address() as AddressInfo).port,
    setTls(next) {
      // A new context means new ticket keys, and a full handshake for the whole fleet.
      if (isDeepStrictEqual(next, tls)) return;
      tls = next;
      server.setSecureContext(contextOf(tls));
    },
    stop() {
      server.close();
      h2?.drain();
    },
    async close() {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
      await promise;
    },
  };
}

interface Wiring {
  readonly strangers: Strangers;
  readonly parts: ForwardParts;
  readonly restMs: number;
}

/** Once its device is identified, a connection is no stranger's any more. */
function meet(socket: TLSSocket, { strangers, parts }: Wiring): void {
  if (socket.destroyed || !strangers.has(socket)) return;
  const { peer } = connectionOf(socket, parts.readPeer);
  if (identify(peer, parts.policy().identity, parts.now()).ok) strangers.know(socket);
}

/** Connections on which `h2` was chosen leave the HTTPS server for an HTTP/2 one; the others stay. The
 *  HTTPS server is the one that listens: only then does Node watch the time-outs of HTTP/1.1. */
function offerH2(server: Server, wiring: Wiring, options: ListenOptions): H2 {
  const h2 = createH2(wiring.parts, {
    maxStreams: options.streamsPerConnection,
    maxHeadBytes,
    idleMs: options.idleConnectionMs,
    met: (socket) => meet(socket, wiring),
  });
  const http1 = server.listeners('secureConnection');
  server.removeAllListeners('secureConnection');
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol === 'h2') h2.adopt(socket);
    else for (const listener of http1) listener.call(server, socket);
  });
  return h2;
}

function wire(server: Server, wiring: Wiring): void {
  const { parts, restMs } = wiring;
  const handle = async (exchange: Exchange): Promise<void> => {
    meet(exchange.request.socket as TLSSocket, wiring);
    await handleForward(exchange, parts);
  };
  const forward = (request: IncomingMessage, response: ServerResponse): void => {
    takeTurn({ request, response }, { handle, restMs });
  };
  const connect = async (request: IncomingMessage, socket: TLSSocket, head: Buffer) => {
    meet(request.socket as TLSSocket, wiring);
    await handleConnect(request, socket, head, parts);
  };
  server.on('request', forward);
  server.on('checkContinue', forward);
  server.on('checkExpectation', forward);
  server.on('connect', (request, socket, head) => {
    connect(request, socket as TLSSocket, head).catch(() => socket.destroy());
  });
  server.on('tlsClientError', (error, socket) => {
    const { code } = error as NodeJS.ErrnoException;
    parts.telemetry.handshakeFailed(socket.remoteAddress ?? '', code ?? 'unknown');
    socket.destroy();
  });
  server.on('clientError', (error, socket) => {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    answerUnreadable(socket as TLSSocket, code, parts);
  });
}

/** What the parser gave up on. The answer must not be taken for that of an earlier request: behind
 *  one that is still being answered, the connection just ends (threats H24, H28). */
function answerUnreadable(socket: TLSSocket, code: string, parts: ForwardParts): void {
  const current = currentExchange(socket);
  const isOfCurrent =
    current !== null && !current.request.complete && !current.response.headersSent;
  // A TLS-level error, a head that came too late, or a client that left; nothing to answer.
  const isBytes = code.startsWith('HPE_') && code !== 'HPE_INVALID_EOF_STATE';
  if (!isBytes || !socket.writable) return void socket.destroy();
  // What was said already, a refusal of the same bytes for example, still goes out.
  if (current !== null && !isOfCurrent) {
    socket.destroySoon();
    return;
  }
  // Its body will not become readable: the request is never completed upstream (threats H04).
  abandon(socket);
  const id = randomUUID();
  const reason = 'request.malformed';
  const connection = connectionOf(socket, parts.readPeer);
  parts.telemetry.malformed({ id, reason, connection, detail: code });
  const exact = code === 'HPE_HEADER_OVERFLOW' ? { status: 431 } : {};
  const answer = answerRefusal(reason, id, undefined, { ...parts.answer(), ...exact });
  socket.end(toBytes(answer), () => socket.destroy());
}

function contextOf(tls: TlsMaterial): SecureContextOptions {
  return {
    cert: tls.certificate,
    key: tls.key,
    ca: [...tls.authorities],
    minVersion: 'TLSv1.2',
    ciphers,
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ...(tls.ticketKeys && { ticketKeys: tls.ticketKeys }),
  };
}
