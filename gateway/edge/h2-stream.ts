// What CONNECT and forwarding over HTTP/2 share: refusing on a stream, and knowing when its device has left.

import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Reason } from '../decision/reasons.ts';
import { GatewayError } from '../errors.ts';
import { type Answer, type AnswerOptions, answerRefusal } from './answer.ts';
import type { ForwardParts } from './carry.ts';
import { connectionOf, type DeviceConnection } from './connection.ts';
import type { H2Request } from './h2.ts';
import { Halt } from './halt.ts';

// One for all: every stream ends so, and a stack would cost 20 µs and say nothing.
const left = new GatewayError('request.abandoned', 'the device closed the stream');

/** The connection as one stream sees it: it is gone when the stream is. */
export function streamConnection(
  { stream, socket }: H2Request,
  parts: ForwardParts,
): DeviceConnection {
  const gone = new Halt();
  const leave = (): void => gone.abort(left);
  if (stream.closed || stream.destroyed) leave();
  else stream.once('close', leave);
  return { ...connectionOf(socket, parts.readPeer), gone };
}

export function isStream(side: Duplex): side is ServerHttp2Stream {
  return 'rstCode' in side;
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
  const answer = answerRefusal(reason, id, asked.accept, asked.options);
  answerStream(stream, answer, asked.head);
}

export function answerStream(
  stream: ServerHttp2Stream,
  { status, headers, body }: Answer,
  isHead: boolean,
): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  const fields = Object.entries(headers)
    // RFC 9113 section 8.2.2: connection-specific fields do not exist here.
    .filter(([name]) => name !== 'Connection')
    .map(([name, value]) => [name.toLowerCase(), value] as const);
  stream.respond({ ':status': status, ...Object.fromEntries(fields) }, { endStream: isHead });
  if (isHead) return;
  stream.end(body);
  // RFC 9113 section 8.1: a complete answer, and no need of the rest of the request.
  stream.once('finish', () => {
    if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
  });
}
