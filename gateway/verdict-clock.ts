// Owns the timers to the moments at which time alone may end what devices are let through for: grace, age, exceptions.

export interface VerdictClockOptions {
  /** These devices have come to their moment. */
  readonly due: (deviceIds: readonly string[]) => void;
  readonly now: () => number;
  /** Calls back after so long; returns how to call it off. */
  readonly wait?: (ms: number, late: () => void) => () => void;
}

export interface VerdictClock {
  /** One moment per device: a later word replaces the earlier. Null: time changes nothing. */
  watch(deviceId: string, moment: number | null): void;
  readonly close: () => void;
}

/** Devices that come due together are told together, this much late at most. */
const slotMs = 200;
/** A timer does not see the clock being set, nor the machine asleep: everybody is due once in so long. */
const longestMs = 60_000;

export function createVerdictClock({
  due,
  now,
  wait = waitByTimer,
}: VerdictClockOptions): VerdictClock {
  const slots = new Map<number, Set<string>>();
  const slotOf = new Map<string, number>();
  let callOff: (() => void) | null = null;
  let waitsFor = Number.POSITIVE_INFINITY;

  function ring(): void {
    callOff = null;
    waitsFor = Number.POSITIVE_INFINITY;
    const at = now();
    const told: string[] = [];
    for (const [slot, deviceIds] of slots) {
      const left = slot * slotMs - at;
      // So far ahead nobody was put: the clock was set back, and no moment is what it was.
      if (left > 0 && left <= longestMs + slotMs) continue;
      slots.delete(slot);
      for (const deviceId of deviceIds) {
        slotOf.delete(deviceId);
        told.push(deviceId);
      }
    }
    if (told.length > 0) due(told);
    sleep();
  }

  /** At most three hundred slots lie ahead. */
  function sleep(): void {
    const next = Math.min(...slots.keys());
    if (next >= waitsFor) return;
    callOff?.();
    waitsFor = next;
    callOff = wait(Math.max(0, next * slotMs - now()), ring);
  }

  function forget(deviceId: string): void {
    const slot = slotOf.get(deviceId);
    if (slot === undefined) return;
    slotOf.delete(deviceId);
    const deviceIds = slots.get(slot);
    deviceIds?.delete(deviceId);
    if (deviceIds?.size === 0) slots.delete(slot);
  }

  return {
    watch(deviceId, moment) {
      forget(deviceId);
      if (moment === null) return;
      const at = now();
      const slot = Math.ceil(Math.min(Math.max(moment, at), at + longestMs) / slotMs);
      const deviceIds = slots.get(slot) ?? new Set();
      slots.set(slot, deviceIds.add(deviceId));
      slotOf.set(deviceId, slot);
      sleep();
    },
    close() {
      callOff?.();
      slots.clear();
      slotOf.clear();
    },
  };
}

function waitByTimer(ms: number, late: () => void): () => void {
  const timer = setTimeout(late, ms).unref();
  return () => clearTimeout(timer);
}
