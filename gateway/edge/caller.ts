// The device's side of one forwarded exchange, whichever version of HTTP it speaks; here, HTTP/1.1.

import type { Readable } from 'node:stream';
import type { Reason } from '../decision/reasons.ts';
import { type AnswerOptions, refuseExchange } from './answer.ts';
import { linesOf, type RawFields } from './fields.ts';
import { expectsContinue, hasContent } from './request-head.ts';
import type { Exchange } from './turns.ts';

export interface CallerHead {
  readonly status: number;
  readonly phrase: string;
  readonly fields: RawFields;
  /** A trailer section may follow the body. */
  readonly trailers: boolean;
}

export interface Caller {
  readonly method: string;
  /** As received, without pseudo-fields. */
  readonly fields: RawFields;
  /** Of the received message, for Via: `1.0`, `1.1`, `2`. */
  readonly version: string;
  readonly body: Readable | null;
  /** Once the body has ended: a body that was cut short ends, too. */
  bodyIsWhole(): boolean;
  /** What came behind the body. */
  trailers(): RawFields;
  /** The device may send its body now. */
  goOn(): void;
  /** The device has closed its half: it wants its answer, or has left and cannot say so. */
  halfClosed(): boolean;
  /** Whether the next move is the device's: its body is wanted and not complete. */
  owesBody(): boolean;
  hasBegun(): boolean;
  /** An informational answer: the final one is still to come (RFC 9110 section 15.2). */
  inform(head: CallerHead): void;
  begin(head: CallerHead): void;
  /** False: wait for `onDrain`. `written`: it has left, or will not. */
  write(chunk: Buffer, written: () => void): boolean;
  /** With the trailer section, empty where none may follow. */
  end(trailers: RawFields): void;
  onDrain(listener: () => void): void;
  /** Calls back when the device half-closes, and when the exchange is over: `whole` says that the
   *  answer went out to its end. Returns how to stop listening. */
  watch(on: { halfClosed: () => void; over: (whole: boolean) => void }): () => void;
  refuse(reason: Reason, id: string, options: AnswerOptions): void;
  /** A cut answer must not look complete (threats H23). */
  breakOff(): void;
}

export function callerOf(exchange: Exchange): Caller {
  const { request, response } = exchange;
  const { socket } = request;
  return {
    method: request.method ?? '',
    fields: request.rawHeaders,
    version: request.httpVersion,
    body: hasContent(request) ? request : null,
    bodyIsWhole: () => request.complete,
    trailers: () => request.rawTrailers,
    goOn() {
      if (expectsContinue(request)) response.writeContinue();
    },
    halfClosed: () => socket.readableEnded,
    owesBody: () => !(request.complete || request.isPaused()),
    hasBegun: () => response.headersSent,
    inform({ status, phrase, fields: informed }) {
      // An HTTP/1.0 client does not know them. One exchange at a time: the socket is this answer's.
      if (request.httpVersion !== '1.1' || !socket.writable) return;
      socket.write(`HTTP/1.1 ${status} ${phrase}\r\n${linesOf(informed)}\r\n`, 'latin1');
    },
    begin({ status, phrase, fields }) {
      // What is left of a body nobody wants is not waited for (threats R03).
      if (!request.complete) response.shouldKeepAlive = false;
      response.writeHead(status, phrase, [...fields]);
      // A head alone, before a slow body, is worth having. `flushHeaders` would encode it as UTF-8.
      response.write(Buffer.alloc(0));
    },
    write: (chunk, written) => response.write(chunk, written),
    end(trailers) {
      if (trailers.length > 0) response.addTrailers(pairsOf(trailers));
      response.end();
    },
    onDrain: (listener) => void response.on('drain', listener),
    watch({ halfClosed, over }) {
      const closed = (): void => over(response.writableFinished);
      response.on('close', closed);
      socket.on('end', halfClosed);
      return () => {
        response.off('close', closed);
        socket.off('end', halfClosed);
      };
    },
    refuse: (reason, id, options) => refuseExchange(exchange, reason, id, options),
    breakOff: () => void socket.destroy(),
  };
}

function pairsOf(fields: RawFields): [name: string, value: string][] {
  return Array.from({ length: fields.length / 2 }, (_, i) => [
    fields[2 * i] ?? '',
    fields[2 * i + 1] ?? '',
  ]);
}
