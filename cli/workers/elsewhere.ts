// A worker's side of limits that hold for all workers together: it tells what is worth knowing, and keeps what it is told.

import { LRUCache } from 'lru-cache';
import type { Elsewhere, SharedCount, SharedRate } from '../../gateway/edge/elsewhere.ts';

/** The limit's name, the key, how many. */
export type Row = readonly [name: string, key: string, many: number];

export interface Usage {
  /** Here now, or elsewhere now: replaces what was told before. */
  readonly counts: readonly Row[];
  /** Since the last time. */
  readonly happened: readonly Row[];
}

export interface WorkerElsewhere extends Elsewhere {
  hear(usage: Usage): void;
}

export interface WorkerElsewhereOptions {
  readonly workers: () => number;
  readonly tell: (usage: Usage) => void;
}

/** Nobody is told of less than this part of what a worker may fill at once: nearly no device ever has that much, so
 *  nearly nothing is told. It is also how far beyond a limit all workers together can get. */
const partUntold = 8;
const maxKeys = 100_000;

export function createElsewhere({ workers, tell }: WorkerElsewhereOptions): WorkerElsewhere {
  const counts = new Map<string, ReturnType<typeof createCount>>();
  const rates = new Map<string, ReturnType<typeof createRate>>();
  let unsent: { counts: Row[]; happened: Row[] } = { counts: [], happened: [] };
  let isArranged = false;

  /** The others may know so much less than what is true. */
  const slack = (limit: number): number =>
    Math.max(1, Math.floor(limit / (partUntold * workers())));
  function send(): void {
    isArranged = false;
    const usage = unsent;
    unsent = { counts: [], happened: [] };
    tell(usage);
  }
  /** One message for all that happens in one turn. */
  function add(kind: keyof Usage, row: Row): void {
    unsent[kind].push(row);
    if (isArranged) return;
    isArranged = true;
    setImmediate(send);
  }
  function ofName<T>(all: Map<string, T>, name: string, make: () => T): T {
    const found = all.get(name) ?? make();
    all.set(name, found);
    return found;
  }

  const count = (name: string) =>
    ofName(counts, name, () => createCount(slack, (...row) => add('counts', [name, ...row])));

  return {
    count,
    rate(name, burst) {
      const tellOthers: Tell = (...row) => add('happened', [name, ...row]);
      return ofName(rates, name, () => createRate(() => slack(burst()), tellOthers));
    },
    processes: workers,
    hear(usage) {
      // Perhaps before anybody here counts.
      for (const [name, key, many] of usage.counts) count(name).hear(key, many);
      for (const [name, key, times] of usage.happened) rates.get(name)?.hear(key, times);
    },
  };
}

type Tell = (key: string, many: number) => void;

function createCount(slack: (limit: number) => number, tell: Tell) {
  const told = new Map<string, number>();
  const elsewhere = new Map<string, number>();
  const keep = (map: Map<string, number>, key: string, count: number): void => {
    if (count === 0) map.delete(key);
    else map.set(key, count);
  };
  return {
    elsewhere: (key) => elsewhere.get(key) ?? 0,
    now(key, count, limit) {
      const known = told.get(key) ?? 0;
      if (count === known || (count > 0 && Math.abs(count - known) < slack(limit))) return;
      keep(told, key, count);
      tell(key, count);
    },
    hear: (key, count) => keep(elsewhere, key, count),
  } satisfies SharedCount & { hear: Tell };
}

function createRate(slack: () => number, tell: Tell) {
  const untold = new LRUCache<string, number>({ max: maxKeys });
  let listener: Tell = () => undefined;
  return {
    happened(key, isFirst, more) {
      const times = isFirst ? more : (untold.get(key) ?? 0) + more;
      if (times < slack()) {
        untold.set(key, times);
        return;
      }
      untold.delete(key);
      tell(key, times);
    },
    onElsewhere(added) {
      listener = added;
    },
    hear: (key, times) => listener(key, times),
  } satisfies SharedRate & { hear: Tell };
}
