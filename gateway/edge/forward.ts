// Absolute-form requests: admit each one, and have it carried to its origin.

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { Reason } from '../decision/reasons.ts';
import { type ForwardTarget, parseForwardTarget } from '../decision/target.ts';
import { admit } from './admit.ts';
import { answerExchange, refuseExchange } from './answer.ts';
import { type Caller, callerOf } from './caller.ts';
import { type Carried, carry, type ForwardParts } from './carry.ts';
import { connectionOf } from './connection.ts';
import { fieldValues, isLoop, type RawFields } from './fields.ts';
import { originOf, type Wanted } from './origins.ts';
import { answerOwn, ownRoute } from './own.ts';
import { hasContent, isPlain } from './request-head.ts';
import type { Exchange } from './turns.ts';

/** `upgrading`: the device would change the protocol of the connection, which is all this request's. */
export async function handleForward(
  exchange: Exchange,
  parts: ForwardParts,
  upgrading: Pick<Carried, 'caller' | 'upgrade'> | null = null,
): Promise<void> {
  const { request } = exchange;
  const socket = request.socket as TLSSocket;
  if (socket.destroyed) return;
  const connection = connectionOf(socket, parts.readPeer);
  const method = request.method ?? '';
  const route = upgrading === null && isPlain(request) ? ownRoute(request.url ?? '') : null;
  // What has content is no request for a file; refused like any other that is not for an origin.
  if (route !== null && !hasContent(request)) {
    const own = { route, method, fields: request.rawHeaders, connection };
    return answerExchange(exchange, await answerOwn(own, parts));
  }
  const parsed = parseRequest(request, parts.answer().name);
  if (typeof parsed === 'string') {
    const id = randomUUID();
    parts.telemetry.malformed({ id, reason: parsed, connection, detail: method });
    return refuseExchange(exchange, parsed, id, parts.answer());
  }
  const { rawHeaders: fields } = request;
  const { caller, upgrade } = upgrading ?? { caller: callerOf(exchange), upgrade: null };
  const asked = { kind: 'forward', method, target: parsed.target, fields, connection } as const;
  const wanted = wantedBy(caller, parsed);
  const admitted = await admit(asked, parts, (way) => originOf(socket, way, wanted, parts.reach));
  if (!admitted.ok) return refuseExchange(exchange, admitted.reason, admitted.id, parts.answer());
  const { gone } = connection;
  carry({ caller, gone, asked: parsed, admitted, upgrade }, parts);
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
  if (isLoop(fields, name)) return 'request.loop';
  // RFC 9112 section 3.2.4: without a path and a query the server as a whole is asked.
  const isServer = method === 'OPTIONS' && /^http:\/\/[^/?]*$/i.test(url);
  return isServer ? { ...parsed, path: '*' } : parsed;
}

// RFC 9110 section 9.2.2.
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** A kept connection serves the same device connection only, and only for the same judged addresses,
 *  so no byte of one answer can reach another device (threats S08, H24). */
export function wantedBy({ method, body }: Caller, { authority }: ForwardTarget): Wanted {
  const isRepeatable = body === null && idempotent.has(method);
  return { url: `http://${authority}`, isRepeatable };
}
