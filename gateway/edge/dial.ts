// Connects to judged addresses from their egress addresses: Happy Eyeballs (RFC 8305) over what `pin` returned.

import type net from 'node:net';
import type { Address } from '../../dtr-rules/address.ts';
import type { Candidate } from '../decision/pin.ts';
import { GatewayError, systemCode } from '../errors.ts';
import { connectDirect } from './direct-reads.ts';
import type { EgressWatch, Fault } from './egress-health.ts';
import type { FamilyMemory } from './family-memory.ts';
import type { HaltSignal } from './halt.ts';
import { type LocalPorts, systemLocalPorts } from './local-ports.ts';

export interface DialOptions {
  readonly port: number;
  /** For all attempts together. */
  readonly timeoutMs: number;
  /** RFC 8305 section 8: Connection Attempt Delay. */
  readonly attemptDelayMs: number;
  readonly signal: HaltSignal;
  /** Those of the system unless given. */
  readonly localPorts?: LocalPorts;
  readonly watch: DialWatch | null;
  /** Who asks; null is the operator. */
  readonly deviceId: string | null;
  /** Which family to begin with (RFC 8305 section 4); null: that of the first answer. */
  readonly families: { readonly memory: FamilyMemory; readonly host: string } | null;
}

/** What is to be known of the egress addresses. */
export interface DialWatch extends EgressWatch {
  /** A port is busy towards this destination; the next one is tried. */
  portBusy(): void;
  /** A neighbour stands in for an egress address that cannot be used. */
  moved(): void;
}

type Family = Address['family'];

/** Of one address. Ports are walked in random order: so many in a row are busy when nearly all are. */
const maxPortTries = 32;

export interface Dialled {
  readonly socket: net.Socket;
  /** The address it leads to and the one it leaves from. */
  readonly candidate: Pick<Candidate, 'address' | 'source'>;
}

/** The first attempt that connects wins, the others are destroyed. `localAddress` switches Node's own
 *  family selection off, so this is also the only way an IPv6 answer does not defeat an IPv4 source. */
export function dial(candidates: readonly Candidate[], options: DialOptions): Promise<Dialled> {
  const waiting = interleave(candidates, recall(options));
  const tried = waiting[0]?.address.family ?? 4;
  const { promise, resolve, reject } = Promise.withResolvers<Dialled>();
  const open = new Set<net.Socket>();
  let delay: NodeJS.Timeout | undefined;
  let lastError: unknown = null;
  const deadline = setTimeout(
    () => fail(new GatewayError('dial.timeout', `no connection in ${options.timeoutMs} ms`)),
    options.timeoutMs,
  );

  function settle(winner: net.Socket | null): void {
    clearTimeout(deadline);
    clearTimeout(delay);
    options.signal.removeEventListener('abort', aborted);
    waiting.length = 0;
    for (const socket of open) if (socket !== winner) socket.destroy();
    open.clear();
  }
  function fail(error: unknown): void {
    settle(null);
    remember(options, tried, null);
    reject(error);
  }
  function aborted(): void {
    fail(options.signal.reason);
  }

  function attempt(): void {
    clearTimeout(delay);
    const candidate = waiting.shift();
    if (candidate === undefined) return;
    const { address, source, neighbours } = candidate;
    const sources = [source, ...neighbours];
    connect({ address, sources, open, connected, failed }, options, maxPortTries);
    if (waiting.length > 0) delay = setTimeout(attempt, options.attemptDelayMs);
  }
  function failed(error: unknown): void {
    lastError = error;
    if (waiting.length > 0) attempt();
    else if (open.size === 0) fail(translate(lastError));
  }
  function connected(dialled: Dialled): void {
    settle(dialled.socket);
    remember(options, tried, dialled.candidate.address.family);
    resolve(dialled);
  }

  if (options.signal.aborted) aborted();
  else {
    options.signal.addEventListener('abort', aborted, { once: true });
    attempt();
  }
  return promise;
}

interface Attempt {
  readonly address: Address;
  /** The egress address, and those that stand in for it. */
  readonly sources: readonly Address[];
  /** Sockets that still connect; one that is taken out of it has lost. */
  readonly open: Set<net.Socket>;
  readonly connected: (dialled: Dialled) => void;
  readonly failed: (error: unknown) => void;
}

