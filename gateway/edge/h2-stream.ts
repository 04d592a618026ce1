// What CONNECT and forwarding over HTTP/2 share: refusing on a stream, and knowing when its device has left.

import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Reason } from '../decision/reasons.ts';
import { GatewayError } from '../errors.ts';
import { type AnswerOptions, answerRefusal } from './answer.ts';
import type { ForwardParts } from './carry.ts';
import { connectionOf, type DeviceConnection } from './connection.ts';
import type { H2Request } from './h2.ts';

/** The connection as one stream sees it: it is gone when the stream is. */
export function streamConnection(
  { stream, socket }: H2Request,
  parts: ForwardParts,
): DeviceConnection {
  const gone = new AbortController();
  const left = (): void =>
    gone.abort(new GatewayError('request.abandoned', 'the device closed the stream'));
  if (stream.closed || stream.destroyed) left();
  else stream.once('close', left);
  return { ...connectionOf(socket, parts.readPeer), gone: gone.signal };
}

/** A reset, and nothing before it. Node's `close` ends the stream first, with END_STREAM: a cut answer
 *  or a broken tunnel would look complete (threats H23, RFC 9113 section 8.5). */
export function resetStream(stream: ServerHttp2Stream, code: number): void {
  stream.end = () => stream;
  stream.close(code);
}

/** The refusal is the whole answer; what the device still sends is not waited for. */
export function refuseStream(
  stream: ServerHttp2Stream,
  reason: Reason,
  id: string,
  asked: {
    readonly accept: string | undefined;
    readonly head: boolean;
    readonly options: AnswerOptions;
  },
): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  const { status, headers, body } = answerRefusal(reason, id, asked.accept, asked.options);
  const fields = Object.entries(headers)
    // RFC 9113 section 8.2.2: connection-specific fields do not exist here.
    .filter(([name]) => name !== 'Connection')
    .map(([name, value]) => [name.toLowerCase(), value] as const);
  stream.respond({ ':status': status, ...Object.fromEntries(fields) }, { endStream: asked.head });
  if (asked.head) return;
  stream.end(body);
  // RFC 9113 section 8.1: a complete answer, and no need of the rest of the request.
  stream.once('finish', () => {
    if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
  });
}
