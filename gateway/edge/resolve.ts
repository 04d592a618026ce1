// Turns names into addresses: static hosts, then c-ares with a cache that honours TTLs, one query at a time per name.

import { Resolver as Ares } from 'node:dns/promises';
import { LRUCache } from 'lru-cache';
import { type Address, parseAddress } from '../../dtr-rules/address.ts';
import { GatewayError, systemCode } from '../errors.ts';

export interface ResolverOptions {
  /** `address` or `address:port`; empty uses the system's. */
  readonly servers: readonly string[];
  /** Names answered without asking anybody. The system's hosts file is not read. */
  readonly hosts: ReadonlyMap<string, readonly Address[]>;
  readonly timeoutMs: number;
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
  readonly negativeTtlMs: number;
  readonly maxNames: number;
  /** For the age of answers, in milliseconds. */
  readonly now: () => number;
}

export interface Resolver {
  /** Never empty; fails with `dns.failed` or `dns.timeout`. */
  resolve(host: string): Promise<readonly Address[]>;
  close(): void;
}

type Cached = { readonly addresses: readonly Address[] } | { readonly error: GatewayError };

interface Answer {
  readonly address: string;
  /** Seconds, as in the record. */
  readonly ttl: number;
}

export function createResolver(options: ResolverOptions): Resolver {
  const ares = new Ares({ timeout: options.timeoutMs, tries: 1 });
  if (options.servers.length > 0) ares.setServers([...options.servers]);
  const cache = new LRUCache<string, Cached>({
    max: options.maxNames,
    perf: { now: options.now },
    ttlResolution: 0,
  });
  const inFlight = new Map<string, Promise<Cached>>();

  async function query(host: string): Promise<Cached> {
    const [v4, v6] = await Promise.allSettled([
      ares.resolve4(host, { ttl: true }),
      ares.resolve6(host, { ttl: true }),
    ]);
    const answers: Answer[] = [];
    if (v6.status === 'fulfilled') answers.push(...v6.value);
    if (v4.status === 'fulfilled') answers.push(...v4.value);
    const addresses = answers.flatMap(({ address }) => parseAddress(address) ?? []);
    if (addresses.length > 0) {
      const ttlMs = Math.min(...answers.map(({ ttl }) => ttl)) * 1000;
      const kept = Math.min(Math.max(ttlMs, options.minTtlMs), options.maxTtlMs);
      cache.set(host, { addresses }, { ttl: Math.max(1, kept) });
      return { addresses };
    }
    const failed = { error: failure(host, v4, v6) };
    cache.set(host, failed, { ttl: Math.max(1, options.negativeTtlMs) });
    return failed;
  }

  function shared(host: string): Promise<Cached> {
    const running = inFlight.get(host);
    if (running !== undefined) return running;
    const started = query(host).finally(() => inFlight.delete(host));
    inFlight.set(host, started);
    return started;
  }

  return {
    async resolve(host) {
      const fixed = options.hosts.get(host);
      if (fixed !== undefined) return fixed;
      const found = cache.get(host) ?? (await shared(host));
      if ('error' in found) throw found.error;
      return found.addresses;
    },
    close: () => ares.cancel(),
  };
}

function failure(host: string, ...results: readonly PromiseSettledResult<unknown>[]): GatewayError {
  const causes = results.flatMap((one): unknown[] =>
    one.status === 'rejected' ? [one.reason] : [],
  );
  const late = causes.find((cause) => systemCode(cause) === 'ETIMEOUT');
  if (late !== undefined) {
    return new GatewayError('dns.timeout', `no answer for \`${host}\` in time`, { cause: late });
  }
  return new GatewayError('dns.failed', `cannot resolve \`${host}\``, { cause: causes[0] });
}
