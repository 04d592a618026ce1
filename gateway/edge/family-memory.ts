// Remembers for a while through which address family a destination was reached, where it was not the first tried.

import { LRUCache } from 'lru-cache';
import type { Address } from '../../dtr-rules/address.ts';

type Family = Address['family'];

export interface FamilyMemory {
  /** The family to begin with; null: that of the first answer. */
  recall(host: string): Family | null;
  /** `tried` began, `won` connected; null when nothing did. */
  keep(host: string, tried: Family, won: Family | null): void;
}

/** RFC 8305 section 4 has outcomes remembered for no longer than the order of ten minutes. */
const maxAgeMs = 600_000;
const maxHosts = 10_000;

/** Without it every connection to a host whose first family is broken waits for the attempt delay. */
export function createFamilyMemory(now: () => number): FamilyMemory {
  const hosts = new LRUCache<string, Family>({ max: maxHosts, ttl: maxAgeMs, perf: { now } });
  return {
    recall: (host) => (hosts.size === 0 ? null : (hosts.get(host) ?? null)),
    keep(host, tried, won) {
      if (won === null) hosts.delete(host);
      else if (won !== tried) hosts.set(host, won);
    },
  };
}
