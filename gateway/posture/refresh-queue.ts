// Devices whose posture must be asked again: each once, many to a question, until the source has answered.

import type { PostureFacts } from '../decision/posture.ts';

export interface RefreshQueueOptions {
  // One question about all of them. It does not reject; who is missing from the answer is asked about again.
  readonly refresh: (deviceIds: readonly string[]) => Promise<ReadonlyMap<string, PostureFacts>>;
  readonly maxTogether: number; // devices in one question
  readonly maxInFlight: number; // questions
  readonly maxPending: number;
  readonly retryMs: number; // after a first failure; doubled with every further one
  readonly onGivenUp: (deviceId: string) => void;
}

export interface RefreshQueue {
  // False when the queue is full: the sender must be told, since nothing is dropped without a word.
  add(deviceId: string): boolean;
  close(): void;
}

// With a first wait of one second that is about two minutes; re-checks of live tunnels go on after that.
const MAX_ATTEMPTS = 8;

export function createRefreshQueue(options: RefreshQueueOptions): RefreshQueue {
  const pending = new Map<string, number>(); // device → attempts made
  const running = new Set<string>();
  const waiting = new Map<string, NodeJS.Timeout>();
  let inFlight = 0;
  let soon: NodeJS.Immediate | null = null;
  let closed = false;

  // What is named in one turn of the event loop is asked about together.
  function pumpSoon(): void {
    soon ??= setImmediate(() => {
      soon = null;
      pump();
    });
  }

  function pump(): void {
    while (!closed && inFlight < options.maxInFlight) {
      const batch = takeBatch();
      if (batch.size === 0) return;
      inFlight += 1;
      void run(batch);
    }
  }

  /** Devices with the attempts made. What was asked about in vain is asked about alone: it may have been the question
   *  about many that failed. */
  function takeBatch(): ReadonlyMap<string, number> {
    const batch = new Map<string, number>();
    for (const [deviceId, attempts] of pending) {
      if (running.has(deviceId)) continue; // it was named again meanwhile, and has its turn after this one
      if (attempts > 0 && batch.size > 0) break;
      pending.delete(deviceId);
      running.add(deviceId);
      batch.set(deviceId, attempts);
      if (attempts > 0 || batch.size === options.maxTogether) break;
    }
    return batch;
  }

  async function run(batch: ReadonlyMap<string, number>): Promise<void> {
    const found = await options.refresh([...batch.keys()]);
    inFlight -= 1;
    for (const [deviceId, attempts] of batch) {
      running.delete(deviceId);
      const isKnown = found.get(deviceId)?.known === true;
      if (!closed && !isKnown && !pending.has(deviceId)) retryLater(deviceId, attempts + 1);
    }
    pump();
  }

  function retryLater(deviceId: string, attempts: number): void {
    if (attempts >= MAX_ATTEMPTS) {
      options.onGivenUp(deviceId);
      return;
    }
    const again = () => {
      waiting.delete(deviceId);
      pending.set(deviceId, attempts);
      pumpSoon();
    };
    waiting.set(deviceId, setTimeout(again, options.retryMs * 2 ** (attempts - 1)));
  }

  return {
    add(deviceId) {
      const isNew = !pending.has(deviceId) && !waiting.has(deviceId);
      if (isNew && pending.size + waiting.size >= options.maxPending) return false;
      clearTimeout(waiting.get(deviceId));
      waiting.delete(deviceId);
      pending.set(deviceId, 0);
      pumpSoon();
      return true;
    },
    close() {
      closed = true;
      if (soon !== null) clearImmediate(soon);
      for (const timer of waiting.values()) clearTimeout(timer);
      waiting.clear();
      pending.clear();
    },
  };
}
