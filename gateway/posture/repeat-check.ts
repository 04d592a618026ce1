// Which events came before: senders deliver twice, and an old event may be sent again by somebody else.

import { LRUCache } from 'lru-cache';

export interface RepeatCheck {
  // True when this key came before within the window; remembers it. Null is never a repetition.
  isRepeated(key: string | null): boolean;
  forget(key: string | null): void;
}

export interface RepeatWindow {
  readonly windowMs: number;
  // Of more, those not seen for longest are forgotten: a repetition costs one question to the source.
  readonly maxRemembered: number;
}

const WEBHOOK: RepeatWindow = { windowMs: 300_000, maxRemembered: 10_000 };

export function createRepeatCheck(now: () => number, window = WEBHOOK): RepeatCheck {
  const seen = new LRUCache<string, number>({ max: window.maxRemembered });
  return {
    isRepeated(key) {
      if (key === null) return false;
      const before = seen.get(key);
      if (before !== undefined && Math.abs(now() - before) < window.windowMs) return true;
      seen.set(key, now());
      return false;
    },
    forget(key) {
      if (key !== null) seen.delete(key);
    },
  };
}
