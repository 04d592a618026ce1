// Connects to judged addresses from their egress addresses: Happy Eyeballs (RFC 8305) over what `pin` returned.

import type net from 'node:net';
import type { Candidate } from '../decision/pin.ts';
import { GatewayError, systemCode } from '../errors.ts';
import { connectDirect } from './direct-reads.ts';
import { type LocalPorts, systemLocalPorts } from './local-ports.ts';

export interface DialOptions {
  readonly port: number;
  /** For all attempts together. */
  readonly timeoutMs: number;
  /** RFC 8305 section 8: Connection Attempt Delay. */
  readonly attemptDelayMs: number;
  readonly signal: AbortSignal;
  /** Those of the system unless given. */
  readonly localPorts?: LocalPorts;
  /** A port of the egress address is busy towards this destination; the next one is tried. */
  readonly onBusyPort?: () => void;
}

/** Of one address. Ports are walked in random order: so many in a row are busy when nearly all are. */
const maxPortTries = 32;

export interface Dialled {
  readonly socket: net.Socket;
  readonly candidate: Candidate;
}

/** The first attempt that connects wins, the others are destroyed. `localAddress` switches Node's own
 *  family selection off, so this is also the only way an IPv6 answer does not defeat an IPv4 source. */
export function dial(candidates: readonly Candidate[], options: DialOptions): Promise<Dialled> {
  const waiting = interleave(candidates);
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
    reject(error);
  }
  function aborted(): void {
    fail(options.signal.reason);
  }

  function attempt(): void {
    clearTimeout(delay);
    const candidate = waiting.shift();
    if (candidate === undefined) return;
    connect({ candidate, open, connected, failed }, options, maxPortTries);
    if (waiting.length > 0) delay = setTimeout(attempt, options.attemptDelayMs);
  }
  function failed(error: unknown): void {
    lastError = error;
    if (waiting.length > 0) attempt();
    else if (open.size === 0) fail(translate(lastError));
  }
  function connected(dialled: Dialled): void {
    settle(dialled.socket);
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
  readonly candidate: Candidate;
  /** Sockets that still connect; one that is taken out of it has lost. */
  readonly open: Set<net.Socket>;
  readonly connected: (dialled: Dialled) => void;
  readonly failed: (error: unknown) => void;
}

/** From one port after the other while they are busy. */
function connect(attempt: Attempt, options: DialOptions, triesLeft: number): void {
  const { candidate, open } = attempt;
  const localPort = (options.localPorts ?? systemLocalPorts()).next(candidate.source.text);
  const socket = connectDirect({
    host: candidate.address.text,
    port: options.port,
    family: candidate.address.family,
    localAddress: candidate.source.text,
    localPort,
    allowHalfOpen: true,
    noDelay: true,
  });
  open.add(socket);
  // For its whole life: it may be reset while nobody else listens yet (threats R06).
  socket.on('error', () => undefined);
  const failed = (error: unknown): void => {
    const isBusy = localPort !== 0 && isPortBusy(error);
    if (isBusy) options.onBusyPort?.();
    if (!open.delete(socket)) return;
    if (isBusy && triesLeft > 1) connect(attempt, options, triesLeft - 1);
    else attempt.failed(error);
  };
  socket.once('error', failed);
  socket.once('connect', () => {
    socket.off('error', failed);
    attempt.connected({ socket, candidate });
  });
}

/** Taken by a listener or another program (`bind`), or by a connection to the same destination, which
 *  may be in TIME_WAIT (`connect`). `EADDRNOTAVAIL` from `bind` means the address itself. */
function isPortBusy(error: unknown): boolean {
  const { syscall } = error as NodeJS.ErrnoException;
  const code = systemCode(error);
  return code === 'EADDRINUSE' || (code === 'EADDRNOTAVAIL' && syscall === 'connect');
}

/** RFC 8305 section 4: alternate the families, beginning with that of the first answer. */
function interleave(candidates: readonly Candidate[]): Candidate[] {
  const family = candidates[0]?.address.family;
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
