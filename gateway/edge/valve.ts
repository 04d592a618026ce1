// Owns whether one direction flows: not while whoever gets its bytes is full, or its device has moved enough for now.

/** Plain data: every tunnel has two, for as long as it lives. */
export interface Valve {
  readonly from: { resume(): unknown };
  /** The other side takes no more for now. */
  full: boolean;
  slowed: NodeJS.Timeout | null;
}

export function createValve(from: Valve['from']): Valve {
  return { from, full: false, slowed: null };
}

/** Whoever reads from it has to stop when it is not. */
export function isOpen({ full, slowed }: Valve): boolean {
  return !full && slowed === null;
}

export function drained(valve: Valve): void {
  if (!valve.full) return;
  valve.full = false;
  if (isOpen(valve)) valve.from.resume();
}

/** Stays closed for so long from now, whatever was said before. */
export function slow(valve: Valve, ms: number): void {
  stop(valve);
  valve.slowed = setTimeout(quicken, ms, valve);
}

export function stop(valve: Valve): void {
  if (valve.slowed !== null) clearTimeout(valve.slowed);
  valve.slowed = null;
}

function quicken(valve: Valve): void {
  valve.slowed = null;
  if (isOpen(valve)) valve.from.resume();
}
