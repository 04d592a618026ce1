// Owns the tables of a PAC file: every destination where one look-up finds it, and the first one that fits decides.

import type { Destination, PortRange } from '../rule.ts';
import type { Way } from './profile.ts';

/** A place in the order, and the ports it is for: an index into `ports`, -1 is every port. */
type Entry = readonly [turn: number, ports: number];

/** Short keys, because every device fetches this. An entry is written as its turn, or as `[turn, ports, turn, ports …]`. */
export interface PacTables {
  /** The way of each turn; the last is that of the default action. */
  readonly ways: readonly Way[];
  /** Each `[first, last, first, last …]`. */
  readonly ports: readonly (readonly number[])[];
  /** `=name`, `*ending` and `beginning*`. */
  readonly names: Readonly<Record<string, Written>>;
  /** Lengths of endings and of beginnings that occur. */
  readonly endings: readonly number[];
  readonly beginnings: readonly number[];
  /** Other patterns: the pieces between their stars. */
  readonly patterns: readonly (readonly [Written, readonly string[]])[];
  readonly any: Written;
  /** From which address on which entries hold, in hexadecimal digits that sort like the addresses. */
  readonly four: readonly (readonly [string, Written])[];
  readonly six: readonly (readonly [string, Written])[];
}

type Written = number | readonly number[];

interface Line {
  readonly destination: Destination;
  readonly way: Way;
}

interface Turn {
  readonly destination: Destination;
  readonly entry: Entry;
}

export function pacTables(lines: readonly Line[], otherwise: Way): PacTables {
  const { turns, ways, ports } = takeTurns(lines, otherwise);
  const names = new Map<string, Entry[]>();
  const patterns = new Map<string, Entry[]>();
  const any: Entry[] = [];
  for (const { destination, entry } of turns) {
    if (destination.kind === 'any') any.push(entry);
    for (const key of keysOf(destination)) add(names, key, entry);
    if (destination.kind === 'pattern' && isTried(destination.pattern))
      add(patterns, destination.pattern, entry);
  }
  const lengths = (isOne: (key: string) => boolean) =>
    [...new Set([...names.keys()].filter(isOne).map((key) => key.length - 1))].sort(
      (a, b) => a - b,
    );
  return {
    ways: [...ways, otherwise],
    ports,
    names: Object.fromEntries([...names].map(([key, entries]) => [key, written(entries)])),
    endings: lengths((key) => key.startsWith('*')),
    beginnings: lengths((key) => key.endsWith('*')),
    patterns: [...patterns].map(([pattern, entries]) => [written(entries), pattern.split('*')]),
    any: written(any),
    four: segments(turns, 4),
    six: segments(turns, 6),
  };
}

/** Neighbours that go the same way share a turn: which of them matches makes no difference. */
function takeTurns(lines: readonly Line[], otherwise: Way) {
  const last = lines.findLastIndex(({ way }) => way !== otherwise);
  const ways: Way[] = [];
  const ports = new Map<string, number>();
  const turns = lines.slice(0, last + 1).map(({ destination, way }): Turn => {
    if (ways.at(-1) !== way) ways.push(way);
    return { destination, entry: [ways.length - 1, portsIndex(destination.ports, ports)] };
  });
  const written = [...ports.keys()].map((text) => JSON.parse(text) as readonly number[]);
  return { turns, ways, ports: written };
}

function portsIndex(ranges: readonly PortRange[] | null, known: Map<string, number>): number {
  if (ranges === null) return -1;
  const text = JSON.stringify(ranges.flatMap(({ first, last }) => [first, last]));
  const index = known.get(text) ?? known.size;
  known.set(text, index);
  return index;
}

function keysOf(destination: Destination): readonly string[] {
  switch (destination.kind) {
    case 'host':
      return [`=${destination.host}`];
    case 'subdomains': {
      const below = `*.${destination.suffix}`;
      return destination.apex ? [`=${destination.suffix}`, below] : [below];
    }
    case 'pattern':
      return isTried(destination.pattern) ? [] : [destination.pattern];
    case 'any':
    case 'addresses':
      return [];
  }
}

/** One star at the begin or the end is found in the table; anything else has to be tried. */
function isTried(pattern: string): boolean {
  return !/^(?:\*[^*]+|[^*]+\*)$/.test(pattern);
}

function add(map: Map<string, Entry[]>, key: string, entry: Entry): void {
  const present = map.get(key);
  if (present === undefined) map.set(key, [entry]);
  else present.push(entry);
}

/** In order, without what can never be the first to fit. */
function written(entries: readonly Entry[]): Written {
  const kept: Entry[] = [];
  for (const [turn, ports] of entries.toSorted(([a], [b]) => a - b)) {
    if (kept.some(([, other]) => other === ports || other === -1)) continue;
    kept.push([turn, ports]);
  }
  const [only] = kept;
  return kept.length === 1 && only?.[1] === -1 ? only[0] : kept.flat();
}

/** The addresses of one family, cut where any range begins or ends. */
function segments(turns: readonly Turn[], family: 4 | 6): readonly (readonly [string, Written])[] {
  const ranges = turns.flatMap(({ destination, entry }) =>
    destination.kind === 'addresses' && destination.range.family === family
      ? [{ range: destination.range, entry }]
      : [],
  );
  const edges = ranges.flatMap(({ range: { first, last }, entry }) => [
    { at: first, entry, opens: true },
    { at: last + 1n, entry, opens: false },
  ]);
  edges.sort((a, b) => (a.at < b.at ? -1 : Number(a.at > b.at)));
  const open = new Map<Entry, true>();
  const cut = new Map<string, Written>();
  for (const { at, entry, opens } of edges) {
    if (opens) open.set(entry, true);
    else open.delete(entry);
    if (at <= highest[family]) cut.set(hex(at, family), written([...open.keys()]));
  }
  return [...cut];
}

const highest = { 4: (1n << 32n) - 1n, 6: (1n << 128n) - 1n } as const;

function hex(value: bigint, family: 4 | 6): string {
  return value.toString(16).padStart(family === 4 ? 8 : 32, '0');
}
