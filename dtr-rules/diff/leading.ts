// Owns changes for names by where they lead: one side decides by the name, or by one address, and the other by another.

import { type Cell, meet } from '../cover/box.ts';
import type { Claim } from '../cover/claims.ts';
import type { Change, Compare, Span } from './change.ts';
import { type AddressClass, type NameClass, nameClasses, type Sides } from './classes.ts';
import { type Crossing, crossingsOf, groupsOf, orderOf } from './crossings.ts';

interface Telling {
  readonly compare: Compare;
  readonly mostListed: number;
}

/** One side decides by the name, and the other by the address it leads to. */
export function leadingChanges(
  names: readonly NameClass[],
  led: readonly AddressClass[],
  telling: Telling,
): readonly Change[] {
  const named = (side: 'before' | 'after') =>
    groupsOf(
      names.filter((one) => !takesLiterals(one[side])),
      side,
    );
  const limits = { ...telling, holds: noticed(telling.compare) };
  const nameFirst = crossingsOf(named('before'), groupsOf(led, 'after'), limits);
  const addressFirst = crossingsOf(groupsOf(led, 'before'), named('after'), limits);
  return [
    ...nameFirst.flatMap((one) =>
      changesOf({ ...one, names: one.befores, addresses: one.afters, many: 'after' }, telling),
    ),
    ...addressFirst.flatMap((one) =>
      changesOf({ ...one, names: one.afters, addresses: one.befores, many: 'before' }, telling),
    ),
  ];
}

/** What takes addresses asked for as such, too: there it is told already. */
function takesLiterals(claim: Claim | null): boolean {
  return claim?.destination.kind === 'any';
}

function noticed(compare: Compare) {
  return (before: { readonly claim: Claim }, after: { readonly claim: Claim }): boolean =>
    !compare.isSame({ before: before.claim, after: after.claim });
}

interface Leading extends Crossing<unknown, unknown> {
  readonly names: readonly NameClass[];
  readonly addresses: readonly AddressClass[];
  /** The side on which the address decides. */
  readonly many: 'before' | 'after';
}

function changesOf(crossing: Leading, { compare, mostListed }: Telling): readonly Change[] {
  const { names, addresses, manyOn, many, shared } = crossing;
  const leads = [manyOn === many ? null : runsOf(addresses)];
  const isListed = (manyOn === null || manyOn === many) && names.length <= mostListed;
  const certainFirst = names.toSorted((a, b) => isUnsure(a) - isUnsure(b));
  return (isListed ? names : certainFirst.slice(0, 1)).flatMap((name) => {
    const globs = isListed ? name.globs : [];
    const example = { cell: shared, name, addresses: addresses.slice(0, 1) };
    return compare('leading', { ...decidersOf(crossing), globs, leads, example });
  });
}

function isUnsure({ example }: NameClass): number {
  return Number(example === null);
}

function decidersOf({ before, after, cell, manyOn }: Crossing<unknown, unknown>) {
  return { before: before.claim, after: after.claim, cell, manyOn };
}

/** A name may lead to two addresses: one side decides by the one, and the other by the other. */
export function leadingToTwo(
  sides: Sides,
  led: readonly AddressClass[],
  compare: Compare,
): readonly Change[] {
  const isNoticed = noticed(compare);
  const freeName = freeNames(sides);
  const crossings = crossingsOf(groupsOf(led, 'before'), groupsOf(led, 'after'), {
    mostListed: sides.mostListed,
    holds: (before, after, cell) =>
      isNoticed(before, after) && freeName(before.order, after.order, cell).length > 0,
  });
  return crossings.flatMap((crossing) => {
    const { before, after, befores, afters, manyOn, shared } = crossing;
    const leads = [
      manyOn === 'before' ? null : runsOf(befores),
      manyOn === 'after' ? null : runsOf(afters),
    ];
    const addresses = [...befores.slice(0, 1), ...afters.slice(0, 1)];
    return freeName(before.order, after.order, shared).flatMap((name) => {
      const example = { cell: name.cell, name, addresses };
      return compare('leading', {
        ...decidersOf(crossing),
        globs: name.globs,
        leads,
        example,
      });
    });
  });
}

/** A class of names that addresses decide, because what names them stands later on both sides; or none. */
function freeNames(sides: Sides) {
  const names = remembered(nameClasses(sides, () => true));
  // Where no name stands later than these, none stands later than what is later still.
  const without: { readonly before: number; readonly after: number }[] = [];
  return (before: number, after: number, shared: Cell): readonly NameClass[] => {
    if (without.some((one) => one.before <= before && one.after <= after)) return [];
    let perhaps: readonly NameClass[] = [];
    let isAny = false;
    for (const name of names()) {
      if (orderOf(name.before) <= before || orderOf(name.after) <= after) continue;
      isAny = true;
      const cell = meet(name.cell, shared);
      if (cell === null) continue;
      if (name.example !== null) return [{ ...name, cell }];
      if (perhaps.length === 0) perhaps = [{ ...name, cell }];
    }
    if (!isAny) without.push({ before, after });
    return perhaps;
  };
}

/** What a generator gave once, it gives again, and goes on only where nobody has been. */
function remembered<T>(source: Iterator<T>): () => Generator<T> {
  const known: T[] = [];
  const learn = (): boolean => {
    const next = source.next();
    if (next.done !== true) known.push(next.value);
    return next.done !== true;
  };
  return function* () {
    for (let i = 0; i < known.length || learn(); i++) yield* known.slice(i, i + 1);
  };
}

/** Neighbours are one; the classes are in order. */
function runsOf(addresses: readonly AddressClass[]): readonly Span[] {
  const runs: Span[] = [];
  for (const { first, last } of addresses) {
    const run = runs.at(-1);
    const isNext = run?.last.family === first.family && run.last.value + 1n === first.value;
    if (run !== undefined && isNext) runs[runs.length - 1] = { first: run.first, last };
    else runs.push({ first, last });
  }
  return runs;
}
