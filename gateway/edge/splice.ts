// Copies bytes both ways between two sockets until both have ended: half-close, back-pressure, idle limit, counts.

import type { Duplex } from 'node:stream';

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
  function carry(from: Duplex, to: Duplex, count: (size: number) => void): void {
    from.on('data', (chunk: Buffer) => {
      idle.refresh();
      count(chunk.length);
      if (!to.write(chunk)) from.pause();
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
  carry(device, origin, (size) => {
    bytes.sent += size;
  });
  carry(origin, device, (size) => {
    bytes.received += size;
  });
  // One side may have gone while the other was being connected.
  if (device.destroyed || origin.destroyed) finish('device_error');
  if (open === 0) closed();
  return { bytes, ended: promise, cut: () => finish('cut') };
}
