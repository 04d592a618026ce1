// When to try again what a store that fails has not done: ever later, for as long as it takes.

export interface Retry {
  failed(): void;
  succeeded(): void;
  isWaiting(): boolean;
  close(): void;
}

const firstMs = 250;
const lastMs = 10_000;

export function createRetry(again: () => void): Retry {
  let pauseMs = firstMs;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  return {
    failed() {
      if (closed || timer !== undefined) return;
      timer = setTimeout(() => {
        timer = undefined;
        again();
      }, pauseMs);
      pauseMs = Math.min(2 * pauseMs, lastMs);
    },
    succeeded() {
      clearTimeout(timer);
      timer = undefined;
      pauseMs = firstMs;
    },
    isWaiting: () => timer !== undefined,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
