// Finds every zone entry that holds an address: all zones in one table, cut at every boundary and searched in halves.
import type { Address, AddressRange } from '../../dtr-rules/address.ts';

/** One address, block or range of a zone, and where it was written: an item of a list and a row of its text. */
export interface Entry {
  readonly range: AddressRange;
  readonly item: number | null; // null: the whole list is one text, or it comes from a feed
  readonly row: number; // 0 where the text has one row only
}

export interface Hit {
  readonly zone: number;
  readonly role: 'gateway' | 'proxy';
  readonly entry: Entry;
}

export interface ZoneTable {
  /** Of each zone and role the first entry as written. */
  find(address: Address): readonly Hit[];
}

const NONE: readonly Hit[] = [];

export function compileZoneTable(hits: readonly Hit[]): ZoneTable {
  const of = (family: 4 | 6) => hits.filter(({ entry }) => entry.range.family === family);
  const tables = { 4: compileFamily(of(4), 0n), 6: compileFamily(of(6), 76n) };
  return { find: ({ family, value }) => tables[family](value) };
}

// The high bits, as many as a number holds, order almost all addresses; the whole is compared where they are the same.
function compileFamily(hits: readonly Hit[], lowBits: bigint): (value: bigint) => readonly Hit[] {
  const { starts, held } = cut(hits);
  const high = new Float64Array(starts.map((start) => Number(start >> lowBits)));
  return (value) => {
    const highValue = Number(value >> lowBits);
    let [low, up] = [0, starts.length];
    while (low < up) {
      const middle = (low + up) >>> 1;
      const there = Number(high[middle]);
      const isAfter = there === highValue ? isPast(value, starts[middle]) : there > highValue;
      if (isAfter) up = middle;
      else low = middle + 1;
    }
    return held[low - 1] ?? NONE;
  };
}

function isPast(value: bigint, start = 0n): boolean {
  return start > value;
}

interface Pieces {
  readonly starts: readonly bigint[];
  readonly held: readonly (readonly Hit[])[]; // from this start to the next
}

interface Written {
  readonly index: number;
  readonly hit: Hit;
}

function cut(hits: readonly Hit[]): Pieces {
  const events = hits.flatMap((hit, index) => [
    { at: hit.entry.range.first, written: { index, hit }, isStart: true },
    { at: hit.entry.range.last + 1n, written: { index, hit }, isStart: false },
  ]);
  events.sort((a, b) => (a.at < b.at ? -1 : Number(a.at > b.at)));
  const active: Active = new Map();
  const starts: bigint[] = [];
  const held: (readonly Hit[])[] = [];
  for (const [place, { at, written, isStart }] of events.entries()) {
    if (isStart) begin(active, written);
    else end(active, written);
    if (events[place + 1]?.at === at) continue;
    const first = [...active.values()].flatMap((list) => list.slice(0, 1));
    starts.push(at);
    held.push(first.sort((a, b) => a.index - b.index).map(({ hit }) => hit));
  }
  return { starts, held };
}

// Of each zone and role the entries that hold the piece, as written: thousands of blocks inside one another are then
// no more work than as many side by side.
type Active = Map<string, Written[]>;

function keyOf({ hit: { zone, role } }: Written): string {
  return `${zone} ${role}`;
}

function begin(active: Active, written: Written): void {
  const list = active.get(keyOf(written)) ?? [];
  const after = list.findIndex(({ index }) => index > written.index);
  list.splice(after === -1 ? list.length : after, 0, written);
  active.set(keyOf(written), list);
}

function end(active: Active, written: Written): void {
  const rest = without(written, active.get(keyOf(written)));
  if (rest.length === 0) active.delete(keyOf(written));
  else active.set(keyOf(written), rest);
}

function without(written: Written, list: readonly Written[] = []): Written[] {
  return list.filter(({ index }) => index !== written.index);
}
