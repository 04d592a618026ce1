// Plain-HTTP requests over HTTP/2: browsers send `:scheme=http` to a proxy that speaks it, not CONNECT.

import { randomUUID } from 'node:crypto';
import {
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Reason } from '../decision/reasons.ts';
import type { ForwardTarget } from '../decision/target.ts';
import { admit } from './admit.ts';
import type { Caller } from './caller.ts';
import { carry, type ForwardParts } from './carry.ts';
import { fieldValues, type RawFields } from './fields.ts';
import { parseForward, wantedBy } from './forward.ts';
import type { H2Request } from './h2.ts';
import { answerStream, refuseStream, resetStream, streamConnection } from './h2-stream.ts';
import { originOf } from './origins.ts';
import { answerOwn, type OwnRoute, ownRoute } from './own.ts';

export async function handleH2Forward(request: H2Request, parts: ForwardParts): Promise<void> {
  const connection = streamConnection(request, parts);
  const caller = callerOn(request);
  const route = ownRouteOf(request);
  if (route !== null) {
    const { method, fields } = caller;
    const answer = await answerOwn({ route, method, fields, connection }, parts);
    // Nobody is identified on it: one answer for each connection, which are counted.
    if (route.endpoint === 'pac_token') request.stream.session?.close();
    return answerStream(request.stream, answer, method === 'HEAD');
  }
  const parsed = parseRequest(request, caller, parts.answer().name);
  if (typeof parsed === 'string') {
    const id = randomUUID();
    parts.telemetry.malformed({ id, reason: parsed, connection, detail: caller.method });
    return caller.refuse(parsed, id, parts.answer());
  }
  const { method, fields } = caller;
  const asked = { kind: 'forward', method, target: parsed.target, fields, connection } as const;
  const { socket } = request;
  const wanted = wantedBy(caller, parsed);
  const admitted = await admit(asked, parts, (way) => originOf(socket, way, wanted, parts.reach));
  if (!admitted.ok) return caller.refuse(admitted.reason, admitted.id, parts.answer());
  carry({ caller, gone: connection.gone, asked: parsed, admitted, upgrade: null }, parts);
}

/** A request to the gateway itself, and nothing in it but its head. */
function ownRouteOf({ stream, headers }: H2Request): OwnRoute | null {
  if (headers[':scheme'] !== 'https' || !stream.endAfterHeaders) return null;
  return ownRoute(headers[':path'] ?? '');
}

function parseRequest(
  { headers }: H2Request,
  caller: Caller,
  name: string,
): ForwardTarget | Reason {
  const { ':scheme': scheme = '', ':authority': authority = '', ':path': path = '' } = headers;
  // A request to the gateway itself; https to somewhere else comes through CONNECT.
  if (scheme === 'https') return 'request.not_proxied';
  if (scheme !== 'http' || authority === '') return 'request.malformed';
  if (!path.startsWith('/') && path !== '*') return 'request.malformed';
  // The authority wins in every use; a Host that says otherwise is one too many (threats M02).
  const hosts = fieldValues(caller.fields, 'host');
  if (hosts.some((host) => host.toLowerCase() !== authority.toLowerCase())) {
    return 'request.malformed';
  }
  // Of OPTIONS only (RFC 9113 section 8.3.1), which without a path asks the server as a whole.
  const url = path === '*' ? `http://${authority}` : `http://${authority}${path}`;
  return parseForward(caller.method, url, caller.fields, name);
}

function callerOn({ stream, headers, raw }: H2Request): Caller {
  const fields = plainFields(raw);
  const isHead = headers[':method'] === 'HEAD';
  const body = stream.endAfterHeaders ? null : stream;
  let over: ((whole: boolean) => void) | null = null;
  let received: RawFields = [];
  let sent: RawFields = [];
  stream.once('trailers', (trailers: IncomingHttpHeaders) => {
    received = fieldsOf(trailers);
  });
  // Told before 'close', which comes without a reset too when the device has left.
  function done(): void {
    over?.(true);
    if (body === null || stream.readableEnded) return;
    // RFC 9113 section 8.1: a complete answer, once it has gone out, and no need of the rest of the request.
    setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
  }
  return {
    method: headers[':method'] ?? '',
    fields,
    version: '2',
    body,
    // Node ends a stream that was reset, or whose connection is gone, like one that is complete. Nothing
    // cut short may look complete to the origin (threats M06, H04).
    bodyIsWhole: () => !isGone(stream),
    trailers: () => received,
    goOn() {
      if (headers.expect === '100-continue') stream.additionalHeaders({ ':status': 100 });
    },
    // END_STREAM is the ordinary end of a request here; a device that leaves resets the stream.
    halfClosed: () => false,
    owesBody: () => body !== null && !body.readableEnded && !body.isPaused(),
    hasBegun: () => stream.headersSent,
    inform({ status, fields: informed }) {
      if (!isGone(stream)) stream.additionalHeaders({ ':status': status, ...headersOf(informed) });
    },
    begin({ status, fields: answered, trailers }) {
      if (isGone(stream)) return;
      const head = { ':status': status, ...headersOf(answered) };
      stream.respond(head, { endStream: isHead, waitForTrailers: trailers });
      if (!trailers) return void stream.once('finish', done);
      stream.once('wantTrailers', () => {
        if (!isGone(stream)) stream.sendTrailers(headersOf(sent));
        done();
      });
    },
    write: (chunk, written) => isGone(stream) || stream.write(chunk, written),
    end(trailers) {
      sent = trailers;
      stream.end();
    },
    onDrain: (listener) => void stream.on('drain', listener),
    watch(on) {
      over = on.over;
      stream.once('close', () => over?.(false));
      return () => {
        over = null;
      };
    },
    refuse: (reason, id, options) =>
      refuseStream(stream, reason, id, { accept: headers.accept, head: isHead, options }),
    breakOff: () => resetStream(stream, constants.NGHTTP2_INTERNAL_ERROR),
  };
}

/** RFC 9113 section 8.2: names are in lower case. */
function headersOf(fields: RawFields): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = { __proto__: null } as never;
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase();
    const value = fields[i + 1] ?? '';
    const known = headers[name];
    if (known === undefined) headers[name] = value;
    else headers[name] = [known, value].flat();
  }
  return headers;
}

function fieldsOf(headers: IncomingHttpHeaders): string[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().flatMap((one) => [name, one]),
  );
}

function isGone(stream: ServerHttp2Stream): boolean {
  return stream.destroyed || stream.closed;
}

/** Without pseudo-fields, and with the crumbs of Cookie put together again (RFC 9113 section 8.2.3). */
function plainFields(raw: readonly string[]): string[] {
  const plain: string[] = [];
  const crumbs: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name = '', value = ''] = [raw[i], raw[i + 1]];
    if (name.startsWith(':')) continue;
    if (name === 'cookie') crumbs.push(value);
    else plain.push(name, value);
  }
  if (crumbs.length > 0) plain.push('cookie', crumbs.join('; '));
  return plain;
}
