// One connection to an origin: sends one request at a time, and tells whoever asked what comes back.

import type net from 'node:net';
import type { Readable } from 'node:stream';
import type { FailureReason } from '../decision/reasons.ts';
import { linesOf, type RawFields } from './fields.ts';
import { type AnswerHead, type AnswerReader, createAnswerReader } from './origin-answer.ts';

export interface OriginRequest {
  readonly method: string;
  /** What follows the method: a path with its query, or `*`. */
  readonly target: string;
  /** Without a framing of its own, or with Content-Length. */
  readonly fields: RawFields;
  readonly body: OriginBody | null;
}

export interface OriginBody {
  readonly content: Readable;
  /** As announced; null: it goes in chunks. */
  readonly length: number | null;
  /** Asked once `content` has ended: what was cut short ends like what is complete. */
  isWhole(): boolean;
  /** What follows the last chunk; asked at the end. */
  trailers(): RawFields;
  sent(bytes: number): void;
}

export interface OriginListener {
  informational(head: AnswerHead): void;
  begin(head: AnswerHead): void;
  /** False: wait until `resume` is called. */
  body(chunk: Buffer): boolean;
  /** The last that is told, like `fail` and `switched`. */
  end(trailers: RawFields): void;
  fail(reason: FailureReason): void;
  /** The connection is the listener's now, and nothing of it is read here any more. */
  switched(head: AnswerHead, early: Buffer): void;
}

export interface OriginConnection {
  ask(request: OriginRequest, listener: OriginListener): void;
  resume(): void;
  /** Nothing is going on, and the next request may be sent. */
  isIdle(): boolean;
  /** Something of an answer to the last request has come. */
  hasHeard(): boolean;
}

/** Parts of a body that wait to be written, however small: each costs 180 bytes besides its own, and bytes
 *  alone would let 65 536 of them wait (measured: 11 MiB for one exchange). */
export const maxWaiting = 1024;

export function openOrigin(socket: net.Socket): OriginConnection {
  let reader: AnswerReader | null = null;
  let listener: OriginListener | null = null;
  let upload: (() => boolean) | null = null;
  let heard = false;

  /** The exchange is over; returns who is to be told. */
  function finish(reusable: boolean): OriginListener | null {
    const told = listener;
    const sent = upload?.() ?? true;
    listener = null;
    upload = null;
    if (!(reusable && sent)) {
      reader = null;
      socket.destroy();
    }
    // Whoever had it paused will not say `resume` any more.
    socket.resume();
    return told;
  }
  function read(chunk: Buffer): void {
    // Bytes nobody asked for: what comes next on this connection could be anything (threats H24).
    if (reader === null || listener === null) return void socket.destroy();
    heard = true;
    try {
      reader.read(chunk);
    } catch {
      // What the device's protocol cannot say, a status above 599 over HTTP/2 for example.
      finish(false)?.fail('origin.malformed');
    }
  }
  function ended(): void {
    // An answer may end with its connection (RFC 9112 section 6.3).
    if (listener !== null) reader?.finish();
    broken();
  }
  /** A reset is never the end of an answer (threats H23). */
  function broken(): void {
    finish(false)?.fail('origin.incomplete');
    socket.destroy();
  }
  function answered(): Parameters<typeof createAnswerReader>[1] {
    return {
      informational: (head) => listener?.informational(head),
      begin: (head) => listener?.begin(head),
      body(chunk) {
        if (listener?.body(chunk) === false) socket.pause();
      },
      end: (trailers) => finish(true)?.end(trailers),
      malformed: () => finish(false)?.fail('origin.malformed'),
      switched(head, early) {
        socket.off('data', read).off('end', ended).off('error', broken).off('close', broken);
        const told = listener;
        listener = null;
        upload?.();
        told?.switched(head, early);
      },
    };
  }
  socket.on('data', read).on('end', ended).on('error', broken).on('close', broken);
  socket.resume();

  return {
    ask(request, asking) {
      const { method, target, fields, body } = request;
      listener = asking;
      heard = false;
      // It may have closed while the request was judged: nothing would tell of that again.
      if (socket.destroyed) return broken();
      reader = createAnswerReader(method, answered());
      const head = `${method} ${target} HTTP/1.1\r\n${linesOf(fields)}`;
      if (body === null) return void socket.write(`${head}\r\n`, 'latin1');
      socket.write(
        body.length === null ? `${head}transfer-encoding: chunked\r\n\r\n` : `${head}\r\n`,
        'latin1',
      );
      upload = send(socket, body, () => {
        finish(false)?.fail('request.abandoned');
      });
    },
    resume: () => void socket.resume(),
    hasHeard: () => heard,
    isIdle: () => listener === null && !socket.destroyed && (reader?.isReusable() ?? true),
  };
}

/** Returns how to stop, which says whether all of it was sent. */
function send(socket: net.Socket, body: OriginBody, broken: () => void): () => boolean {
  const { content, length } = body;
  let left = length ?? 0;
  let whole = false;
  let waiting = 0;

  function written(): void {
    waiting -= 1;
    if (waiting === maxWaiting - 1) content.resume();
  }
  function data(chunk: Buffer): void {
    body.sent(chunk.length);
    socket.cork();
    if (length === null) socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    else left -= chunk.length;
    // More than was announced would be the beginning of another request (threats M06).
    if (left < 0) {
      broken();
      return;
    }
    waiting += 1;
    let more = socket.write(chunk, written);
    if (length === null) more = socket.write('\r\n', 'latin1');
    socket.uncork();
    if (!more || waiting >= maxWaiting) content.pause();
  }
  function end(): void {
    if (left > 0 || !body.isWhole()) {
      broken();
      return;
    }
    whole = true;
    if (length === null) socket.write(`0\r\n${linesOf(body.trailers())}\r\n`, 'latin1');
  }
  function drain(): void {
    content.resume();
  }
  content.on('data', data).on('end', end);
  socket.on('drain', drain);
  return () => {
    content.off('data', data).off('end', end);
    socket.off('drain', drain);
    waiting = 0;
    if (!whole) content.pause();
    return whole;
  };
}
