// Requests that would change the protocol of their connection, WebSocket above all (RFC 9110 section 7.8): admitted like any, then spliced.

import { type IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { type Caller, callerOf } from './caller.ts';
import type { ForwardParts, Upgrade } from './carry.ts';
import { holdEarly } from './connect.ts';
import { fieldValues, linesOf, type RawFields, responseFields } from './fields.ts';
import { handleForward } from './forward.ts';
import type { AnswerHead } from './origin-answer.ts';
import { hasContent } from './request-head.ts';
import { splice } from './splice.ts';
import { type Exchange, endTurns } from './turns.ts';

/** Whether the request may take its connection along. With content it would have to wait for a body
 *  that the other protocol could begin in; without, it is an ordinary request all the same. */
export function mayUpgrade(request: IncomingMessage): boolean {
  if (request.httpVersion !== '1.1' || hasContent(request)) return false;
  return protocolsOf(request.rawHeaders).length > 0;
}

/** Protocols that may go on. HTTP/2 and TLS would carry requests that nobody here could judge (threats H18). */
function protocolsOf(fields: RawFields): readonly string[] {
  return fieldValues(fields, 'upgrade')
    .flatMap((value) => value.split(','))
    .map((one) => one.trim())
    .filter((one) => /^[!#$%&'*+\-.^_`|~\w]+(?:\/[!#$%&'*+\-.^_`|~\w]+)?$/.test(one))
    .filter((one) => !/^(?:h2c?|h3|http|tls)(?:\/|$)/i.test(one));
}

export async function handleUpgrade(
  request: IncomingMessage,
  socket: TLSSocket,
  head: Buffer,
  parts: ForwardParts,
): Promise<void> {
  // The HTTP server has let go of the socket and its time-outs; errors are ours from here on.
  socket.on('error', () => socket.destroy());
  if (socket.destroyed || !endTurns(socket)) return void socket.destroy();
  const response = new ServerResponse(request);
  // An origin that stays with HTTP is answered with, and then this connection is over: what came behind
  // the request may be the other protocol already (RFC 9931 section 8, threats H10).
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => {
    response.detachSocket(socket);
    socket.destroySoon();
  });
  const takeEarly = holdEarly(socket, head);
  const upgrade: Upgrade = {
    protocols: protocolsOf(request.rawHeaders),
    splice({ head: agreed, early, origin, idleMs, pace }) {
      response.detachSocket(socket);
      socket.setNoDelay(true);
      if (!socket.destroyed) {
        socket.write(headOf(agreed, parts.answer().name), 'latin1');
        if (early.length > 0) socket.write(early);
      }
      const spliced = splice(socket, origin, { idleMs, early: takeEarly(), pace });
      spliced.bytes.received += early.length;
      return spliced;
    },
  };
  const exchange = { request, response };
  await handleForward(exchange, parts, { caller: callerOn(exchange), upgrade });
}

function headOf({ status, version, fields }: AnswerHead, name: string): string {
  const kept = responseFields(fields, { status, via: `${version} ${name}`, trailers: false });
  const chosen = fieldValues(fields, 'upgrade').join(', ');
  const own = `Connection: Upgrade\r\nUpgrade: ${chosen}\r\n`;
  return `HTTP/1.1 101 Switching Protocols\r\n${own}${linesOf(kept)}\r\n`;
}

/** Nobody says `close` of a response that no server has made. */
function callerOn(exchange: Exchange): Caller {
  const { response, request } = exchange;
  return {
    ...callerOf(exchange),
    halfClosed: () => false,
    watch({ over }) {
      const whole = (): void => over(true);
      const cut = (): void => over(false);
      response.once('finish', whole);
      request.socket.once('close', cut);
      return () => {
        response.off('finish', whole);
        request.socket.off('close', cut);
      };
    },
  };
}
