// Owns the kept connections to origins of plain-HTTP requests; each belongs to one device connection.

import type net from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Reached, Way } from './admit.ts';
import { signalOf } from './halt.ts';
import {
  type OriginConnection,
  type OriginListener,
  type OriginRequest,
  openOrigin,
} from './origin-exchange.ts';

/** A connection to an origin, for one exchange. */
export interface Origin extends Pick<OriginConnection, 'ask' | 'resume'> {
  readonly socket: net.Socket;
  /** The exchange is over and the connection may serve the next one. */
  release(): void;
  destroy(): void;
}

export interface Wanted {
  readonly url: string;
  /** Asking twice does what asking once does, and there is no body to send again (RFC 9110 section 9.2.2). */
  readonly isRepeatable: boolean;
}

interface Kept {
  busy: boolean;
  readonly socket: net.Socket;
  readonly connection: OriginConnection;
  readonly candidate: Reached<Origin>['candidate'];
  readonly server: string | null;
  readonly origins: Origins;
}

type Reach = (way: Way) => Promise<Reached<net.Socket>>;

type Reopen = (signal: AbortSignal) => Promise<Kept>;

/** By what was judged; several with the same key serve the streams of one HTTP/2 connection. */
type Origins = Map<string, Set<Kept>>;

const keptBy = new WeakMap<TLSSocket, Origins>();

/** Of one device connection, to all its origins together: a device that goes through many hosts must not use
 *  up the descriptors of all (threats R10). */
const maxIdle = 8;

/** Origins close idle connections after 5 s and more: not much is left to be won then. */
const restMs = 4000;

/** A kept connection, or a new one. The key holds everything that was judged: the target, the
 *  addresses, the egress address and the upstream; whatever of it changes, nothing is reused. */
export async function originOf(
  device: TLSSocket,
  way: Way,
  wanted: Wanted,
  reach: Reach,
): Promise<Reached<Origin>> {
  const origins = originsOf(device);
  const judged = way.candidates.map(({ address, source }) => `${address.text}<${source.text}`);
  const { upstream, sources } = way.tunnel;
  const through =
    upstream === null ? '' : [upstream, sources.v4[0]?.text, sources.v6[0]?.text].join('<');
  const key = [wanted.url, through, ...judged.sort()].join(' ');
  const open = async (to: Way): Promise<Kept> => keep(await reach(to), origins, key);
  const kept = wanted.isRepeatable ? idleOne(origins.get(key), way.servers) : null;
  if (kept === null) {
    const fresh = await open(way);
    return { carrier: lend(fresh, null), candidate: fresh.candidate, server: fresh.server };
  }
  const reopen: Reopen = (signal) => open(onceMore(way, kept, signal));
  return { carrier: lend(kept, reopen), candidate: kept.candidate, server: kept.server };
}

/** One exchange at a time on each: no stream waits for another (threats M17). What cannot be asked
 *  twice takes none: its origin may be closing it just now. */
function idleOne(same: ReadonlySet<Kept> | undefined, servers: ReadonlySet<string>): Kept | null {
  for (const kept of same ?? []) {
    if (kept.busy || !kept.connection.isIdle()) continue;
    if (kept.server !== null && !servers.has(kept.server)) continue;
    kept.busy = true;
    kept.socket.setTimeout(0);
    return kept;
  }
  return null;
}

/** To the same address from the same address: what was judged and logged stays true. */
function onceMore(way: Way, { candidate }: Kept, signal: AbortSignal): Way {
  const { address, source } = candidate;
  const candidates = way.candidates
    .filter((one) => one.address.text === address.text)
    .map((one) => ({ ...one, source, neighbours: [] }));
  return { ...way, candidates, signal: AbortSignal.any([signalOf(way.signal), signal]) };
}

function keep(reached: Reached<net.Socket>, origins: Origins, key: string): Kept {
  const { carrier: socket, candidate, server } = reached;
  const same = origins.get(key) ?? new Set<Kept>();
  const kept: Kept = {
    busy: true,
    socket,
    connection: openOrigin(socket),
    candidate,
    server,
    origins,
  };
  origins.set(key, same.add(kept));
  const forget = (): void => {
    same.delete(kept);
    if (same.size === 0 && origins.get(key) === same) origins.delete(key);
  };
  if (socket.destroyed) forget();
  else socket.once('close', forget).once('timeout', () => socket.destroy());
  return kept;
}

/** `reopen` makes another connection in place of a kept one that its origin is closing: nothing was
 *  answered, so the request is sent once more (RFC 9112 section 9.3.1). */
function lend(first: Kept, reopen: Reopen | null): Origin {
  let kept = first;
  let reopening: AbortController | null = null;

  async function askAgain(request: OriginRequest, listener: OriginListener, open: Reopen) {
    reopening = new AbortController();
    const { signal } = reopening;
    const next = await open(signal).catch(() => null);
    if (next !== null) kept = next;
    if (signal.aborted) next?.socket.destroy();
    else if (next === null || !isSame(next, first)) listener.fail('origin.incomplete');
    else next.connection.ask(request, listener);
  }
  return {
    get socket() {
      return kept.socket;
    },
    ask(request, listener) {
      const { connection } = first;
      if (reopen === null) return connection.ask(request, listener);
      const fail: OriginListener['fail'] = (reason) => {
        if (reason !== 'origin.incomplete' || connection.hasHeard()) listener.fail(reason);
        else void askAgain(request, listener, reopen);
      };
      connection.ask(request, { ...listener, fail });
    },
    resume: () => kept.connection.resume(),
    release() {
      kept.busy = false;
      if (!kept.connection.isIdle() || idleOf(kept.origins) > maxIdle) kept.socket.destroy();
      else kept.socket.setTimeout(restMs);
    },
    destroy() {
      reopening?.abort();
      kept.socket.destroy();
    },
  };
}

function isSame(one: Kept, other: Kept): boolean {
  const [a, b] = [one.candidate, other.candidate];
  const isSameWay = a.address.text === b.address.text && a.source.text === b.source.text;
  return isSameWay && one.server === other.server;
}

function idleOf(origins: Origins): number {
  let idle = 0;
  for (const same of origins.values()) for (const { busy } of same) if (!busy) idle += 1;
  return idle;
}

function originsOf(device: TLSSocket): Origins {
  const known = keptBy.get(device);
  if (known !== undefined) return known;
  const origins: Origins = new Map();
  keptBy.set(device, origins);
  device.once('close', () => {
    for (const same of origins.values()) for (const { socket } of same) socket.destroy();
  });
  return origins;
}
