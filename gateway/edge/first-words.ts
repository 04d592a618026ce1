// Reads what nearly every HTTP/1.1 connection begins with, one plain CONNECT head in one piece, and leaves all else to Node's HTTP server.

import type { TLSSocket } from 'node:tls';
import type { ConnectHead } from './request-head.ts';

export interface FirstWordsOptions {
  /** A connection that says nothing for so long is the HTTP server's, whose time-outs begin then. */
  readonly patienceMs: number;
  readonly connect: (head: ConnectHead, socket: TLSSocket, early: Buffer) => void;
  /** Gives the connection to the HTTP server, which reads from `data` on. */
  readonly leave: (socket: TLSSocket) => void;
}

export interface FirstWords {
  hear(socket: TLSSocket): void;
  /** Leaves every connection that has said nothing yet to the HTTP server. */
  leaveAll(): void;
}

interface Waiting {
  readonly since: number;
  readonly leave: () => void;
}

/** Measured: Node's parser, its request object and the listeners of its server are 7 % of a tunnel. */
export function createFirstWords({ patienceMs, connect, leave }: FirstWordsOptions): FirstWords {
  // In the order of arrival.
  const waiting = new Set<Waiting>();
  let timer: NodeJS.Timeout | undefined;

  function leaveSilent(): void {
    timer = undefined;
    const until = performance.now() - patienceMs;
    for (const one of waiting) {
      if (one.since > until) break;
      one.leave();
    }
    if (waiting.size > 0) arm();
  }
  function arm(): void {
    if (timer === undefined) timer = setTimeout(leaveSilent, patienceMs).unref();
  }
  function hear(socket: TLSSocket): void {
    const stop = (): void => {
      waiting.delete(one);
      socket.off('data', said).off('end', ended).off('close', stop);
    };
    const leaveIt = (chunk: Buffer | null): void => {
      stop();
      socket.off('error', ignore);
      leave(socket);
      if (chunk !== null) socket.emit('data', chunk);
    };
    const said = (chunk: Buffer): void => {
      const read = readConnectHead(chunk);
      if (read === null) leaveIt(chunk);
      else {
        stop();
        connect(read.head, socket, chunk.subarray(read.size));
      }
    };
    const ended = (): void => {
      stop();
      socket.end();
    };
    const one: Waiting = { since: performance.now(), leave: () => leaveIt(null) };
    waiting.add(one);
    socket.on('error', ignore).on('close', stop).on('end', ended).on('data', said);
    arm();
  }
  return {
    hear,
    leaveAll() {
      for (const one of waiting) one.leave();
    },
  };
}

/** A socket that fails is closed by Node. */
function ignore(): void {}

const maxBytes = 4096;
const maxFields = 64;

const requestLine = /^CONNECT ([\x21-\x7e]+) HTTP\/1\.1$/;
/** RFC 9112 section 5, of printable ASCII only, and without folding. Blanks before the value are taken once and
 *  for all: given back one by one, 4 KB of them would take 30 ms to refuse. */
const fieldLine =
  /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(?![ \t])([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?[ \t]*$/;
/** Whoever sends one of these with CONNECT is looked at by the parser that knows them all (threats H12). */
const telling = /^(?:content-length|transfer-encoding|expect|upgrade|trailer|te)$/i;

/** Null is everything that is not a whole head with one reading only (RFC 9112 section 2.2: lines end
 *  with CR LF). */
function readConnectHead(chunk: Buffer): { head: ConnectHead; size: number } | null {
  // `CO`, for a look that costs nothing.
  if (chunk[0] !== 0x43 || chunk[1] !== 0x4f) return null;
  const text = chunk.toString('latin1', 0, maxBytes);
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const url = requestLine.exec(first)?.[1];
  if (url === undefined || lines.length > maxFields) return null;
  const rawHeaders: string[] = [];
  for (const line of lines) {
    const [, name = '', value = ''] = fieldLine.exec(line) ?? [];
    if (name === '' || telling.test(name)) return null;
    rawHeaders.push(name, value);
  }
  return { head: { url, httpVersion: '1.1', rawHeaders }, size: end + 4 };
}
