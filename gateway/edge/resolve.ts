// Turns names into addresses: static hosts, what is remembered, then the servers of the name's zone, one question at a time per name.

import type { Address } from '../../dtr-rules/address.ts';
import { createDnsMemory, type Known, type MemoryOptions } from './dns-memory.ts';
import { createZone, type Found, type Zone, type ZoneOptions } from './dns-zone.ts';

/** `cached` is whatever was remembered, a failure too; `stale` an answer past its time. */
export const lookupOutcomes = ['ok', 'failed', 'timeout', 'cached', 'stale'] as const;
export type LookupOutcome = (typeof lookupOutcomes)[number];

export interface LookupWatch {
  /** `elapsedMs` is null where nobody was asked. */
  lookedUp(outcome: LookupOutcome, elapsedMs: number | null): void;
}

export interface ResolverOptions extends MemoryOptions, ZoneOptions {
  /** Split horizon: names at or below `suffix`, a canonical host name, are asked of these servers; the longest suffix counts. */
  readonly zones: readonly { readonly suffix: string; readonly servers: readonly string[] }[];
  /** Names answered without asking anybody. The system's hosts file is not read. */
  readonly hosts: ReadonlyMap<string, readonly Address[]>;
  /** For one name: all servers, tries and families, and waiting for its turn. */
  readonly timeoutMs: number;
  readonly watch: LookupWatch | null;
}

export interface Resolver {
  /** Never empty; fails with `dns.failed` or `dns.timeout`. `host` is canonical. */
  resolve(host: string): Promise<readonly Address[]>;
  close(): void;
}

/** RFC 8767 section 5: the client response timer, where there is an expired answer to fall back on. */
const patienceMs = 1800;

export function createResolver(options: ResolverOptions): Resolver {
  const memory = createDnsMemory(options);
  const inFlight = new Map<string, Promise<Known>>();
  // Each zone has servers, turns and deadlines of its own: a dead one delays no other (threats S13).
  const others = createZone(options);
  const zones = new Map(
    options.zones.map(({ suffix, servers }) => [suffix, createZone({ ...options, servers })]),
  );

  function zoneOf(host: string): Zone {
    for (let rest = host; ; ) {
      const zone = zones.get(rest);
      if (zone !== undefined) return zone;
      const dot = rest.indexOf('.');
      if (dot < 0) return others;
      rest = rest.slice(dot + 1);
    }
  }

  async function ask(host: string): Promise<Known> {
    const start = options.now();
    const timeoutMs = memory.hasStale(host)
      ? Math.min(options.timeoutMs, patienceMs)
      : options.timeoutMs;
    const { found, rest } = await zoneOf(host).ask(host, timeoutMs);
    const answered = options.now();
    const known = memory.keep(host, found);
    options.watch?.lookedUp(outcomeOf(found, known), answered - start);
    void rest?.then((whole) => {
      // A later question may have been answered meanwhile.
      if (memory.recall(host) !== known) return;
      memory.keep(host, aged(whole, options.now() - answered));
    });
    return known;
  }

  function shared(host: string): Promise<Known> {
    const running = inFlight.get(host);
    if (running !== undefined) return running;
    const started = ask(host).finally(() => inFlight.delete(host));
    inFlight.set(host, started);
    return started;
  }

  function recall(host: string): Known | null {
    const known = memory.recall(host);
    if (known === null) return null;
    options.watch?.lookedUp(isStale(known) ? 'stale' : 'cached', null);
    return known;
  }

  return {
    async resolve(host) {
      const fixed = options.hosts.get(host);
      if (fixed !== undefined) return fixed;
      const known = recall(host) ?? (await shared(host));
      if (known.kind === 'error') throw known.error;
      return known.addresses;
    },
    close() {
      for (const zone of [others, ...zones.values()]) zone.close();
    },
  };
}

function aged(found: Found, byMs: number): Found {
  return found.kind === 'addresses' ? { ...found, ttlMs: found.ttlMs - byMs } : found;
}

function outcomeOf(found: Found, known: Known): LookupOutcome {
  if (isStale(known)) return 'stale';
  switch (found.kind) {
    case 'addresses':
      return 'ok';
    case 'nothing':
    case 'failed':
      return 'failed';
    case 'late':
    case 'unasked':
      return 'timeout';
  }
}

function isStale(known: Known): boolean {
  return known.kind === 'addresses' && known.isStale;
}
