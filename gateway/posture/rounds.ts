// The rounds of a cache: devices with open tunnels are asked about before their report is too old, and judged again;
// what the sources say has changed is looked through now and then, because events get lost.

import type { Asking, KnownTo, Outcome } from './asking.ts';
import type { Mark } from './source.ts';

export interface Rounds {
  close(): void;
}

/** Calls `run` every `everyMs`, from end to beginning, until it is closed. */
export function createRounds(everyMs: number, run: () => Promise<void>): Rounds {
  let timer: NodeJS.Timeout | null = null;
  const plan = (): void => {
    timer = setTimeout(() => void run().finally(() => timer !== null && plan()), everyMs);
  };
  plan();
  return {
    close() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
  };
}

/** All of them, so many at once. */
export async function eachOf<T>(
  list: Iterable<T>,
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  // All workers share one iterator: it is the queue.
  const queue = [...list].values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

export function chunksOf<T>(list: readonly T[], size: number): readonly (readonly T[])[] {
  const count = Math.ceil(list.length / size);
  return Array.from({ length: count }, (_, i) => list.slice(i * size, (i + 1) * size));
}

/** From 0 to 1, the same for a device every time: reports that came together are not all asked for together again. */
export function spreadOf(deviceId: string): number {
  let hash = 0;
  for (let i = 0; i < deviceId.length; i += 1) hash = (hash * 31 + deviceId.charCodeAt(i)) | 0;
  return (hash >>> 0) / 2 ** 32;
}

export interface SweepOptions {
  readonly asking: Pick<Asking, 'changes'>;
  readonly knownTo: KnownTo;
  /** Whether anything about this device is remembered: what nobody asked for is not kept. */
  readonly isKnown: (deviceId: string) => boolean;
  /** Of a question that begins now: what is learnt later has the last word. */
  readonly nextOrder: () => number;
  readonly learn: (deviceId: string, outcome: Outcome, order: number) => void;
  readonly refresh: (deviceId: string) => Promise<unknown>;
}

const REFRESHES_AT_ONCE = 16;

/** One sweep after another, each from where the last whole one ended. Throws a SourceError when a source cannot tell:
 *  the next one begins where this one did. */
export function createSweep(options: SweepOptions): (signal: AbortSignal) => Promise<void> {
  const { asking, knownTo, isKnown, nextOrder, learn, refresh } = options;
  const marks = new Map<string, Mark>();
  return async (signal) => {
    const order = nextOrder();
    for await (const { source, reports, deviceIds, mark } of asking.changes(
      marks,
      knownTo,
      signal,
    )) {
      for (const report of reports) {
        if (isKnown(report.deviceId)) learn(report.deviceId, { kind: 'answered', report }, order);
      }
      await eachOf(deviceIds.filter(isKnown), REFRESHES_AT_ONCE, async (deviceId) => {
        await refresh(deviceId);
      });
      if (mark !== null) marks.set(source, mark);
    }
  };
}
