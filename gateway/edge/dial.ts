// Connects to judged addresses from their egress addresses: Happy Eyeballs (RFC 8305) over what `pin` returned.

import net from 'node:net';
import type { Candidate } from '../decision/pin.ts';
import { GatewayError, systemCode } from '../errors.ts';

export interface DialOptions {
  readonly port: number;
  /** For all attempts together. */
  readonly timeoutMs: number;
  /** RFC 8305 section 8: Connection Attempt Delay. */
  readonly attemptDelayMs: number;
  readonly signal: AbortSignal;
}

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
    const socket = connect(candidate, options.port);
    open.add(socket);
    // For its whole life: it may be reset while nobody else listens yet (threats R06).
    socket.on('error', () => undefined);
    const failed = (error: unknown): void => {
      lastError = error;
      open.delete(socket);
      if (waiting.length > 0) attempt();
      else if (open.size === 0) fail(translate(lastError));
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      settle(socket);
      resolve({ socket, candidate });
    });
    if (waiting.length > 0) delay = setTimeout(attempt, options.attemptDelayMs);
  }

  if (options.signal.aborted) aborted();
  else {
    options.signal.addEventListener('abort', aborted, { once: true });
    attempt();
  }
  return promise;
}

function connect(candidate: Candidate, port: number): net.Socket {
  return net.connect({
    host: candidate.address.text,
    port,
    family: candidate.address.family,
    localAddress: candidate.source.text,
    allowHalfOpen: true,
    noDelay: true,
  });
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
