// Owns what every TLS listener is made of: cryptography, opening, closing, and the change of certificates.

import { constants } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import type { Telemetry } from './telemetry.ts';

export interface TlsMaterial {
  readonly certificate: string;
  readonly key: string;
  /** Authorities devices' certificates come from, PEM. */
  readonly authorities: readonly string[];
  /** 48 bytes, for processes that share a port: each resumes sessions of the others. Left out: its own. */
  readonly ticketKeys?: Buffer;
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

export function contextOf(tls: TlsMaterial): SecureContextOptions {
  return {
    cert: tls.certificate,
    key: tls.key,
    ca: [...tls.authorities],
    minVersion: 'TLSv1.2',
    ciphers,
    // Any of them will do: a device without AES in hardware asks for ChaCha20, the others for AES-128, which
    // with SHA-256 costs both ends less than AES-256 with SHA-384.
    honorCipherOrder: false,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ...(tls.ticketKeys && { ticketKeys: tls.ticketKeys }),
  };
}

export interface Opening {
  readonly host: string | null;
  readonly port: number;
  /** What the server was made with. */
  readonly tls: TlsMaterial;
}

export interface Opened {
  readonly telemetry: Telemetry;
  /** Ends what the server itself would keep open. */
  readonly drain: () => void;
}

/** Call it before anything that takes connections away from the server; what it returns opens the port. */
export function opening(
  server: Server,
  { host, port, tls: first }: Opening,
): (opened: Opened) => Promise<Listener> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return async ({ telemetry, drain }) => {
    server.listen(port, host ?? undefined);
    await once(server, 'listening');
    let tls = first;
    // From here on: no descriptors left, for example. One connection is lost, not the gateway (threats R14).
    server.on('error', (error) => telemetry.listenerFailed(error));
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
        drain();
      },
      async close() {
        const { promise, resolve } = Promise.withResolvers<void>();
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
        await promise;
      },
    };
  };
}
