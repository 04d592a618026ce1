// Owns finding, among all destinations of a rule set, those that have names or addresses in common with one.

import { type AddressRange, compileAddressTable } from '../address.ts';
import { type Candidate, candidatesOf } from '../candidate.ts';
import { compileGlob } from '../glob.ts';
import type { RuleSet } from '../rule.ts';
import { type Box, boxOf } from './box.ts';
import { globsOf } from './names.ts';

/** A destination that decides, with its conditions. */
export interface Claim extends Candidate {
  readonly box: Box;
  readonly globs: readonly string[];
  /** Of the globs the one with a star; no destination has two. */
  readonly wildcard: string | null;
  readonly range: AddressRange | null;
}

export interface Claims {
  readonly all: readonly Claim[];
  /** Every name that some claim writes out. */
  readonly hosts: ReadonlySet<string>;
  /** Of those in order, whose names include this one. */
  naming(host: string): readonly Claim[];
  /** In no order, whose wildcards may have names in common with the glob: all that do, and some that do not. */
  near(glob: string): readonly Claim[];
  /** Those that hold every address of a family. */
  readonly everyAddress: readonly Claim[];
  /** In order, that hold an address of the range. */
  touching(range: AddressRange): readonly Claim[];
}

export function claimsOf(set: RuleSet): readonly Claim[] {
  return candidatesOf(set).map((candidate) => {
    const { rule, destination } = candidate;
    const range = destination.kind === 'addresses' ? destination.range : null;
    const globs = globsOf(destination);
    const wildcard = globs.find((glob) => glob.includes('*')) ?? null;
    return { ...candidate, box: boxOf(rule, destination), globs, wildcard, range };
  });
}

/** What can still decide from now on: rules that are over are gone, and the past of the others is nobody's concern. */
export function claimsAhead(set: RuleSet, now: number): readonly Claim[] {
  return claimsOf(set)
    .filter(({ box }) => box.untilMs > now)
    .map((claim) => ({ ...claim, box: { ...claim.box, fromMs: Math.max(claim.box.fromMs, now) } }));
}

export function indexClaims(all: readonly Claim[]): Claims {
  const hosts = new Map<string, Claim[]>();
  const wildcards: { readonly glob: string; readonly claim: Claim }[] = [];
  for (const claim of all) {
    for (const glob of claim.globs) {
      if (glob.includes('*')) wildcards.push({ glob, claim });
      else hosts.set(glob, [...(hosts.get(glob) ?? []), claim]);
    }
  }
  const tails = indexTails(wildcards);
  const anything = all.filter(({ destination }) => destination.kind === 'any');
  const ranges = all.flatMap((claim) =>
    claim.range === null ? [] : [{ range: claim.range, value: claim }],
  );
  const holding = compileAddressTable(ranges);
  const starts = {
    4: byStart(ranges.filter(({ range }) => range.family === 4)),
    6: byStart(ranges.filter(({ range }) => range.family === 6)),
  };
  const bits = { 4: 32n, 6: 128n };
  return {
    all,
    hosts: new Set(hosts.keys()),
    everyAddress: ranges
      .filter(({ range }) => range.last - range.first === (1n << bits[range.family]) - 1n)
      .map(({ value }) => value),
    naming(host) {
      const matched = tails.around(host).filter(({ matches }) => matches(host));
      return inOrder([...(hosts.get(host) ?? []), ...matched.map(({ claim }) => claim)]);
    },
    near(glob) {
      const [head, tail] = endsOf(glob);
      const meeting = [...tails.endingLike(tail), ...tails.endingIn(tail)].filter(
        (one) => one.head.startsWith(head) || head.startsWith(one.head),
      );
      return [...new Set(meeting.map(({ claim }) => claim))];
    },
    touching(range) {
      const { family, first: value } = range;
      const around = holding.find({ family, value, text: range.text });
      const later = starts[family].between(range.first + 1n, range.last);
      return inOrder([...anything, ...around, ...later]);
    },
  };
}

interface Wildcard {
  readonly head: string;
  readonly tail: string;
  readonly matches: (host: string) => boolean;
  readonly claim: Claim;
}

/** What stands before the first star, and what after the last. */
function endsOf(glob: string): readonly [head: string, tail: string] {
  return [glob.slice(0, glob.indexOf('*')), glob.slice(glob.lastIndexOf('*') + 1)];
}

/** Two globs can meet only if what follows the last star of one is the end of the other's. */
function indexTails(list: readonly { readonly glob: string; readonly claim: Claim }[]) {
  const wildcards = list.map(({ glob, claim }): Wildcard & { readonly reversed: string } => {
    const [head, tail] = endsOf(glob);
    return { head, tail, reversed: reverse(tail), matches: compileGlob(glob), claim };
  });
  const sorted = wildcards.toSorted((a, b) =>
    a.reversed < b.reversed ? -1 : a.reversed > b.reversed ? 1 : 0,
  );
  const byTail = Map.groupBy(wildcards, ({ tail }) => tail);
  const lengths = [...new Set(wildcards.map(({ tail }) => tail.length))];
  // By both ends, because thousands may share one of them; by the tail first, because most names end in none of them.
  const byEnds = new Map(
    [...byTail].map(([tail, list]) => {
      const byHead = Map.groupBy(list, ({ head }) => head);
      return [tail, { byHead, lengths: new Set(Array.from(byHead.keys(), (head) => head.length)) }];
    }),
  );
  return {
    /** Those the name begins and ends like. */
    around(name: string): readonly Wildcard[] {
      const found: Wildcard[] = [];
      for (const length of lengths) {
        const ends = byEnds.get(name.slice(Math.max(0, name.length - length)));
        if (ends === undefined) continue;
        for (const headLength of ends.lengths)
          found.push(...(ends.byHead.get(name.slice(0, headLength)) ?? []));
      }
      return found;
    },
    /** Tails that the text ends in. */
    endingLike: (text: string): readonly Wildcard[] =>
      lengths
        .filter((length) => length <= text.length)
        .flatMap((length) => byTail.get(text.slice(text.length - length)) ?? []),
    /** Tails that end in the text and are longer. */
    endingIn(text: string): readonly Wildcard[] {
      const wanted = reverse(text);
      const first = lowest(sorted, ({ reversed }) => reversed >= wanted);
      const after = lowest(
        sorted,
        ({ reversed }) => reversed > wanted && !reversed.startsWith(wanted),
      );
      return sorted.slice(first, after).filter(({ tail }) => tail.length > text.length);
    },
  };
}

function byStart(ranges: readonly { readonly range: AddressRange; readonly value: Claim }[]) {
  const sorted = ranges.toSorted((a, b) => (a.range.first < b.range.first ? -1 : 1));
  return {
    between(from: bigint, to: bigint): readonly Claim[] {
      const first = lowest(sorted, ({ range }) => range.first >= from);
      const after = lowest(sorted, ({ range }) => range.first > to);
      return sorted.slice(first, after).map(({ value }) => value);
    },
  };
}

/** The lowest index that holds, where all above it hold too. */
export function lowest<T>(sorted: readonly T[], holds: (one: T) => boolean): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    const one = sorted[middle];
    if (one === undefined || holds(one)) to = middle;
    else from = middle + 1;
  }
  return from;
}

function reverse(text: string): string {
  return Array.from(text).reverse().join('');
}

function inOrder(claims: readonly Claim[]): readonly Claim[] {
  return [...new Set(claims)].toSorted((a, b) => a.order - b.order);
}
