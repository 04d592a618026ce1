// Ends one side of a tunnel so that it cannot be taken for complete, and tells whether the other side did so.

import { constants } from 'node:http2';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { isStream, resetStream } from './h2-stream.ts';

/** A reset (RFC 9113 section 8.5: of a stream, a TCP error is CONNECT_ERROR). TLS has none: a
 *  connection that closes without `close_notify` was cut (RFC 8446 section 6.1). */
export function breakOff(side: Duplex): void {
  if (side.destroyed) return;
  if (isStream(side)) resetStream(side, constants.NGHTTP2_CONNECT_ERROR);
  if (isResettable(side)) side.resetAndDestroy();
  else side.destroy();
}

/** While a FIN is on its way libuv refuses to reset, and Node then drops the socket without closing it: the
 *  descriptor stays open, and 'close' never comes. The peer has the FIN, and what it still sends is reset. */
function isResettable(side: Duplex): side is net.Socket {
  if (!(side instanceof net.Socket) || side instanceof TLSSocket) return false;
  return side.writableFinished || !side.writableEnded;
}

/** Whether it was reset. What a browser no longer wants it cancels, and that is as good as closed. */
export function hasFailed(side: Duplex): boolean {
  if (!isStream(side)) return false;
  const { rstCode } = side;
  return rstCode !== constants.NGHTTP2_NO_ERROR && rstCode !== constants.NGHTTP2_CANCEL;
}
