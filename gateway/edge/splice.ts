// Copies bytes both ways between two sockets until both have ended: half-close, back-pressure, pace, idle limit, counts.

import type { Duplex } from 'node:stream';
import { breakOff, hasFailed } from './break-off.ts';
import { directReadsOf } from './direct-reads.ts';
import type { Direction, Pace } from './pace.ts';
import type { Cut } from './tunnels.ts';
import { createValve, drained, isOpen, slow, stop, type Valve } from './valve.ts';

export interface SpliceOptions {
  readonly idleMs: number;
  /** Bytes the device sent with its CONNECT head; already part of the tunnel. */
  readonly early: Buffer;
  /** Null is as fast as it goes. */
  readonly pace: Pace | null;
}

export type SpliceEnd = 'closed' | 'idle' | 'device_error' | 'origin_error' | Cut;

export interface Splice {
  readonly bytes: { sent: number; received: number };
  /** Resolves once both sides are closed. */
  readonly ended: Promise<SpliceEnd>;
  /** Ends both sides at once. */
  readonly cut: (why: Cut) => void;
}

/** What TLS decrypts from one full record. A full one is seldom alone. */
const recordBytes = 16_384;

/** A read of libuv, and four records. Below `smallBytes` a small buffer of its own is cheaper. */
const lentBytes = 65_536;
const smallBytes = 4096;

/** A small chunk that waits costs 180 bytes besides its own: when so many bytes wait, chunks of one byte are
 *  lent memory too, and soon nothing more is taken (131 072 of them would be 24 MiB by that figure). */
const maxSmallBytes = 16_384;

/** 4 MiB are kept for the next burst. */
const maxSpare = 64;
const spare: Buffer[] = [];

/** What waits to be written to a device that reads slowly, besides the kernel's buffers. */
const maxLent = 2;
const maxWaitingBytes = 131_072;

/** What an origin that resets has said before still goes to a device that takes it within this time
 *  (RFC 9110 section 9.3.6); looked at so often, because streams do not tell. */
const outstandingMs = 2000;
const lookMs = 10;

/** Invariant: every end is an end of both sides (threats rule 6). A FIN is passed on and the other
 *  direction goes on; an error, the idle limit or a cut breaks both off. */
