// Owns the way through an upstream proxy: one of its servers after the other, until one opens a tunnel to the target.

import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { type Address, parseAddress } from '../../dtr-rules/address.ts';
import { type Candidate, pairUp } from '../decision/pin.ts';
import { formatTarget } from '../decision/target.ts';
import { GatewayError } from '../errors.ts';
import type { Reached, Way } from './admit.ts';
import { dial } from './dial.ts';
import { signalOf } from './halt.ts';
import type { ReachOptions } from './reach.ts';
import type { Resolver } from './resolve.ts';
import { readAnswer } from './upstream-answer.ts';
import { serverName } from './upstream-rests.ts';

export interface UpstreamServer {
  readonly host: string;
  readonly port: number;
  /** RFC 7617, ready for Proxy-Authorization; null without credentials. */
  readonly authorization: string | null;
  /** Null speaks to it in clear; `authority` null trusts what the system trusts. */
  readonly tls: { readonly authority: string | null } | null;
}

export interface Upstream {
  readonly name: string;
  /** In the order in which they are wanted. */
  readonly servers: readonly UpstreamServer[];
}

type Parts = ReachOptions & { readonly resolver: Resolver };

/** Those that rest come last: a proxy that failed a moment ago is better than none. All servers together
 *  have the time of one dial, each an equal part of what is left (threats R09). */
export async function reachThrough(
  way: Way,
  { name, servers }: Upstream,
  parts: Parts,
): Promise<Reached<net.Socket>> {
  const { rests } = parts;
  const until = performance.now() + parts.dialTimeoutMs;
  const order = rests.order(name, servers);
  const unwilling: UpstreamServer[] = [];
  let failure: unknown = null;
  for (const [i, server] of order.entries()) {
    const part = (until - performance.now()) / (order.length - i);
    try {
      const tried = await attempt(way, server, parts, Math.max(1, Math.ceil(part)));
      if (tried.status >= 200 && tried.status <= 299) {
        rests.worked(name, server);
        // It could be done: that they could not is their trouble, not the target's.
        for (const one of unwilling) rests.failed(name, one);
        return tried.reached;
      }
      tried.reached.carrier.destroy();
      // Its challenge and its page are between the proxy and the operator; the device sees ours (D12).
      failure = new GatewayError('dial.upstream', `the upstream proxy answered ${tried.status}`);
      // It has answered: another one is not a second opinion.
      if (tried.status >= 400 && tried.status <= 499) break;
      unwilling.push(server);
    } catch (error) {
      way.signal.throwIfAborted();
      if (!(error instanceof GatewayError)) throw error;
      failure = error;
      if (!error.code.startsWith('egress.')) rests.failed(name, server);
    }
  }
  throw failure;
}

interface Tried {
  readonly status: number;
  readonly reached: Reached<net.Socket>;
}

/** Asks one server; whatever it answers is the answer. */
async function attempt(
  way: Way,
  server: UpstreamServer,
  parts: Parts,
  timeoutMs: number,
): Promise<Tried> {
  const signal = AbortSignal.any([signalOf(way.signal), AbortSignal.timeout(timeoutMs)]);
  const { socket, candidate } = await dial(await candidatesOf(way, server, parts), {
    port: server.port,
    timeoutMs,
    attemptDelayMs: parts.attemptDelayMs,
    signal: way.signal,
    watch: parts.watch,
    deviceId: way.deviceId,
    families: { memory: parts.families, host: server.host },
  });
  let carrier = socket;
  try {
    if (server.tls !== null) carrier = await secure(socket, server, signal);
    carrier.write(requestFor(way, server));
    const { status, rest } = await readAnswer(carrier, signal);
    if (rest.length > 0) carrier.unshift(rest);
    return { status, reached: { carrier, candidate, server: serverName(server) } };
  } catch (error) {
    carrier.destroy();
    socket.destroy();
    throw new GatewayError('dial.upstream', 'the upstream proxy gave no answer', { cause: error });
  }
}

/** The addresses of an upstream proxy are the operator's word, not the device's: they are not judged. */
async function candidatesOf(
  { tunnel }: Way,
  { host }: UpstreamServer,
  { resolver }: Parts,
): Promise<readonly Candidate[]> {
  const literal = parseAddress(host);
  const addresses: readonly Address[] = literal === null ? await resolver.resolve(host) : [literal];
  const candidates = pairUp(addresses, tunnel.sources);
  if (candidates.length > 0) return candidates;
  throw new GatewayError('egress.no_family', `no egress address leads to \`${host}\``);
}

function requestFor({ target }: Way, { authorization }: UpstreamServer): string {
  const authority = formatTarget(target);
  const credentials = authorization === null ? '' : `Proxy-Authorization: ${authorization}\r\n`;
  return `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credentials}\r\n`;
}

/** The certificate has to be that of the configured host; nothing is sent before that is known. */
async function secure(
  socket: net.Socket,
  { host, tls: wanted }: UpstreamServer,
  signal: AbortSignal,
): Promise<tls.TLSSocket> {
  const secured = tls.connect({
    socket,
    host,
    ...(net.isIP(host) === 0 && { servername: host }),
    ...(wanted?.authority != null && { ca: wanted.authority }),
    ALPNProtocols: ['http/1.1'],
  });
  // For its whole life: it may be reset while nobody else listens yet (threats R06).
  secured.on('error', () => undefined);
  await once(secured, 'secureConnect', { signal });
  return secured;
}
