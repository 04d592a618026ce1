// CONNECT over HTTP/1.1: admit, answer 200, copy bytes until both sides have ended.

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type net from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { PeerFacts } from '../decision/identity.ts';
import type { Reason } from '../decision/reasons.ts';
import { parseConnectTarget } from '../decision/target.ts';
import { type AdmitParts, admit, type Reached, type Way } from './admit.ts';
import { type AnswerOptions, answerRefusal, toBytes } from './answer.ts';
import { connectionOf } from './connection.ts';
import { splice } from './splice.ts';

export interface CarryParts extends AdmitParts {
  readonly answer: () => AnswerOptions;
  readonly reach: (way: Way) => Promise<Reached<net.Socket>>;
  readonly idleMs: () => number;
  readonly readPeer: (socket: TLSSocket) => PeerFacts;
}

// RFC 9110 section 9.3.6: a 2xx to CONNECT carries neither Content-Length nor Transfer-Encoding.
const established = 'HTTP/1.1 200 Connection Established\r\n\r\n';

export async function handleConnect(
  request: IncomingMessage,
  socket: TLSSocket,
  early: Buffer,
  parts: CarryParts,
): Promise<void> {
  // The HTTP server has let go of the socket and its time-outs; errors are ours from here on.
  socket.on('error', () => socket.destroy());
  const connection = connectionOf(socket, parts.readPeer);
  const target = isPlain(request) ? parseConnectTarget(request.url ?? '') : null;
  if (target === null) {
    const reason = 'request.malformed';
    parts.telemetry.malformed(reason, connection.clientAddress, 'CONNECT target');
    return end(socket, reason, randomUUID(), request, parts);
  }
  const asked = { kind: 'connect', method: 'CONNECT', target, connection } as const;
  const admitted = await admit(asked, parts, parts.reach);
  // After a refused CONNECT nothing more is read from this connection (RFC 9931 section 8, threats H10).
  if (!admitted.ok) return end(socket, admitted.reason, admitted.id, request, parts);

  const { carrier, place, tunnel, id, startedAt, standing } = admitted;
  socket.setNoDelay(true);
  if (!socket.destroyed) socket.write(established);
  const idleMs = tunnel.idleMs ?? parts.idleMs();
  const pumped = splice(socket, carrier, { idleMs, early });
  place.open({ standing, cut: pumped.cut });
  const why = await pumped.ended;
  place.release();
  parts.telemetry.ended({
    id,
    end: why,
    cutBy: place.cutBy(),
    bytes: pumped.bytes,
    elapsedMs: parts.now() - startedAt,
  });
}

/** One Host, as RFC 9112 section 3.2 demands of CONNECT too; it decides nothing (threats H07, H08). */
function isPlain(request: IncomingMessage): boolean {
  return (
    request.rawHeaders.filter((one, i) => i % 2 === 0 && one.toLowerCase() === 'host').length === 1
  );
}

function end(
  socket: TLSSocket,
  reason: Reason,
  id: string,
  request: IncomingMessage,
  parts: CarryParts,
): void {
  if (socket.destroyed) return;
  const answer = answerRefusal(reason, id, request.headers.accept, parts.answer());
  socket.end(toBytes(answer), () => socket.destroySoon());
}
