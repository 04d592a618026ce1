// Bounds what the streams of a connection hold that nobody has read yet: DATA frames of each one, bytes of all together.

import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { resetStream } from './h2-stream.ts';

export interface Waiting {
  watch(stream: ServerHttp2Stream): void;
}

/** Node keeps each frame by itself, however small it is: of a window of 1 MiB nobody reads, frames of one byte
 *  would make 120 MiB (measured). An honest device sends larger ones long before its window is full, and then
 *  it has to wait. */
const maxFrames = 4096;

/** Node returns the credit of the connection as soon as bytes arrive, so its window bounds nothing, and the
 *  windows of 256 streams are 256 MiB. Above the first, streams get small windows (RFC 9113 section 6.9.2);
 *  a device that heeds them never comes to the second, where the fullest stream is reset. */
const calmBytes = 8_388_608;
const maxBytes = 16_777_216;
const smallWindow = 16_384;

export function boundWaiting(session: ServerHttp2Session, streamWindow: number): Waiting {
  const held = new Map<ServerHttp2Stream, number>();
  let sum = 0;
  let announced = streamWindow;
  let isAcknowledged = true;

  function hold(stream: ServerHttp2Stream, bytes: number): void {
    sum += bytes - (held.get(stream) ?? 0);
    if (bytes === 0) held.delete(stream);
    else held.set(stream, bytes);
    if (sum > maxBytes) end(fullest());
    const small = announced === smallWindow;
    if (small ? sum < calmBytes / 4 : sum > calmBytes) announce(small ? streamWindow : smallWindow);
  }
  function end(stream: ServerHttp2Stream | null): void {
    if (stream === null || stream.destroyed) return;
    resetStream(stream, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    stream.destroy();
    hold(stream, 0);
  }
  function fullest(): ServerHttp2Stream | null {
    let found: ServerHttp2Stream | null = null;
    let most = 0;
    for (const [stream, bytes] of held) if (bytes > most) [found, most] = [stream, bytes];
    return found;
  }
  /** Whoever acknowledges nothing is told nothing more. */
  function announce(initialWindowSize: number): void {
    if (!isAcknowledged || session.closed || session.destroyed) return;
    announced = initialWindowSize;
    isAcknowledged = false;
    session.settings({ initialWindowSize }, () => {
      isAcknowledged = true;
    });
  }

  return {
    watch(stream) {
      const push = stream.push.bind(stream);
      const read = stream.read.bind(stream);
      let frames = 0;
      stream.push = (chunk: unknown) => {
        const more = push(chunk);
        frames = stream.readableLength === 0 ? 0 : frames + 1;
        if (frames > maxFrames) end(stream);
        else if (!stream.destroyed) hold(stream, stream.readableLength);
        return more;
      };
      // A stream that flows is read one chunk at a time.
      stream.read = (size?: number): unknown => {
        const chunk: unknown = read(size);
        if (chunk === null) return chunk;
        frames -= 1;
        if (!stream.destroyed) hold(stream, stream.readableLength);
        return chunk;
      };
      stream.once('close', () => hold(stream, 0));
    },
  };
}
