// Absolute-form requests: admit each one, and have it carried to its origin.

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { Reason } from '../decision/reasons.ts';
import { type ForwardTarget, parseForwardTarget } from '../decision/target.ts';
import { admit, type Reached, type Way } from './admit.ts';
import { refuseExchange } from './answer.ts';
import { callerOf } from './caller.ts';
import { carry, type ForwardParts } from './carry.ts';
import { connectionOf } from './connection.ts';
import { fieldValues, isLoop, type RawFields } from './fields.ts';
import { type Origin, originOf } from './origins.ts';
import { isPlain } from './request-head.ts';
import type { Exchange } from './turns.ts';

export async function handleForward(exchange: Exchange, parts: ForwardParts): Promise<void> {
  const { request } = exchange;
  const socket = request.socket as TLSSocket;
  if (socket.destroyed) return;
  const connection = connectionOf(socket, parts.readPeer);
  const method = request.method ?? '';
  const parsed = parseRequest(request, parts.answer().name);
  if (typeof parsed === 'string') {
    const id = randomUUID();
    parts.telemetry.malformed({ id, reason: parsed, connection, detail: method });
    return refuseExchange(exchange, parsed, id, parts.answer());
  }
  const asked = { kind: 'forward', method, target: parsed.target, connection } as const;
  const admitted = await admit(asked, parts, (way) => reachOrigin(socket, way, parsed, parts));
  if (!admitted.ok) return refuseExchange(exchange, admitted.reason, admitted.id, parts.answer());
  const { gone } = connection;
  carry({ caller: callerOf(exchange), gone, asked: parsed, admitted }, parts);
}

function parseRequest(request: IncomingMessage, name: string): ForwardTarget | Reason {
  const { method = '', rawHeaders, url = '' } = request;
  return isPlain(request) ? parseForward(method, url, rawHeaders, name) : 'request.malformed';
}

/** What may be forwarded at all, in either version of HTTP; `url` is the absolute form. */
export function parseForward(
  method: string,
  url: string,
  fields: RawFields,
  name: string,
): ForwardTarget | Reason {
  const parsed = parseForwardTarget(url);
  if (typeof parsed === 'string') return parsed;
  // Nothing is reflected (threats H19).
  if (method === 'TRACE' || method === 'TRACK') return 'request.method';
  // It is for this hop to answer, and this hop has nothing to offer (RFC 9110 section 7.6.2).
  const lastHop = fieldValues(fields, 'max-forwards').some((hops) => Number(hops) === 0);
  if (method === 'OPTIONS' && lastHop) return 'request.method';
  return isLoop(fields, name) ? 'request.loop' : parsed;
}

/** A kept connection serves the same device connection only, and only for the same judged addresses,
 *  so no byte of one answer can reach another device (threats S08, H24). */
export async function reachOrigin(
  socket: TLSSocket,
  way: Way,
  asked: ForwardTarget,
  parts: ForwardParts,
): Promise<Reached<Origin>> {
  return await originOf(socket, way, `http://${asked.authority}`, parts.reach);
}
