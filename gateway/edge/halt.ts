// Says once that something is no longer wanted, and why: an AbortController without an event target, listener
// objects and events. Every tunnel has two, for as long as it lives.

/** What of an AbortSignal is used here; one of those will do. */
export interface HaltSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once: true }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

export class Halt implements HaltSignal {
  aborted = false;
  reason: unknown = undefined;
  #listeners: readonly (() => void)[] = [];

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }
  /** Called back once at most; not at all when it had happened before. */
  addEventListener(_: 'abort', listener: () => void): void {
    if (!this.aborted) this.#listeners = [...this.#listeners, listener];
  }
  removeEventListener(_: 'abort', listener: () => void): void {
    this.#listeners = this.#listeners.filter((each) => each !== listener);
  }
  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    // One may take another off the list.
    for (let next = this.#listeners[0]; next !== undefined; next = this.#listeners[0]) {
      this.#listeners = this.#listeners.slice(1);
      next();
    }
  }
}

/** For what takes a real one only. */
export function signalOf(halt: HaltSignal): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => controller.abort(halt.reason);
  halt.addEventListener('abort', abort, { once: true });
  if (halt.aborted) abort();
  return controller.signal;
}
