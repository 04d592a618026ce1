// Limits password guessing: a bucket of attempts for each user name and for each address, in bounded memory.
import { LRUCache } from 'lru-cache';
import type { Address } from '../../dtr-rules/address.ts';

interface Rate {
  readonly burst: number;
  readonly refillMs: number; // for one more attempt
}

// A whole company may come from one egress address, so an address gets far more attempts than a name.
const PER_USER: Rate = { burst: 10, refillMs: 30_000 };
const PER_ADDRESS: Rate = { burst: 200, refillMs: 200 };
const MAX_BUCKETS = 50_000;

export interface Attempts {
  // Takes an attempt before the password is checked, so that guesses made at once count too; false = no attempts left.
  take(user: string, address: Address | null): boolean;
  giveBack(user: string, address: Address | null): void; // the password was right: it was no guess
}

export function createAttempts(now: () => number): Attempts {
  const users = createBuckets(PER_USER, now);
  const addresses = createBuckets(PER_ADDRESS, now);
  return {
    take(user, address) {
      return addresses.take(keyOf(address)) && users.take(user);
    },
    giveBack(user, address) {
      addresses.giveBack(keyOf(address));
      users.giveBack(user);
    },
  };
}

// One IPv6 subscriber holds a whole /64.
function keyOf(address: Address | null): string {
  if (address === null) return '';
  return address.family === 4 ? address.text : `${address.value >> 64n}/64`;
}

function createBuckets({ burst, refillMs }: Rate, now: () => number) {
  const buckets = new LRUCache<string, { left: number; at: number }>({ max: MAX_BUCKETS });
  const bucketOf = (key: string) => {
    const at = now();
    const bucket = buckets.get(key) ?? { left: burst, at };
    const left = Math.min(burst, bucket.left + (at - bucket.at) / refillMs);
    return { left, at };
  };
  return {
    take(key: string): boolean {
      const { left, at } = bucketOf(key);
      buckets.set(key, { left: left < 1 ? left : left - 1, at });
      return left >= 1;
    },
    giveBack(key: string): void {
      const { left, at } = bucketOf(key);
      buckets.set(key, { left: Math.min(burst, left + 1), at });
    },
  };
}
