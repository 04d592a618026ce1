// Devices whose posture must be asked again: each once, a few at a time, until the source has answered.

import type { PostureFacts } from '../decision/posture.ts';

export interface RefreshQueueOptions {
  readonly refresh: (deviceId: string) => Promise<PostureFacts>;
  readonly maxInFlight: number;
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
  let closed = false;

  function pump(): void {
    for (const [deviceId, attempts] of pending) {
      if (closed || running.size >= options.maxInFlight) return;
      if (running.has(deviceId)) continue; // it was named again meanwhile, and has its turn after this one
      pending.delete(deviceId);
      running.add(deviceId);
      void run(deviceId, attempts + 1);
    }
  }

  async function run(deviceId: string, attempt: number): Promise<void> {
    const { known } = await options.refresh(deviceId);
    running.delete(deviceId);
    if (closed) return;
    if (!known && !pending.has(deviceId)) retryLater(deviceId, attempt);
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
      pump();
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
      pump();
      return true;
    },
    close() {
      closed = true;
      for (const timer of waiting.values()) clearTimeout(timer);
      waiting.clear();
      pending.clear();
    },
  };
}
