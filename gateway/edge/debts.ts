// Owns who has moved more bytes than there was room for, and until when: nobody else is remembered.

export interface Debts {
  /** Adds to what the key owes; how many milliseconds it takes until all of it is paid. */
  add(key: string, costMs: number): number;
  isPaid(key: string): boolean;
  /** How many owe something; those that have paid a moment ago are among them. */
  count(): number;
}

/** Going through all of them costs 10 ns each. */
const sweepMs = 20;

export function createDebts(now: () => number): Debts {
  /** A token bucket is one number: when it will be full again. A full one is like one never seen. */
  const fullAt = new Map<string, number>();
  let sweepAt = 0;
  return {
    add(key, costMs) {
      const at = now();
      if (at >= sweepAt) {
        sweepAt = at + sweepMs;
        for (const [one, full] of fullAt) if (full + sweepMs <= at) fullAt.delete(one);
      }
      const full = Math.max(fullAt.get(key) ?? 0, at) + costMs;
      fullAt.set(key, full);
      return full - at;
    },
    isPaid: (key) => (fullAt.get(key) ?? 0) <= now(),
    count: () => fullAt.size,
  };
}