export function splice(device: Duplex, origin: Duplex, options: SpliceOptions): Splice {
  const { pace } = options;
  const bytes = { sent: 0, received: 0 };
  // After a wait the silence begins anew.
  const flow = (side: Duplex): Valve['from'] =>
    pace === null ? side : { resume: () => idle.refresh() && side.resume() };
  const valves = { sent: createValve(flow(device)), received: createValve(flow(origin)) };
  const { promise, resolve } = Promise.withResolvers<SpliceEnd>();
  let end: SpliceEnd = 'closed';
  let open = [device, origin].filter((side) => !side.closed).length;
  const idle = setTimeout(lapse, options.idleMs);
  let outstanding: NodeJS.Timeout | null = null;

  function lapse(): void {
    // A tunnel that has to wait for its turn is not silent.
    if (valves.sent.slowed === null && valves.received.slowed === null) finish('idle');
    else idle.refresh();
  }
  function moved(direction: Direction, size: number): void {
    bytes[direction] += size;
    idle.refresh();
    const waitMs = pace === null ? 0 : pace.spend(direction, size);
    if (waitMs > 0) slow(valves[direction], waitMs);
  }
  function finish(why: SpliceEnd): void {
    if (end === 'closed') end = why;
    breakOff(device);
    breakOff(origin);
  }
  function originFailed(): void {
    received.flush();
    if (end === 'closed') end = 'origin_error';
    if (device.writableLength === 0) {
      finish(end);
      return;
    }
    let looks = outstandingMs / lookMs;
    outstanding = setInterval(() => {
      looks -= 1;
      if (device.writableLength === 0 || looks === 0) finish('origin_error');
    }, lookMs);
    // What is unread when it is closed would make it a reset, and what is on its way be lost.
    device.resume();
  }
  function closed(): void {
    open -= 1;
    if (hasFailed(device)) finish('device_error');
    if (open > 0) {
      if (outstanding !== null && !device.destroyed) return;
      // Closed without an error, and without having ended: nothing more will be said to the other.
      if (!device.readableEnded || !origin.readableEnded) {
        device.destroy();
        origin.destroy();
      }
      return;
    }
    clearTimeout(idle);
    if (outstanding !== null) clearInterval(outstanding);
    stop(valves.sent);
    stop(valves.received);
    resolve(end);
  }
  function carry(direction: Direction): Pick<Lending, 'flush'> {
    const valve = valves[direction];
    const [from, to] = direction === 'sent' ? [device, origin] : [origin, device];
    const { take, flush } = lending(valve, to, () => idle.refresh());
    const sink = (chunk: Buffer): boolean => {
      // Nobody is left to hear it.
      if (to.destroyed) return true;
      moved(direction, chunk.length);
      return take(chunk);
    };
    from.on('data', (chunk: Buffer) => {
      if (!sink(chunk)) from.pause();
    });
    to.on('drain', () => {
      idle.refresh();
      drained(valve);
    });
    const ended = (): void => {
      // Node ends a stream that was reset like one that is complete; 'close' tells.
      if (hasFailed(from)) return;
      flush();
      to.end();
    };
    if (from.readableEnded) ended();
    else from.on('end', ended);
    directReadsOf(from)?.into(sink);
    // Whoever read a head from it has paused it, and then a listener alone starts nothing.
    if (isOpen(valve)) from.resume();
    return { flush };
  }

  device.on('error', () => finish('device_error'));
  origin.on('error', originFailed);
  device.on('close', closed);
  origin.on('close', closed);
  if (options.early.length > 0) {
    moved('sent', options.early.length);
    origin.write(options.early);
  }
  carry('sent');
  const received = carry('received');
  // One side may have gone while the other was being connected.
  if (device.destroyed || origin.destroyed) finish('device_error');
  if (open === 0) closed();
  return { bytes, ended: promise, cut: finish };
}

interface Lending {
  /** False: no more for now. */
  readonly take: (chunk: Buffer) => boolean;
  /** Writes what still waits for more. */
  readonly flush: () => void;
}

/** Writes copies of chunks, and keeps their order. Large ones go into memory that is lent until it is
 *  written; of full records as many as come in one turn of the event loop leave in one system call. */
function lending(valve: Valve, to: Duplex, written: () => void): Lending {
  const lentOut: Buffer[] = [];
  let filling: Buffer | null = null;
  let filled = 0;
  let isComing = false;
  const isFull = (): boolean => lentOut.length >= maxLent || to.writableLength >= maxWaitingBytes;

  function takeBack(error?: Error | null): void {
    const buffer = lentOut.shift();
    // What a write that was cut short had to send may still be read: the collector has it.
    if (error || to.destroyed || buffer === undefined) return;
    giveBack(buffer);
    written();
    if (!isFull()) drained(valve);
  }
  function flush(): void {
    isComing = false;
    if (filling === null) return;
    const chunk = filling.subarray(0, filled);
    lentOut.push(filling);
    filling = null;
    filled = 0;
    to.write(chunk, takeBack);
  }
  function fill(chunk: Buffer): void {
    filling ??= borrow();
    filled += chunk.copy(filling, filled);
    if (chunk.length !== recordBytes || filled === filling.length) flush();
    else if (!isComing) {
      isComing = true;
      setImmediate(flush);
    }
  }
  function take(chunk: Buffer): boolean {
    const isSmall = chunk.length < smallBytes && to.writableLength < maxSmallBytes;
    if (filling === null && isSmall) to.write(Buffer.from(chunk));
    else {
      if (chunk.length > lentBytes - filled) flush();
      for (let at = 0; at < chunk.length; at += lentBytes) fill(chunk.subarray(at, at + lentBytes));
    }
    valve.full = isFull();
    return isOpen(valve);
  }
  return { take, flush };
}

function borrow(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(lentBytes);
}

function giveBack(lent: Buffer): void {
  if (spare.length < maxSpare) spare.push(lent);
}
