// Notices that another process has stopped: nothing has been heard of it for so many turns.

export interface Pulse {
  /** It is there. */
  heard(): void;
  close(): void;
}

export interface PulseOptions {
  readonly everyMs: number;
  /** So many turns may go by without a sign. */
  readonly misses: () => number;
  /** Once a turn. */
  readonly beat?: () => void;
  readonly onStopped: () => void;
}

/** Turns are counted, not time: when this process itself, or the whole machine, had stopped, one turn is late and what
 *  the other has said meanwhile is heard before the next. */
export function watchPulse({ everyMs, misses, beat, onStopped }: PulseOptions): Pulse {
  let missed = 0;
  let timer: NodeJS.Timeout;
  const turn = (): void => {
    if (missed >= misses()) {
      onStopped();
      return;
    }
    missed += 1;
    beat?.();
    timer = setTimeout(turn, everyMs).unref();
  };
  turn();
  return {
    heard() {
      missed = 0;
    },
    close: () => clearTimeout(timer),
  };
}
