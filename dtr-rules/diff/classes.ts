// Owns cutting all names, and all addresses, into classes that two rule sets treat alike: who decides in each, by example.

import { type Address, type AddressRange, formatAddress } from '../address.ts';
import { type Box, type Cell, cellsOf, covers } from '../cover/box.ts';
import type { Claim, Claims } from '../cover/claims.ts';
import { contains } from '../cover/covering.ts';
import { findName } from '../cover/names.ts';
import type { Alignment } from './alignment.ts';

/** Two indexes of claims: the rules before, and the rules after. */
export interface Sides {
  readonly before: Claims;
  readonly after: Claims;
  readonly aligned: Alignment;
  /** The time that counts. */
  readonly box: Box;
  /** Rules that are told one by one. */
  readonly mostListed: number;
}

/** What decides in both; null is the default action. */
export interface Deciders {
  readonly before: Claim | null;
  readonly after: Claim | null;
}

export interface NameClass extends Deciders {
  readonly cell: Cell;
  /** Names that match all of them and nothing that stands earlier; none means names that nothing names. */
  readonly globs: readonly string[];
  /** Null: the search was given up, and whether there are such names is not known. */
  readonly example: string | null;
}

export interface AddressClass extends Deciders {
  readonly cell: Cell;
  readonly first: Address;
  readonly last: Address;
}

/** Only pairs of deciders somebody asks for: all others need no example. */
export type Wanted = (deciders: Deciders) => boolean;

/** What is decided last comes first: names that nothing names. */
export function* nameClasses(sides: Sides, wanted: Wanted): Generator<NameClass> {
  for (const deciders of wildcardPairs(sides))
    if (wanted(deciders)) yield* pairClasses(deciders, sides);
  for (const host of sides.before.hosts.union(sides.after.hosts))
    yield* hostClasses(host, sides, wanted);
}

/** Of the aligned ones only with each other: a name that both of two others take is taken by the first of them, on both
 *  sides. */
function* wildcardPairs({ before, after, aligned }: Sides): Generator<Deciders> {
  yield { before: null, after: null };
  for (const one of before.all.toReversed()) {
    if (one.wildcard === null) continue;
    const same = aligned.get(one);
    const near = same === undefined ? [null, ...after.near(one.wildcard)] : [same];
    for (const other of near) yield { before: one, after: other };
  }
  const still = new Set(aligned.values());
  for (const other of after.all.toReversed()) {
    if (other.wildcard === null || still.has(other)) continue;
    const near = before.near(other.wildcard).filter((one) => aligned.has(one));
    for (const one of [null, ...near]) yield { before: one, after: other };
  }
}

function* hostClasses(host: string, sides: Sides, wanted: Wanted): Generator<NameClass> {
  const [before, after] = [sides.before.naming(host), sides.after.naming(host)];
  const boxes = [...before, ...after].map(({ box }) => box);
  for (const cell of cellsOf(sides.box, boxes)) {
    const deciders = { before: decider(before, cell), after: decider(after, cell) };
    if (wanted(deciders)) yield { ...deciders, cell, globs: [host], example: host };
  }
}

/** Names that no claim writes out: those both wildcards take and none that stands earlier on its side. */
function* pairClasses(deciders: Deciders, sides: Sides): Generator<NameClass> {
  const { before, after } = deciders;
  const within = narrowest(before?.wildcard ?? '*', after?.wildcard ?? '*');
  const nearest = within.reduce((a, b) => (tailLength(a) >= tailLength(b) ? a : b));
  const earlier = [
    ...sides.before.near(nearest).filter(({ order }) => order < (before?.order ?? Infinity)),
    ...sides.after.near(nearest).filter(({ order }) => order < (after?.order ?? Infinity)),
  ];
  const own = [before, after].filter((claim) => claim !== null).map(({ box }) => box);
  const isTaken = (name: string) => sides.before.hosts.has(name) || sides.after.hosts.has(name);
  for (const cell of cellsOf(sides.box, [...own, ...earlier.map(({ box }) => box)])) {
    if (!own.every((box) => covers(box, cell))) continue;
    const standing = earlier.filter(({ box }) => covers(box, cell));
    const without = standing.map(({ wildcard }) => wildcard).filter((one) => one !== null);
    if (without.some((outer) => within.some((inner) => contains(outer, inner)))) continue;
    const found = findName({ within, without, isTaken });
    if (found.kind === 'none') continue;
    const example = found.kind === 'name' ? found.name : null;
    yield { ...deciders, cell, globs: own.length === 0 ? [] : within, example };
  }
}

/** Without those that hold another: they ask nothing more of a name. */
function narrowest(a: string, b: string): readonly string[] {
  if (contains(a, b)) return [b];
  return contains(b, a) ? [a] : [a, b];
}

function tailLength(glob: string): number {
  return glob.length - glob.lastIndexOf('*');
}

/** Addresses as such: what a device asks for by address, or, without wildcards, what a name leads to. */
export function* addressClasses(
  sides: Sides,
  counts: (claim: Claim) => boolean,
): Generator<AddressClass> {
  const touching = (claims: Claims, range: AddressRange) => claims.touching(range).filter(counts);
  for (const { first, last } of spansOf([...sides.before.all, ...sides.after.all])) {
    const range = { family: first.family, first: first.value, last: first.value, text: first.text };
    const [before, after] = [touching(sides.before, range), touching(sides.after, range)];
    const boxes = [...before, ...after].map(({ box }) => box);
    for (const cell of cellsOf(sides.box, boxes))
      yield { before: decider(before, cell), after: decider(after, cell), cell, first, last };
  }
}

function decider(inOrder: readonly Claim[], cell: Cell): Claim | null {
  return inOrder.find(({ box }) => covers(box, cell)) ?? null;
}

/** Between two borders of ranges every address is as good as another. */
function spansOf(claims: readonly Claim[]) {
  const bits = { 4: 32n, 6: 128n } as const;
  return ([4, 6] as const).flatMap((family) => {
    const ranges = claims.flatMap(({ range }) => (range?.family === family ? [range] : []));
    const starts = new Set([0n, ...ranges.flatMap(({ first, last }) => [first, last + 1n])]);
    const end = 1n << bits[family];
    const sorted = [...starts].filter((start) => start < end).toSorted((a, b) => (a < b ? -1 : 1));
    const at = (value: bigint): Address => ({ family, value, text: formatAddress(family, value) });
    return sorted.map((start, i) => ({ first: at(start), last: at((sorted[i + 1] ?? end) - 1n) }));
  });
}
