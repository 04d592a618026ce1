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

interface Kept {
  readonly origin: Origin;
  readonly socket: net.Socket;
  readonly candidate: Candidate;
}

const keptBy = new WeakMap<TLSSocket, Map<string, Kept>>();

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
  const kept = origins.get(key);
  // undici destroys a connection that cannot serve one more request (after HEAD, after `Connection: close`),
  // and the next request may be here before the event that says so.
  if (kept?.socket.destroyed === false) {
    return { carrier: kept.origin, candidate: kept.candidate };
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
    destroy() {
      if (origins.get(key)?.origin === origin) origins.delete(key);
      socket.destroy();
      client.destroy().catch(() => undefined);
    },
  };
  socket.once('close', () => origin.destroy());
  origins.set(key, { origin, socket, candidate });
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
