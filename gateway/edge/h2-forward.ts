// Plain-HTTP requests over HTTP/2: browsers send `:scheme=http` to a proxy that speaks it, not CONNECT.

import { randomUUID } from 'node:crypto';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { PassThrough, type Readable } from 'node:stream';
import type { Reason } from '../decision/reasons.ts';
import type { ForwardTarget } from '../decision/target.ts';
import { GatewayError } from '../errors.ts';
import { admit } from './admit.ts';
import type { Caller } from './caller.ts';
import { carry, type ForwardParts } from './carry.ts';
import { fieldValues } from './fields.ts';
import { parseForward, reachOrigin } from './forward.ts';
import type { H2Request } from './h2.ts';
import { refuseStream, resetStream, streamConnection } from './h2-stream.ts';

export async function handleH2Forward(request: H2Request, parts: ForwardParts): Promise<void> {
  const connection = streamConnection(request, parts);
  const caller = callerOn(request);
  const parsed = parseRequest(request, caller, parts.answer().name);
  if (typeof parsed === 'string') {
    const id = randomUUID();
    parts.telemetry.malformed({ id, reason: parsed, connection, detail: caller.method });
    return caller.refuse(parsed, id, parts.answer());
  }
  const { method } = caller;
  const asked = { kind: 'forward', method, target: parsed.target, connection } as const;
  const { socket } = request;
  const admitted = await admit(asked, parts, (way) => reachOrigin(socket, way, parsed, parts));
  if (!admitted.ok) return caller.refuse(admitted.reason, admitted.id, parts.answer());
  carry({ caller, gone: connection.gone, asked: parsed, admitted }, parts);
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
  const url = path === '*' ? `http://${authority}/` : `http://${authority}${path}`;
  return parseForward(caller.method, url, caller.fields, name);
}

function callerOn({ stream, headers, raw }: H2Request): Caller {
  const fields = plainFields(raw);
  const isHead = headers[':method'] === 'HEAD';
  const body = stream.endAfterHeaders ? null : contentOf(stream);
  let whole = false;
  return {
    method: headers[':method'] ?? '',
    fields,
    version: '2',
    body,
    goOn() {
      if (headers.expect === '100-continue') stream.additionalHeaders({ ':status': 100 });
    },
    // END_STREAM is the ordinary end of a request here; a device that leaves resets the stream.
    halfClosed: () => false,
    owesBody: () => body !== null && !body.readableEnded && !body.isPaused(),
    hasBegun: () => stream.headersSent,
    begin(status, _phrase, answered) {
      if (isGone(stream)) return;
      stream.respond({ ':status': status, ...answered }, { endStream: isHead });
    },
    write: (chunk) => isGone(stream) || stream.write(chunk),
    end() {
      stream.once('finish', () => {
        whole = true;
      });
      stream.end();
    },
    onDrain: (listener) => void stream.on('drain', listener),
    watch({ over }) {
      let watching = true;
      stream.once('close', () => {
        // Whoever was told before of the same 'close' may have ended the watch meanwhile.
        if (watching) over(whole || stream.writableFinished);
      });
      return () => {
        watching = false;
      };
    },
    refuse: (reason, id, options) =>
      refuseStream(stream, reason, id, { accept: headers.accept, head: isHead, options }),
    breakOff: () => resetStream(stream, constants.NGHTTP2_INTERNAL_ERROR),
  };
}

/** Node ends a stream that was reset, or whose connection is gone, like one that is complete. Nothing
 *  cut short may look complete to the origin (threats M06, H04). */
function contentOf(stream: ServerHttp2Stream): Readable {
  const content = new PassThrough();
  const cut = (): void =>
    void content.destroy(new GatewayError('request.abandoned', 'the body was cut short'));
  stream.pipe(content, { end: false });
  stream.once('end', () => (isGone(stream) ? cut() : content.end()));
  stream.once('close', cut);
  // Whoever carries it may have left already.
  content.on('error', () => undefined);
  return content;
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
