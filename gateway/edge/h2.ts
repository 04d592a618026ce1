// HTTP/2 on the device listener: sessions with limits, and one admission per stream.

import http2, { type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { ForwardParts } from './carry.ts';
import { connectionOf } from './connection.ts';
import { handleH2Connect } from './h2-connect.ts';
import { handleH2Forward } from './h2-forward.ts';
import { type Rest, watchRest } from './h2-rest.ts';
import { boundWaiting, type Waiting } from './h2-waiting.ts';

export interface H2Options {
  readonly maxStreams: number;
  readonly maxHeadBytes: number;
  /** A session without streams is closed after this. */
  readonly idleMs: number;
  /** Called once a session's first stream has arrived. */
  readonly met: (socket: TLSSocket) => void;
}

export interface H2 {
  /** Takes over a connection on which `h2` was chosen. */
  adopt(socket: TLSSocket): void;
  /** GOAWAY: no new streams, the open ones go on (RFC 9113 section 6.8). */
  drain(): void;
}

/** One request as Node hands it over: `raw` has name and value in turn, pseudo-fields first. */
export interface H2Request {
  readonly stream: ServerHttp2Stream;
  readonly headers: http2.IncomingHttpHeaders;
  readonly raw: readonly string[];
  readonly socket: TLSSocket;
}

interface Connection {
  readonly socket: TLSSocket;
  readonly rest: Rest;
  readonly waiting: Waiting;
}

// Measured through 40 ms round trips: 1 MiB windows carry 15 MiB/s, 16 MiB ones 106-132 MiB/s; the
// stream's is what one tunnel may hold here (threats section 5); what all may, h2-waiting.ts says.
const streamWindow = 1_048_576;
const connectionWindow = 16_777_216;

/** A peer that does not answer this is gone, whatever its TCP connection says. */
const pingMs = 30_000;

export function createH2(parts: ForwardParts, options: H2Options): H2 {
  const sessions = new Set<ServerHttp2Session>();
  let adopting: TLSSocket | null = null;
  const connections = new WeakMap<ServerHttp2Session, Connection>();
  const server = http2.createServer({
    settings: {
      // RFC 8441: announced, so that a client may ask; protocols nobody knows are answered 501.
      enableConnectProtocol: true,
      initialWindowSize: streamWindow,
      maxConcurrentStreams: options.maxStreams,
      maxHeaderListSize: options.maxHeadBytes,
    },
    maxHeaderListPairs: 128,
    // An origin that repeats ETag or Date gets through over HTTP/1.1, too.
    strictSingleValueFields: false,
    maxSessionMemory: 64,
    maxSettings: 32,
    maxOutstandingPings: 10,
    // Rapid reset (CVE-2023-44487): honest browsers stay far below.
    streamResetBurst: 1000,
    streamResetRate: 33,
  });
  server.on('session', (session) => {
    if (adopting === null) return session.destroy();
    keep(session, adopting);
  });
  server.on('stream', (stream, headers, _flags, raw) => {
    // Node may still deliver streams of a session that is being torn down.
    const session = stream.session as ServerHttp2Session | undefined;
    const connection = session === undefined ? undefined : connections.get(session);
    if (connection === undefined) return stream.destroy();
    const { socket, rest, waiting } = connection;
    rest.interrupt(stream);
    options.met(socket);
    // One too many: this stream is told so, and there will be no other.
    if (connectionOf(socket, parts.readPeer).isSurplus) session?.close();
    const request = { stream, headers, raw: raw as unknown as readonly string[], socket };
    waiting.watch(stream);
    // A stream that fails, fails alone; its 'close' tells whoever carries it.
    stream.on('error', () => undefined);
    // Node holds a device to the announced limit once it has acknowledged it, which it need not do.
    if (listSize(request.raw) > options.maxHeadBytes) {
      return stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }
    stream.once('trailers', (_trailers, _, rawTrailers) => {
      if (listSize(rawTrailers as unknown as readonly string[]) > options.maxHeadBytes) {
        stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
      }
    });
    const handled =
      headers[':method'] === 'CONNECT'
        ? handleH2Connect(request, parts)
        : handleH2Forward(request, parts);
    handled.catch(() => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
    return undefined;
  });
  server.on('sessionError', () => undefined);

  function keep(session: ServerHttp2Session, socket: TLSSocket): void {
    sessions.add(session);
    connections.set(session, {
      socket,
      rest: watchRest(session, socket, options),
      waiting: boundWaiting(session, streamWindow),
    });
    session.setLocalWindowSize(connectionWindow);
    const ping = setInterval(() => pingOrEnd(session), pingMs).unref();
    // End of file leaves Node's session and its streams open: a device that has closed is gone.
    socket.once('end', () => session.destroy());
    session.on('error', () => undefined);
    session.once('close', () => {
      clearInterval(ping);
      sessions.delete(session);
    });
  }

  return {
    adopt(socket) {
      adopting = socket;
      server.emit('connection', socket);
      adopting = null;
    },
    drain() {
      for (const session of sessions) session.close();
    },
  };
}

/** RFC 9113 section 6.5.2: uncompressed, 32 bytes more for every field. */
function listSize(raw: readonly string[]): number {
  return raw.reduce((size, text) => size + text.length + 16, 0);
}

function pingOrEnd(session: ServerHttp2Session): void {
  if (session.destroyed) return;
  const late = setTimeout(() => session.destroy(), pingMs / 2).unref();
  const sent = session.ping((error) => {
    clearTimeout(late);
    if (error !== null) session.destroy();
  });
  if (!sent) clearTimeout(late);
}
