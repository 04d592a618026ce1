// Owns the kept connections to origins of plain-HTTP requests; each belongs to one device connection.

import type net from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Client } from 'undici';
import type { Candidate } from '../decision/pin.ts';
import type { Reached, Way } from './admit.ts';

export interface Origin {
  readonly client: Client;
  /** The exchange is over and the connection may serve the next one. */
  release(): void;
  destroy(): void;
}

interface Kept {
  busy: boolean;
  readonly origin: Origin;
  readonly socket: net.Socket;
  readonly candidate: Candidate;
}

/** By what was judged; several with the same key serve the streams of one HTTP/2 connection. */
type Origins = Map<string, Set<Kept>>;

const keptBy = new WeakMap<TLSSocket, Origins>();

/** Beyond these an idle connection is not worth its memory here and there. */
const maxIdle = 8;

/** A kept connection, or a new one. The key holds everything that was judged: the target, the
 *  addresses, the egress address and the upstream; whatever of it changes, nothing is reused. */
export async function originOf(
  device: TLSSocket,
  way: Way,
  url: string,
  reach: (way: Way) => Promise<Reached<net.Socket>>,
): Promise<Reached<Origin>> {
  const origins = originsOf(device);
  const judged = way.candidates.map(({ address, source }) => `${address.text}<${source.text}`);
  const key = [url, way.tunnel.upstream ?? '', ...judged.toSorted()].join(' ');
  const same = origins.get(key) ?? new Set<Kept>();
  origins.set(key, same);
  // One exchange at a time on each: no stream waits for another (threats M17). undici destroys a
  // connection that cannot serve one more request (after HEAD, after `Connection: close`), and the
  // next request may be here before the event that says so.
  const idle = [...same].find((one) => !one.busy && !one.socket.destroyed);
  if (idle !== undefined) {
    idle.busy = true;
    return { carrier: idle.origin, candidate: idle.candidate };
  }

  const { carrier: socket, candidate } = await reach(way);
  const client = new Client(url, {
    pipelining: 1,
    allowH2: false,
    // Whoever carries the exchange watches both directions for silence.
    headersTimeout: 0,
    bodyTimeout: 0,
    // The client gets this socket and never opens another: a new one has to be admitted.
    // Never from within this call: undici would not send what waits for it.
    connect: (_, callback) =>
      queueMicrotask(() => {
        if (socket.destroyed) callback(new Error('the origin closed the connection'), null);
        else callback(null, socket);
      }),
  });
  const origin: Origin = {
    client,
    release() {
      kept.busy = false;
      if ([...same].filter((one) => !one.busy).length > maxIdle) origin.destroy();
    },
    destroy() {
      same.delete(kept);
      socket.destroy();
      client.destroy().catch(() => undefined);
    },
  };
  const kept: Kept = { busy: true, origin, socket, candidate };
  same.add(kept);
  socket.once('close', () => origin.destroy());
  return { carrier: origin, candidate };
}

function originsOf(device: TLSSocket): Origins {
  const known = keptBy.get(device);
  if (known !== undefined) return known;
  const origins: Origins = new Map();
  keptBy.set(device, origins);
  device.once('close', () => {
    for (const same of origins.values()) for (const { origin } of same) origin.destroy();
  });
  return origins;
}
