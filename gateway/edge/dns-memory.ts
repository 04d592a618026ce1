// What was answered and how long it is believed: addresses, that there is nothing, that nobody answered; expired ones on request.

import { LRUCache } from 'lru-cache';
import type { Address } from '../../dtr-rules/address.ts';
import { GatewayError } from '../errors.ts';
import type { Found, NotFound } from './dns-zone.ts';

export interface MemoryOptions {
  readonly maxNames: number;
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
  /** For names that are not there, or have no addresses. Node does not hand out the SOA record that RFC 2308 would take it from. */
  readonly negativeTtlMs: number;
  /** For servers that fail: long enough that they are not asked for every request (RFC 9520 section 3.2). */
  readonly failureTtlMs: number;
  /** RFC 8767: how long after its time an answer may stand in for servers that do not answer. */
  readonly serveStaleMs: number;
  /** In milliseconds; only differences count. */
  readonly now: () => number;
}

export type Known =
  | {
      readonly kind: 'addresses';
      readonly addresses: readonly Address[];
      /** Past its time: nobody answers, and the operator allows it. */
      readonly isStale: boolean;
    }
  | { readonly kind: 'error'; readonly error: GatewayError };

export interface DnsMemory {
  /** Null: ask. */
  recall(host: string): Known | null;
  /** Whether there is an answer to fall back on, past its time. */
  hasStale(host: string): boolean;
  /** Takes in what was found, and says what to answer. */
  keep(host: string, found: Found): Known;
}

interface Entry {
  readonly known: Known;
  readonly freshUntil: number;
  /** Addresses only: the end of `serveStaleMs`. */
  readonly usableUntil: number;
}

/** RFC 8767 section 5: how often servers that do not answer are tried again. */
const recheckMs = 30_000;

export function createDnsMemory(options: MemoryOptions): DnsMemory {
  const { now } = options;
  const entries = new LRUCache<string, Entry>({ max: options.maxNames });

  function keepAddresses(host: string, addresses: readonly Address[], ttlMs: number): Known {
    const known: Known = { kind: 'addresses', addresses, isStale: false };
    const keptMs = Math.min(Math.max(ttlMs, options.minTtlMs), options.maxTtlMs);
    const freshUntil = now() + keptMs;
    entries.set(host, { known, freshUntil, usableUntil: freshUntil + options.serveStaleMs });
    return known;
  }

  function keepError(host: string, error: GatewayError, forMs: number): Known {
    const known: Known = { kind: 'error', error };
    entries.set(host, { known, freshUntil: now() + forMs, usableUntil: 0 });
    return known;
  }

  function stale(host: string): Entry | null {
    const entry = entries.get(host);
    return entry?.known.kind === 'addresses' && now() <= entry.usableUntil ? entry : null;
  }

  function keepFailure(host: string, found: NotFound): Known {
    const error = failureOf(host, found);
    const expired = stale(host);
    if (expired === null || expired.known.kind === 'error') {
      // Whose turn did not come has not been asked about: the next may be luckier.
      if (found.kind === 'unasked') return { kind: 'error', error };
      return keepError(host, error, options.failureTtlMs);
    }
    const known: Known = { ...expired.known, isStale: true };
    const freshUntil = Math.min(now() + recheckMs, expired.usableUntil);
    entries.set(host, { known, freshUntil, usableUntil: expired.usableUntil });
    return known;
  }

  return {
    recall(host) {
      const entry = entries.get(host);
      return entry !== undefined && now() <= entry.freshUntil ? entry.known : null;
    },
    hasStale: (host) => stale(host) !== null,
    keep(host, found) {
      switch (found.kind) {
        case 'addresses':
          return keepAddresses(host, found.addresses, found.ttlMs);
        case 'nothing':
          return keepError(host, failureOf(host, found), options.negativeTtlMs);
        case 'failed':
        case 'late':
        case 'unasked':
          return keepFailure(host, found);
      }
    },
  };
}

function failureOf(host: string, { kind, cause }: NotFound): GatewayError {
  return kind === 'late' || kind === 'unasked'
    ? new GatewayError('dns.timeout', `no answer for \`${host}\` in time`, { cause })
    : new GatewayError('dns.failed', `cannot resolve \`${host}\``, { cause });
}
