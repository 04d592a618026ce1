// Owns what happens to what cannot be read: failed handshakes, and bytes that the HTTP parser gave up on.

import { randomUUID } from 'node:crypto';
import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { PeerFacts } from '../decision/identity.ts';
import { type AnswerOptions, answerRefusal, toBytes } from './answer.ts';
import { abandon, connectionOf } from './connection.ts';
import type { Telemetry } from './telemetry.ts';
import { currentExchange } from './turns.ts';

export interface FaultParts {
  readonly telemetry: Telemetry;
  readonly answer: () => AnswerOptions;
  readonly readPeer: (socket: TLSSocket) => PeerFacts;
}

export function hearFaults(server: Server, parts: FaultParts): void {
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
function answerUnreadable(socket: TLSSocket, code: string, parts: FaultParts): void {
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
