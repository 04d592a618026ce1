// Opens the way to an admitted target: straight to a judged address, or through a named upstream proxy.

import type net from 'node:net';
import { type Address, parseAddress } from '../../dtr-rules/address.ts';
import type { Tunnel } from '../decision/decision.ts';
import type { Candidate } from '../decision/pin.ts';
import { formatTarget } from '../decision/target.ts';
import { GatewayError } from '../errors.ts';
import type { Reached, Way } from './admit.ts';
import { dial } from './dial.ts';
import type { Resolver } from './resolve.ts';

export interface Upstream {
  readonly host: string;
  readonly port: number;
  /** RFC 7617, ready for Proxy-Authorization; null without credentials. */
  readonly authorization: string | null;
}

export interface ReachOptions {
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly dialTimeoutMs: number;
  readonly attemptDelayMs: number;
  /** A source port was in use and the next one was taken. */
  readonly onBusyPort?: () => void;
}

/** More than any proxy sends; a head that does not end is nonsense (threats D12). */
const maxHeadBytes = 16_384;

export async function reach(way: Way, options: ReachOptions): Promise<Reached<net.Socket>> {
  const upstream = findUpstream(way.tunnel.upstream, options);
  const { socket, candidate } = await dial(way.candidates, {
    port: upstream?.port ?? way.target.port,
    timeoutMs: options.dialTimeoutMs,
    attemptDelayMs: options.attemptDelayMs,
    signal: way.signal,
    ...(options.onBusyPort && { onBusyPort: options.onBusyPort }),
  });
  if (upstream !== null) await connectThrough(socket, upstream, way, options.dialTimeoutMs);
  return { carrier: socket, candidate };
}

/** The addresses of an upstream proxy are the operator's word, not the device's: they are not judged. */
export async function upstreamCandidates(
  tunnel: Tunnel,
  options: ReachOptions,
  resolver: Resolver,
): Promise<readonly Candidate[]> {
  const upstream = findUpstream(tunnel.upstream, options);
  if (upstream === null) return [];
  const literal = parseAddress(upstream.host);
  const addresses: readonly Address[] =
    literal === null ? await resolver.resolve(upstream.host) : [literal];
  return addresses.flatMap((address) => {
    const source = address.family === 4 ? tunnel.sources.v4 : tunnel.sources.v6;
    return source === null ? [] : [{ address, source }];
  });
}

function findUpstream(name: string | null, options: ReachOptions): Upstream | null {
  if (name === null) return null;
  const upstream = options.upstreams.get(name);
  // Checked when the configuration is read: a rule cannot name an upstream that is not there.
  if (upstream === undefined) throw new Error(`no upstream \`${name}\``);
  return upstream;
}

async function connectThrough(
  socket: net.Socket,
  upstream: Upstream,
  way: Way,
  timeoutMs: number,
): Promise<void> {
  const authority = formatTarget(way.target);
  const credentials =
    upstream.authorization === null ? '' : `Proxy-Authorization: ${upstream.authorization}\r\n`;
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credentials}\r\n`);
  try {
    const signal = AbortSignal.any([way.signal, AbortSignal.timeout(timeoutMs)]);
    const { status, rest } = await readHead(socket, signal);
    // Its challenge and its page are between the proxy and the operator; the device sees ours (D12).
    if (status < 200 || status > 299) {
      throw new GatewayError('dial.upstream', `the upstream proxy answered ${status}`);
    }
    if (rest.length > 0) socket.unshift(rest);
  } catch (error) {
    socket.destroy();
    way.signal.throwIfAborted();
    if (error instanceof GatewayError) throw error;
    throw new GatewayError('dial.upstream', 'the upstream proxy gave no answer', { cause: error });
  }
}

function readHead(
  socket: net.Socket,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly rest: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; rest: Buffer }>();
  let head = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0 && head.length <= maxHeadBytes) return;
    const status = /^HTTP\/1\.[01] (\d{3})[ \r]/.exec(head.toString('latin1'))?.[1];
    if (end < 0 || status === undefined) {
      stop(new Error('not an HTTP answer'));
      return;
    }
    stop(null);
    resolve({ status: Number(status), rest: head.subarray(end + 4) });
  };
  const onEnd = (): void => stop(new Error('closed'));
  const onAbort = (): void => stop(signal.reason);
  function stop(error: unknown): void {
    socket.pause();
    socket.off('data', onData).off('end', onEnd).off('error', stop);
    signal.removeEventListener('abort', onAbort);
    if (error !== null) reject(error);
  }
  socket.on('data', onData).on('end', onEnd).on('error', stop);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  return promise;
}
