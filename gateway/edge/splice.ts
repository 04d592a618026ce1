// Copies bytes both ways between two sockets until both have ended: half-close, back-pressure, idle limit, counts.

import type { Duplex } from 'node:stream';
import { directReadsOf, giveBack, type Sink } from './direct-reads.ts';

export interface SpliceOptions {
  readonly idleMs: number;
  /** Bytes the device sent with its CONNECT head; already part of the tunnel. */
  readonly early: Buffer;
}

export type SpliceEnd = 'closed' | 'idle' | 'device_error' | 'origin_error' | 'cut';

export interface Splice {
  readonly bytes: { sent: number; received: number };
  /** Resolves once both sides are closed. */
  readonly ended: Promise<SpliceEnd>;
  /** Ends both sides at once. */
  readonly cut: () => void;
}

/** What TLS decrypts from one full record. A full one is seldom alone. */
const recordBytes = 16_384;

/** What waits to be written to a device that reads slowly, besides the kernel's buffers. */
const maxLent = 2;
const maxWaitingBytes = 131_072;

/** Invariant: every end is an end of both sides (threats rule 6). A FIN is passed on and the other
 *  direction goes on; an error, the idle limit or a cut destroys both. */
export function splice(device: Duplex, origin: Duplex, options: SpliceOptions): Splice {
  const bytes = { sent: 0, received: 0 };
  const { promise, resolve } = Promise.withResolvers<SpliceEnd>();
  let end: SpliceEnd = 'closed';
  let open = [device, origin].filter((side) => !side.closed).length;
  const idle = setTimeout(() => finish('idle'), options.idleMs);

  function finish(why: SpliceEnd): void {
    if (end === 'closed') end = why;
    device.destroy();
    origin.destroy();
  }
  function closed(): void {
    open -= 1;
    if (open > 0) {
      // A socket that closed without having ended cleanly takes the other with it.
      if (!device.readableEnded || !origin.readableEnded) finish(end);
      return;
    }
    clearTimeout(idle);
    resolve(end);
  }
  function carry(from: Duplex, to: Duplex, write: (chunk: Buffer) => boolean): void {
    from.on('data', (chunk: Buffer) => {
      idle.refresh();
      if (!write(chunk)) from.pause();
    });
    to.on('drain', () => {
      idle.refresh();
      from.resume();
    });
    if (from.readableEnded) to.end();
    else from.on('end', () => to.end());
    // Whoever read a head from it has paused it, and then a listener alone starts nothing.
    from.resume();
  }

  device.on('error', () => finish('device_error'));
  origin.on('error', () => finish('origin_error'));
  device.on('close', closed);
  origin.on('close', closed);
  if (options.early.length > 0) {
    bytes.sent += options.early.length;
    origin.write(options.early);
  }
  const send = gathering(origin);
  carry(device, origin, (chunk) => {
    bytes.sent += chunk.length;
    return send(chunk);
  });
  const lend = lending(origin, device, () => idle.refresh());
  carry(origin, device, (chunk) => {
    bytes.received += chunk.length;
    return device.write(chunk);
  });
  directReadsOf(origin)?.into((chunk, lent) => {
    bytes.received += chunk.length;
    return lend(chunk, lent);
  });
  // One side may have gone while the other was being connected.
  if (device.destroyed || origin.destroyed) finish('device_error');
  if (open === 0) closed();
  return { bytes, ended: promise, cut: () => finish('cut') };
}

/** Full records of one turn of the event loop leave in one system call. */
function gathering(to: Duplex): (chunk: Buffer) => boolean {
  const release = (): void => to.uncork();
  return (chunk) => {
    if (chunk.length >= recordBytes && to.writableCorked === 0) {
      to.cork();
      setImmediate(release);
    }
    return to.write(chunk);
  };
}

/** Writes chunks whose memory is lent, and gives it back once they are written. */
function lending(from: Duplex, to: Duplex, moved: () => void): Sink {
  const lentOut: Buffer[] = [];
  let paused = false;
  const isFull = (): boolean => lentOut.length >= maxLent || to.writableLength >= maxWaitingBytes;
  const written = (error?: Error | null): void => {
    const buffer = lentOut.shift();
    // What a write that was cut short had to send may still be read: the collector has it.
    if (error || to.destroyed || buffer === undefined) return;
    giveBack(buffer);
    moved();
    if (!paused || isFull()) return;
    paused = false;
    from.resume();
  };
  return (chunk, lent) => {
    moved();
    if (lent === null) to.write(chunk);
    else {
      lentOut.push(lent);
      to.write(chunk, written);
    }
    paused = isFull();
    return !paused;
  };
}
