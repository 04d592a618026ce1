// So many at a time, first come first served; who waits may give up.

export interface Slots {
  /** False when `signal` came first: then there is nothing to leave. */
  enter(signal: AbortSignal): Promise<boolean>;
  leave(): void;
}

export function createSlots(count: number): Slots {
  const waiting = new Set<() => void>();
  let free = count;
  return {
    enter(signal) {
      if (signal.aborted) return Promise.resolve(false);
      if (free > 0) {
        free -= 1;
        return Promise.resolve(true);
      }
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const onTurn = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve(true);
      };
      const onAbort = (): void => {
        waiting.delete(onTurn);
        resolve(false);
      };
      waiting.add(onTurn);
      signal.addEventListener('abort', onAbort, { once: true });
      return promise;
    },
    leave() {
      const [next] = waiting;
      if (next === undefined) {
        free += 1;
        return;
      }
      waiting.delete(next);
      next();
    },
  };
}
