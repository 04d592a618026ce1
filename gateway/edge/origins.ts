// Owns the kept connections to origins of plain-HTTP requests; each belongs to one device connection.

import type net from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Client } from 'undici';
import type { Candidate } from '../decision/pin.ts';
import type { Reached, Way } from './admit.ts';

export interface Origin {
  readonly client: Client;
  destroy(): void;
}

export interface OriginOptions {
  readonly reach: (way: Way) => Promise<Reached<net.Socket>>;
  readonly firstByteMs: number;
  readonly idleMs: number;
}

interface Kept {
  readonly origin: Origin;
  readonly candidate: Candidate;
}

const keptBy = new WeakMap<TLSSocket, Map<string, Kept>>();

/** A kept connection, or a new one. The key holds everything that was judged: the target, the
 *  addresses, the egress address and the upstream; whatever of it changes, nothing is reused. */
export async function originOf(
  device: TLSSocket,
  way: Way,
  url: string,
  options: OriginOptions,
): Promise<Reached<Origin>> {
  const origins = originsOf(device);
  const judged = way.candidates.map(({ address, source }) => `${address.text}<${source.text}`);
  const key = [url, way.tunnel.upstream ?? '', ...judged.toSorted()].join(' ');
  const kept = origins.get(key);
  if (kept !== undefined) return { carrier: kept.origin, candidate: kept.candidate };

  const { carrier: socket, candidate } = await options.reach(way);
  const client = new Client(url, {
    pipelining: 1,
    allowH2: false,
    headersTimeout: options.firstByteMs,
    bodyTimeout: options.idleMs,
    // The client gets this socket and never opens another: a new one has to be admitted.
    connect: (_, callback) => {
      if (socket.destroyed) callback(new Error('the origin closed the connection'), null);
      else callback(null, socket);
    },
  });
  const origin: Origin = {
    client,
    destroy() {
      origins.delete(key);
      socket.destroy();
      client.destroy().catch(() => undefined);
    },
  };
  socket.once('close', () => origin.destroy());
  origins.set(key, { origin, candidate });
  return { carrier: origin, candidate };
}

function originsOf(device: TLSSocket): Map<string, Kept> {
  const known = keptBy.get(device);
  if (known !== undefined) return known;
  const origins = new Map<string, Kept>();
  keptBy.set(device, origins);
  device.once('close', () => {
    for (const { origin } of origins.values()) origin.destroy();
  });
  return origins;
}
