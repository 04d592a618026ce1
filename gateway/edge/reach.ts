// Opens the way to an admitted target: straight to a judged address, or through a named upstream proxy.

import type net from 'node:net';
import type { Reached, Way } from './admit.ts';
import { type DialWatch, dial } from './dial.ts';
import type { FamilyMemory } from './family-memory.ts';
import type { Resolver } from './resolve.ts';
import { reachThrough, type Upstream } from './upstream.ts';
import type { UpstreamRests } from './upstream-rests.ts';

export interface ReachOptions {
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly dialTimeoutMs: number;
  readonly attemptDelayMs: number;
  /** Which servers of an upstream proxy are left alone for a while. */
  readonly rests: UpstreamRests;
  readonly families: FamilyMemory;
  readonly watch: DialWatch | null;
}

export async function reach(
  way: Way,
  options: ReachOptions,
  resolver: Resolver,
): Promise<Reached<net.Socket>> {
  const { target, tunnel, signal } = way;
  if (tunnel.upstream === null) {
    const { socket, candidate } = await dial(way.candidates, {
      port: target.port,
      timeoutMs: options.dialTimeoutMs,
      attemptDelayMs: options.attemptDelayMs,
      signal,
      watch: options.watch,
      deviceId: way.deviceId,
      families: { memory: options.families, host: target.host },
    });
    return { carrier: socket, candidate, server: null };
  }
  const upstream = options.upstreams.get(tunnel.upstream);
  // Checked when the configuration is read: a rule cannot name an upstream that is not there.
  if (upstream === undefined) throw new Error(`no upstream \`${tunnel.upstream}\``);
  return await reachThrough(way, upstream, { ...options, resolver });
}
