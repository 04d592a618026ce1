// Owns the timer to the next moment at which a rule begins or ends: open tunnels are judged anew then.

export interface RuleClockOptions {
  /** The next such moment after another one, by the rules in force. */
  readonly next: (now: number) => number | null;
  readonly changed: () => void;
  readonly now: () => number;
  /** Calls back after so long; returns how to call it off. */
  readonly wait?: (ms: number, late: () => void) => () => void;
}

export interface RuleClock {
  /** The rules were replaced. */
  restart(): void;
  close(): void;
}

/** A timer does not see the clock being set, nor the machine asleep. */
const longestMs = 60_000;

export function createRuleClock({
  next,
  changed,
  now,
  wait = waitByTimer,
}: RuleClockOptions): RuleClock {
  let seen = now();
  let callOff = (): void => undefined;
  function look(): void {
    const due = next(seen);
    const at = now();
    seen = at;
    if (due !== null && due <= at) changed();
    const coming = next(at);
    if (coming !== null) callOff = wait(Math.min(coming - at, longestMs), look);
  }
  function restart(): void {
    callOff();
    seen = now();
    look();
  }
  restart();
  return { restart, close: () => callOff() };
}

function waitByTimer(ms: number, late: () => void): () => void {
  const timer = setTimeout(late, ms).unref();
  return () => clearTimeout(timer);
}
