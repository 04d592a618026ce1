// Owns how many bytes a second devices may move: says how long their tunnels have to wait, and never refuses.

import { createDebts } from './debts.ts';
import { type Elsewhere, nowhere } from './elsewhere.ts';

export type Direction = 'sent' | 'received';

/** Whose bytes a limit counts together. */
export const paceScopes = ['device', 'user', 'all'] as const;
export type PaceScope = (typeof paceScopes)[number];

/** Bytes a second, for each direction by itself; null is no limit. */
export type ByteRates = Readonly<Record<PaceScope, number | null>>;

/** Of one tunnel, as part of everything its device, its user and all devices move. */
export interface Pace {
  /** Counts what has moved. So many milliseconds nothing more may; 0 while there is no need to wait. */
  spend(direction: Direction, bytes: number): number;
}

export interface Paces {
  /** Null while nothing is limited: then it costs nothing either. */
  of(deviceId: string, user: string | null): Pace | null;
}

export interface PaceOptions {
  /** As much may move at once after a quiet time. */
  readonly bytesPerSecond: () => ByteRates;
  /** Milliseconds; setting the clock must not stop anybody. */
  readonly now: () => number;
  readonly onSlowed: (direction: Direction, by: PaceScope, waitMs: number) => void;
  /** Where other processes move bytes under the same limits. */
  readonly elsewhere?: Elsewhere;
}

const burstMs = 1000;

export function createPaces(options: PaceOptions): Paces {
  const { bytesPerSecond, onSlowed } = options;
  const limits = { sent: limitsOf('sent', options), received: limitsOf('received', options) };
  return {
    of(deviceId, user) {
      const rates = bytesPerSecond();
      if (rates.device === null && rates.all === null && (rates.user === null || user === null)) {
        return null;
      }
      return {
        spend(direction, bytes) {
          const { device, ofUser, all } = limits[direction];
          const waits = [
            ['device', device(deviceId, bytes)],
            ['user', user === null ? 0 : ofUser(user, bytes)],
            ['all', all(deviceId, bytes)],
          ] as const;
          const [by, waitMs] = waits.reduce((one, other) => (other[1] > one[1] ? other : one));
          if (waitMs > 0) onSlowed(direction, by, waitMs);
          return waitMs;
        },
      };
    },
  };
}

/** How long whoever has moved so many bytes has to wait. */
type Limit = (key: string, bytes: number) => number;

function limitsOf(direction: Direction, options: PaceOptions) {
  return {
    device: ownLimit(createBuckets('device', direction, options)),
    ofUser: ownLimit(createBuckets('user', direction, options)),
    all: commonLimit(createBuckets('all', direction, options), options),
  };
}

function ownLimit(buckets: Buckets): Limit {
  return (key, bytes) => Math.max(0, buckets.spend(key, bytes).fullMs - burstMs);
}

/** A queue of all tunnels would be fair to tunnels, and a device has as many of them as it likes. So, while
 *  there is too little for all, each device that has to wait gets an equal part; what they leave of their
 *  parts makes that time shorter. */
function commonLimit(bucket: Buckets, { now, elsewhere = nowhere }: PaceOptions): Limit {
  const parts = createDebts(now);
  return (deviceId, bytes) => {
    const { costMs, fullMs } = bucket.spend('', bytes);
    if (fullMs <= burstMs) return 0;
    // It is one of them from here on.
    parts.add(deviceId, 0);
    return parts.add(deviceId, costMs * parts.count() * elsewhere.processes());
  };
}

/** Of one chunk: how long a bucket takes to refill what it took, and until it is full again. */
interface Spent {
  readonly costMs: number;
  readonly fullMs: number;
}

interface Buckets {
  /** Into debt: a chunk that has been read is carried, and whoever comes next waits longer. */
  spend(key: string, bytes: number): Spent;
}

function createBuckets(scope: PaceScope, direction: Direction, options: PaceOptions): Buckets {
  const { bytesPerSecond, now, elsewhere = nowhere } = options;
  const debts = createDebts(now);
  const perSecond = () => bytesPerSecond()[scope];
  const shared = elsewhere.rate(`bytes ${scope} ${direction}`, () => perSecond() ?? 0);
  function take(key: string, bytes: number): Spent {
    const rate = perSecond();
    if (rate === null) return { costMs: 0, fullMs: 0 };
    const costMs = (bytes * 1000) / rate;
    return { costMs, fullMs: debts.add(key, costMs) };
  }
  shared.onElsewhere(take);
  return {
    spend(key, bytes) {
      if (perSecond() !== null) shared.happened(key, debts.isPaid(key), bytes);
      return take(key, bytes);
    },
  };
}
