// CONNECT over HTTP/1.1: admit, answer 200, copy bytes until both sides have ended.

import { randomUUID } from 'node:crypto';
import type net from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { PeerFacts } from '../decision/identity.ts';
import type { Reason } from '../decision/reasons.ts';
import { parseConnectTarget } from '../decision/target.ts';
import { type AdmitParts, type Admitted, admit, type Reached, type Way } from './admit.ts';
import { type AnswerOptions, answerRefusal, sayLast, toBytes } from './answer.ts';
import { abandon, connectionOf } from './connection.ts';
import { fieldValues } from './fields.ts';
import { type ConnectHead, isPlainConnect } from './request-head.ts';
import { splice } from './splice.ts';
import { endTurns } from './turns.ts';

export interface CarryParts extends AdmitParts {
  readonly answer: () => AnswerOptions;
  readonly reach: (way: Way) => Promise<Reached<net.Socket>>;
  readonly idleMs: () => number;
  readonly readPeer: (socket: TLSSocket) => PeerFacts;
}

// RFC 9110 section 9.3.6: a 2xx to CONNECT carries neither Content-Length nor Transfer-Encoding.
const established = 'HTTP/1.1 200 Connection Established\r\n\r\n';

const maxEarlyBytes = 65_536;

export async function handleConnect(
  request: ConnectHead,
  socket: TLSSocket,
  early: Buffer,
  parts: CarryParts,
): Promise<void> {
  // The HTTP server has let go of the socket and its time-outs; errors are ours from here on.
  socket.on('error', () => socket.destroy());
  if (socket.destroyed || !endTurns(socket)) return void socket.destroy();
  const connection = connectionOf(socket, parts.readPeer);
  const target = isPlainConnect(request) ? parseConnectTarget(request.url ?? '') : null;
  if (target === null) {
    const reason = 'request.malformed';
    const id = randomUUID();
    parts.telemetry.malformed({ id, reason, connection, detail: 'CONNECT' });
    return refuse(socket, reason, id, request, parts);
  }
  const fields = request.rawHeaders;
  const asked = { kind: 'connect', method: 'CONNECT', target, fields, connection } as const;
  const takeEarly = holdEarly(socket, early);
  const admitted = await admit(asked, parts, parts.reach);
  const held = takeEarly();
  // After a refused CONNECT nothing more is read from this connection (RFC 9931 section 8, threats H10).
  if (!admitted.ok) return refuse(socket, admitted.reason, admitted.id, request, parts);

  if (!socket.destroyed) socket.write(established);
  return carryTunnel(socket, admitted, held, parts);
}

/** From an open way to its end. Not async, and nobody awaits it: their frames would keep the request, and
 *  what came early, in memory for as long as the tunnel lives. */
export function carryTunnel(
  device: Duplex,
  { carrier, place, tunnel, id, startedAt }: Admitted<net.Socket>,
  early: Buffer,
  parts: CarryParts,
): Promise<void> {
  const idleMs = tunnel.idleMs ?? parts.idleMs();
  const { bytes, ended, cut } = splice(device, carrier, { idleMs, early, pace: place.pace });
  place.open(cut);
  return ended.then((end) => {
    place.release();
    const elapsedMs = parts.now() - startedAt;
    parts.telemetry.ended({ id, end, cutBy: place.cutBy(), failure: null, bytes, elapsedMs });
  });
}

/** What a device sends while it is judged waits. One that sends nothing and ends has left: nobody
 *  will speak in its tunnel (threats R06). */
export function holdEarly(socket: TLSSocket, head: Buffer): () => Buffer {
  const early = [head];
  let size = head.length;
  const hold = (chunk: Buffer): void => {
    early.push(chunk);
    size += chunk.length;
    if (size >= maxEarlyBytes) socket.pause();
  };
  const ended = (): void => {
    if (size === 0) abandon(socket);
  };
  socket.on('data', hold).on('end', ended);
  return () => {
    socket.off('data', hold).off('end', ended).pause();
    return Buffer.concat(early);
  };
}

function refuse(
  socket: TLSSocket,
  reason: Reason,
  id: string,
  request: ConnectHead,
  parts: CarryParts,
): void {
  const accept = fieldValues(request.rawHeaders, 'accept').join(', ');
  const answer = answerRefusal(reason, id, accept, parts.answer());
  sayLast(socket, toBytes(answer));
}
