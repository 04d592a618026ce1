// Bounds the connections of peers nobody has identified yet: per source and in total; the oldest makes room.

import type { Socket } from 'node:net';
import { clientKey } from './rate.ts';

export interface StrangerLimits {
  readonly maxPerSource: number;
  readonly maxTotal: number;
  /** One has been closed to make room. */
  readonly onEvicted: () => void;
}

export interface Strangers {
  /** Counts a new connection. One too many costs the oldest its place: an honest handshake is over
   *  in a moment, so what is old is silent, and newcomers are still served (threats R01). */
  enter(socket: Socket): void;
  has(socket: Endpoint): boolean;
  /** Its device is identified: from here on other limits hold. */
  know(socket: Endpoint): void;
  count(): number;
}

/** Enough of a socket to find its connection again: TLS wraps one socket into another. */
type Endpoint = Pick<Socket, 'remoteAddress' | 'remotePort'>;

interface Stranger {
  readonly key: string;
  readonly source: string;
  readonly socket: Socket;
}

export function createStrangers(limits: StrangerLimits): Strangers {
  // Both in the order of arrival.
  const all = new Map<string, Stranger>();
  const bySource = new Map<string, Set<Stranger>>();

  function leave(stranger: Stranger): void {
    if (all.get(stranger.key) !== stranger) return;
    all.delete(stranger.key);
    const same = bySource.get(stranger.source);
    same?.delete(stranger);
    if (same?.size === 0) bySource.delete(stranger.source);
  }
  function evict([oldest]: Iterable<Stranger>): void {
    if (oldest === undefined) return;
    leave(oldest);
    oldest.socket.destroy();
    limits.onEvicted();
  }

  return {
    enter(socket) {
      const source = clientKey(socket.remoteAddress ?? '');
      const stranger = { key: keyOf(socket), source, socket };
      const same = bySource.get(source) ?? new Set();
      if (same.size >= limits.maxPerSource) evict(same);
      if (all.size >= limits.maxTotal) evict(all.values());
      all.set(stranger.key, stranger);
      bySource.set(source, same.add(stranger));
      socket.once('close', () => leave(stranger));
    },
    has: (socket) => all.has(keyOf(socket)),
    know(socket) {
      const stranger = all.get(keyOf(socket));
      if (stranger !== undefined) leave(stranger);
    },
    count: () => all.size,
  };
}

function keyOf({ remoteAddress, remotePort }: Endpoint): string {
  return `${remoteAddress} ${remotePort}`;
}
