// Sums up what report-only rules would have done, line by line of a log of any length, in bounded memory.

/** One rule, as the log tells of it. */
export interface ReportedRule {
  readonly rule: string;
  readonly action: string;
  readonly count: number;
  /** Of them, those that were let through and that the rule would have refused. */
  readonly refusals: number;
  readonly devices: number;
  /** True: there are more devices than are told apart. */
  readonly isMoreDevices: boolean;
  /** The most frequent; a count may be a little too high when there are very many destinations. */
  readonly destinations: readonly { readonly target: string; readonly count: number }[];
  readonly first: string | null;
  readonly last: string | null;
}

export interface Summary {
  readonly lines: number;
  /** Lines that are no JSON object. */
  readonly bad: number;
  readonly decisions: number;
  readonly rules: readonly ReportedRule[];
}

const maxRules = 10_000;
const maxDevices = 10_000;
const maxDestinations = 500;

interface Tally {
  readonly rule: string;
  readonly action: string;
  count: number;
  refusals: number;
  readonly devices: Set<string>;
  isMoreDevices: boolean;
  readonly destinations: Map<string, number>;
  first: string | null;
  last: string | null;
}

export function createSummary() {
  const tallies = new Map<string, Tally>();
  let [lines, bad, decisions] = [0, 0, 0];
  return {
    add(line: string): void {
      if (line.trim() === '') return;
      lines += 1;
      const entry = parseLine(line);
      if (entry === null) bad += 1;
      else if (entry['event.name'] === 'zonegate.admit') {
        decisions += 1;
        for (const one of reportsOf(entry)) count(one, entry, tallies);
      }
    },
    read: (top: number): Summary => ({
      lines,
      bad,
      decisions,
      rules: [...tallies.values()]
        .toSorted((a, b) => b.count - a.count)
        .map((tally) => resultOf(tally, top)),
    }),
  };
}

type Entry = { readonly [key: string]: unknown };

function parseLine(line: string): Entry | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Entry)
      : null;
  } catch {
    // Half a line at the end of a log that is being written, or another program's: counted, not fatal.
    return null;
  }
}

function reportsOf(entry: Entry): readonly { readonly rule: string; readonly action: string }[] {
  const list: unknown = entry['report_only'];
  if (!Array.isArray(list)) return [];
  return list.flatMap((one: unknown) => {
    if (typeof one !== 'object' || one === null || !('rule' in one) || !('action' in one))
      return [];
    return [{ rule: String(one.rule), action: String(one.action) }];
  });
}

function count(
  { rule, action }: { readonly rule: string; readonly action: string },
  entry: Entry,
  tallies: Map<string, Tally>,
): void {
  const key = `${rule} ${action}`;
  const tally = tallies.get(key) ?? newTally(rule, action);
  if (!tallies.has(key) && tallies.size >= maxRules) return;
  tallies.set(key, tally);
  tally.count += 1;
  const isRefusing = action === 'BLOCK' || action === 'BYPASS';
  if (isRefusing && entry['zonegate.action'] === 'tunnel') tally.refusals += 1;
  const device = textOf(entry['device.id']);
  if (device !== null && !tally.devices.has(device)) {
    if (tally.devices.size < maxDevices) tally.devices.add(device);
    else tally.isMoreDevices = true;
  }
  const host = textOf(entry['server.address']);
  if (host !== null)
    countDestination(tally.destinations, `${host}:${textOf(entry['server.port']) ?? '?'}`);
  const time = timeOf(entry['time'] ?? entry['@timestamp']);
  if (time === null) return;
  if (tally.first === null || time < tally.first) tally.first = time;
  if (tally.last === null || time > tally.last) tally.last = time;
}

/** Space-saving (Metwally et al.): when all places are taken the rarest gives way, and its count is inherited, so that a
 *  frequent destination is never lost. */
function countDestination(destinations: Map<string, number>, target: string): void {
  const known = destinations.get(target);
  if (known !== undefined || destinations.size < maxDestinations) {
    destinations.set(target, (known ?? 0) + 1);
    return;
  }
  let [rarest, least] = ['', Infinity];
  for (const [one, times] of destinations) if (times < least) [rarest, least] = [one, times];
  destinations.delete(rarest);
  destinations.set(target, least + 1);
}

function resultOf(tally: Tally, top: number): ReportedRule {
  const { rule, action, devices, isMoreDevices, destinations, first, last } = tally;
  const sorted = [...destinations].toSorted(([, a], [, b]) => b - a).slice(0, top);
  const told = sorted.map(([target, times]) => ({ target, count: times }));
  return {
    rule,
    action,
    count: tally.count,
    refusals: tally.refusals,
    devices: devices.size,
    isMoreDevices,
    destinations: told,
    first,
    last,
  };
}

function newTally(rule: string, action: string): Tally {
  return {
    rule,
    action,
    count: 0,
    refusals: 0,
    devices: new Set(),
    isMoreDevices: false,
    destinations: new Map(),
    first: null,
    last: null,
  };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
}

/** RFC 3339 in UTC, so that the order of texts is the order of time. */
function timeOf(value: unknown): string | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const time = new Date(value);
  return Number.isNaN(time.getTime()) ? null : time.toISOString();
}