/** From one port after the other while they are busy, then from one neighbour after the other. */
function connect(attempt: Attempt, options: DialOptions, triesLeft: number): void {
  const { address, open } = attempt;
  const [source, ...neighbours] = attempt.sources;
  if (source === undefined) throw new Error('nothing to leave from');
  const localPort = (options.localPorts ?? systemLocalPorts()).next(source.text);
  const socket = connectDirect({
    host: address.text,
    port: options.port,
    family: address.family,
    localAddress: source.text,
    localPort,
    allowHalfOpen: true,
    noDelay: true,
  });
  open.add(socket);
  // For its whole life: it may be reset while nobody else listens yet (threats R06).
  socket.on('error', ignore);
  const failed = (error: unknown): void => {
    const fault = faultOf(error);
    const isBusy = fault === 'ports' && localPort !== 0;
    if (isBusy) options.watch?.portBusy();
    if (!open.delete(socket)) return;
    if (isBusy && triesLeft > 1) connect(attempt, options, triesLeft - 1);
    else moveOn(error, fault);
  };
  // Only what is wrong here moves on: the destination is the same from every address.
  const moveOn = (error: unknown, fault: Fault | null): void => {
    if (fault === 'unreachable') options.watch?.unreachable(source, address, options.deviceId);
    else if (fault !== null) options.watch?.failed(source, fault);
    const isOurs = fault === 'missing' || fault === 'ports';
    if (isOurs && neighbours.length > 0) {
      options.watch?.moved();
      connect({ ...attempt, sources: neighbours }, options, maxPortTries);
    } else attempt.failed(error);
  };
  socket.once('error', failed);
  socket.once('connect', () => {
    socket.off('error', failed);
    options.watch?.worked(source);
    attempt.connected({ socket, candidate: { address, source } });
  });
}

/** Not made where it is used: it would keep all of an attempt in memory, as long as the tunnel lives. */
function ignore(): void {}

/** What an error says of the egress address; null when it is about the destination. A port is taken by a
 *  listener or another program (`bind`), or by a connection to the same destination, which may be in
 *  TIME_WAIT (`connect`); `EADDRNOTAVAIL` from `bind` means the address itself. */
function faultOf(error: unknown): Fault | null {
  const { syscall } = error as NodeJS.ErrnoException;
  switch (systemCode(error)) {
    case 'EADDRINUSE':
      return 'ports';
    case 'EADDRNOTAVAIL':
      return syscall === 'connect' ? 'ports' : 'missing';
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
      return 'unreachable';
    default:
      return null;
  }
}

function recall({ families }: DialOptions): Family | null {
  return families === null ? null : families.memory.recall(families.host);
}

function remember({ families }: DialOptions, tried: Family, won: Family | null): void {
  families?.memory.keep(families.host, tried, won);
}

/** RFC 8305 section 4: alternate the families, beginning with that of the first answer, or with the one
 *  that got through lately. */
function interleave(candidates: readonly Candidate[], lately: Family | null): Candidate[] {
  if (candidates.length === 1) return [...candidates];
  const family = lately ?? candidates[0]?.address.family;
  const first = candidates.filter(({ address }) => address.family === family);
  const second = candidates.filter(({ address }) => address.family !== family);
  const length = Math.max(first.length, second.length);
  return Array.from({ length }, (_, i) => [first[i], second[i]])
    .flat()
    .filter((one) => one !== undefined);
}

function translate(error: unknown): GatewayError {
  const code = systemCode(error);
  const options = { cause: error };
  switch (code) {
    case 'EADDRNOTAVAIL':
    case 'EADDRINUSE':
    case 'EINVAL':
      return new GatewayError('egress.unavailable', 'the egress address cannot be used', options);
    case 'ECONNREFUSED':
      return new GatewayError('dial.refused', 'connection refused', options);
    case 'ETIMEDOUT':
      return new GatewayError('dial.timeout', 'connection timed out', options);
    default:
      return new GatewayError('dial.unreachable', `cannot connect (${code ?? 'unknown'})`, options);
  }
}
