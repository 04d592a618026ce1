// Reads what origins send into shared memory instead of a new buffer each time; owns that memory, and lends it until it is written.

import net from 'node:net';
import type { Duplex } from 'node:stream';

/** Takes one chunk, and says whether it wants more. What is `lent` must be given back when the chunk
 *  has been written, and not before: the next tunnel's bytes go into it. */
export type Sink = (chunk: Buffer, lent: Buffer | null) => boolean;

export interface DirectReads {
  /** From here on chunks go to `sink` instead of being `data`; what was read before is `data` still. */
  into(sink: Sink): void;
}

/** As much as libuv reads at once. */
const bufferBytes = 65_536;
/** Below this a small buffer of its own is cheaper than keeping a large one busy. */
const smallBytes = 4096;
/** 4 MiB are kept for the next burst. */
const maxSpare = 64;

/** One for all sockets: what is read into it is out again before anything else is read. */
const scratch = Buffer.allocUnsafeSlow(bufferBytes);
const spare: Buffer[] = [];
const directs = new WeakMap<Duplex, DirectReads>();

/** A socket like any other, until somebody takes its reads. */
export function connectDirect(options: net.TcpNetConnectOpts): net.Socket {
  let sink: Sink | null = null;
  const callback = (size: number): boolean => {
    const read = scratch.subarray(0, size);
    // Invariant: nothing overtakes what was read before.
    if (sink === null || socket.readableLength > 0) return socket.push(Buffer.from(read));
    if (size < smallBytes) return sink(Buffer.from(read), null);
    const lent = spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
    read.copy(lent);
    return sink(lent.subarray(0, size), lent);
  };
  const socket = net.connect({ ...options, onread: { buffer: scratch, callback } });
  directs.set(socket, {
    into(taker) {
      sink = taker;
    },
  });
  return socket;
}

export function directReadsOf(socket: Duplex): DirectReads | null {
  return directs.get(socket) ?? null;
}

export function giveBack(lent: Buffer): void {
  if (spare.length < maxSpare) spare.push(lent);
}
