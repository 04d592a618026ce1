// Owns how often something may happen: a token bucket for each key, in bounded memory.

import { LRUCache } from 'lru-cache';
import { formatAddress, parseAddress, unmapped } from '../../dtr-rules/address.ts';
import type { SharedRate } from './elsewhere.ts';

export interface Rate {
  readonly perSecond: number;
  /** How many may happen at once after a quiet time. */
  readonly burst: number;
}

export interface RateOptions extends Rate {
  /** Of more keys than this, the one not seen for longest is forgotten and starts with a full bucket:
   *  a limit per key stands beside one over all. */
  readonly maxKeys: number;
  /** Milliseconds. */
  readonly now: () => number;
  /** Where other processes count against the same rate. */
  readonly shared?: SharedRate;
}

export interface RateLimiter {
  /** True, and one fewer left, when it may happen now. */
  take(key: string): boolean;
}

// A token is a thousand parts, of which `perSecond` come back each millisecond: whole numbers stay whole.
const tokenParts = 1000;

export function createRateLimiter(options: RateOptions): RateLimiter {
  const capacity = options.burst * tokenParts;
  // A bucket is one number: the moment it will be full again, in parts since time began.
  const buckets = new LRUCache<string, number>({ max: options.maxKeys });
  // Never emptier than empty: a clock that was set back must not shut a caller out until it catches up.
  const missingOf = (key: string, now: number): number =>
    Math.min(Math.max((buckets.get(key) ?? now) - now, 0), capacity);
  const moment = () => options.now() * options.perSecond;
  options.shared?.onElsewhere((key, times) => {
    const now = moment();
    buckets.set(key, now + Math.min(missingOf(key, now) + times * tokenParts, capacity));
  });
  return {
    take(key) {
      const now = moment();
      const missing = missingOf(key, now);
      const ok = missing + tokenParts <= capacity;
      // Kept when refused too, so that a storm is not what is forgotten first.
      buckets.set(key, now + missing + (ok ? tokenParts : 0));
      if (ok) options.shared?.happened(key, missing === 0, 1);
      return ok;
    },
  };
}

/** One key per caller: an IPv6 host may call from any address of its /64 (RFC 4291 section 2.5.4). */
export function clientKey(clientAddress: string): string {
  // An IPv4 address has one spelling where it comes from: the system, or a header that was read.
  if (!clientAddress.includes(':')) return clientAddress;
  // A link-local address comes with its zone.
  const parsed = parseAddress(clientAddress.replace(/%.*$/, ''));
  if (parsed === null) return clientAddress;
  const address = unmapped(parsed);
  if (address.family === 4) return address.text;
  return `${formatAddress(6, (address.value >> 64n) << 64n)}/64`;
}
