// Ends HTTP/2 connections that carry nothing: silent ones, idle ones, and those whose device never closes its half.

import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';

export interface Rest {
  /** Something is going on, until this stream has closed. */
  interrupt(stream: ServerHttp2Stream): void;
}

/** A device that has chosen h2 has its first words ready (threats R02). */
const firstMs = 10_000;

/** After GOAWAY, for the device to close its half. */
const closingMs = 3000;

/** Node's own time-out is put off by any frame, a PING too, and would shut a connection to new streams
 *  while tunnels rest on it that may be silent for far longer. So what counts is: no streams. */
export function watchRest(
  session: ServerHttp2Session,
  socket: TLSSocket,
  { idleMs }: { readonly idleMs: number },
): Rest {
  let streams = 0;
  let timer = setTimeout(end, Math.min(idleMs, firstMs));

  function wait(then: () => void, ms: number): void {
    clearTimeout(timer);
    if (!socket.destroyed) timer = setTimeout(then, ms);
  }
  function end(): void {
    session.close();
    // Node would wait for the other half for ever: the connection may be half-open.
    wait(() => socket.destroy(), Math.min(closingMs, idleMs / 4));
  }
  function rest(): void {
    if (streams === 0) wait(end, idleMs);
  }
  session.once('remoteSettings', rest);
  socket.once('close', () => clearTimeout(timer));
  return {
    interrupt(stream) {
      streams += 1;
      clearTimeout(timer);
      stream.once('close', () => {
        streams -= 1;
        rest();
      });
    },
  };
}
