// The device listener: TLS that asks for a client certificate; CONNECT and plain requests come in here.

import { constants } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import { handleConnect } from './connect.ts';
import { type ForwardParts, handleForward } from './forward.ts';

export interface TlsMaterial {
  readonly certificate: string;
  readonly key: string;
  /** Authorities devices' certificates come from, PEM. */
  readonly authorities: readonly string[];
}

export interface ListenOptions {
  readonly host: string | null;
  readonly port: number;
  readonly tls: TlsMaterial;
  readonly handshakeTimeoutMs: number;
  readonly headTimeoutMs: number;
  readonly idleConnectionMs: number;
}

export interface Listener {
  readonly port: number;
  /** New connections see the new material; tickets of the old one end with it. */
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
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: options.handshakeTimeoutMs,
    allowHalfOpen: true,
    maxHeaderSize: maxHeadBytes,
    headersTimeout: options.headTimeoutMs,
    requestTimeout: 0,
    keepAliveTimeout: options.idleConnectionMs,
    connectionsCheckingInterval: Math.min(5000, options.headTimeoutMs / 2),
  };
  const server = createServer(settings);
  // Node keeps about 1000 fields and drops later ones unseen while its parser obeys them; bytes are the limit.
  server.maxHeadersCount = 0;
  const sockets = new Set<Socket>();
  wire(server, sockets, parts);
  server.listen(options.port, options.host ?? undefined);
  await once(server, 'listening');

  return {
    port: (server.address() as AddressInfo).port,
    setTls: (tls) => server.setSecureContext(contextOf(tls)),
    stop: () => void server.close(),
    async close() {
      const closed = once(server, 'close');
      if (server.listening) server.close();
      for (const socket of sockets) socket.destroy();
      if (sockets.size > 0) await closed;
    },
  };
}

function wire(server: Server, sockets: Set<Socket>, parts: ForwardParts): void {
  const failed = (socket: Duplex) => () => socket.destroy();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('connect', (request, socket, head) => {
    handleConnect(request, socket as TLSSocket, head, parts).catch(failed(socket));
  });
  server.on('request', (request, response) => {
    handleForward(request, response, parts).catch(failed(request.socket));
  });
  server.on('tlsClientError', (error, socket) => {
    const { code } = error as NodeJS.ErrnoException;
    parts.telemetry.handshakeFailed(socket.remoteAddress ?? '', code ?? 'unknown');
    socket.destroy();
  });
  server.on('clientError', (error, socket) => {
    const { code } = error as NodeJS.ErrnoException;
    const tls = socket as TLSSocket;
    // A TLS-level error or a client that left; nothing to answer.
    if (code?.startsWith('HPE_') !== true || !tls.writable) return void socket.destroy();
    parts.telemetry.malformed('request.malformed', tls.remoteAddress ?? '', code);
    const status =
      code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
    const { name } = parts.answer();
    socket.end(
      `HTTP/1.1 ${status}\r\nProxy-Status: ${name}; error=http_request_error; details="request.malformed"\r\n` +
        'Content-Length: 0\r\nConnection: close\r\n\r\n',
      () => socket.destroy(),
    );
  });
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
  };
}
