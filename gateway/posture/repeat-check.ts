// Which events came before: senders deliver twice, and an old event may be sent again by somebody else.

import { LRUCache } from 'lru-cache';

export interface RepeatCheck {
  // True when this key came before within the window; remembers it. Null is never a repetition.
  isRepeated(key: string | null): boolean;
  forget(key: string | null): void;
}

const WINDOW_MS = 300_000;
const MAX_REMEMBERED = 10_000;

export function createRepeatCheck(now: () => number): RepeatCheck {
  const seen = new LRUCache<string, number>({ max: MAX_REMEMBERED });
  return {
    isRepeated(key) {
      if (key === null) return false;
      const before = seen.get(key);
      if (before !== undefined && Math.abs(now() - before) < WINDOW_MS) return true;
      seen.set(key, now());
      return false;
    },
    forget(key) {
      if (key !== null) seen.delete(key);
    },
  };
}
