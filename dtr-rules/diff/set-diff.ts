// Owns the differences between two rule sets: every class of connections that another rule decides, with a witness.

import { meet, wholeBox } from '../cover/box.ts';
import { type Claim, claimsAhead, indexClaims } from '../cover/claims.ts';
import type { RuleSet } from '../rule.ts';
import { alignClaims } from './alignment.ts';
import { type Change, type Compare, comparer, type Scope } from './change.ts';
import {
  type AddressClass,
  addressClasses,
  type Deciders,
  nameClasses,
  type Sides,
} from './classes.ts';
import { crosserOf, orderOf } from './crossings.ts';
import { leadingChanges, leadingToTwo } from './leading.ts';

export interface DiffOptions {
  /** Only saves work. */
  readonly align?: typeof alignClaims;
  /** More rules than this in one change of what names lead to are told together: nobody reads a line for each. */
  readonly mostListed?: number;
}

export function diffSets(
  before: RuleSet,
  after: RuleSet,
  now: number,
  { align = alignClaims, mostListed = 10 }: DiffOptions = {},
): readonly Change[] {
  const box = { ...wholeBox, fromMs: now };
  const [one, other] = [decidingClaims(before, now), decidingClaims(after, now)];
  const aligned = align({ set: before, claims: one }, { set: after, claims: other });
  const sides = { before: indexClaims(one), after: indexClaims(other), aligned, box, mostListed };
  const compare = comparer(before, after);
  const asked = [...addressClasses(sides, () => true)];
  const literal = asked.flatMap((one) => compare('addresses', alone(one)));
  const told = Map.groupBy(literal, ({ witness }) => witness?.target.host);
  const led = [...addressClasses(sides, ({ range }) => range !== null)].filter(
    (one) => one.before !== null || one.after !== null,
  );
  return [
    ...namesAndLeading(sides, led, compare),
    ...leadingToTwo(sides, led, compare),
    ...literal,
    ...dialled(sides, told, compare),
  ];
}

function decidingClaims(set: RuleSet, now: number): readonly Claim[] {
  return claimsAhead(set, now).filter(({ rule }) => !rule.reportOnly);
}

/** Names, and names together with where they lead. */
function namesAndLeading(
  sides: Sides,
  led: readonly AddressClass[],
  compare: Compare,
): readonly Change[] {
  const crossesOne = crosserOf(led);
  const names = [
    ...nameClasses(sides, (deciders) => !compare.isSame(deciders) || crossesOne(deciders)),
  ].toSorted(inOrder);
  return [
    ...names.flatMap((name) => compare('names', { ...name, example: { cell: name.cell, name } })),
    ...leadingChanges(names, led, { compare, mostListed: sides.mostListed }),
  ];
}

/** As a reader of both files meets them; where neither names a class, the difference is no number, and they are equal. */
function inOrder(a: Deciders, b: Deciders): number {
  return orderOf(a.before) - orderOf(b.before) || orderOf(a.after) - orderOf(b.after);
}

function alone(one: AddressClass): Scope {
  const { before, after, cell, first, last } = one;
  const leads = [[{ first, last }]];
  return { before, after, cell, leads, example: { cell, addresses: [one] } };
}

/** BLOCK rules for addresses hold wherever they stand, for names that another rule lets pass. */
function dialled(
  sides: Sides,
  told: ReadonlyMap<string | undefined, readonly Change[]>,
  compare: Compare,
): readonly Change[] {
  const isBlock = ({ rule, range }: Claim) => rule.action === 'BLOCK' && range !== null;
  return [...addressClasses(sides, isBlock)].flatMap((one) => {
    if ((one.before === null) === (one.after === null)) return [];
    const isTold = told.get(one.first.text)?.some(({ cell }) => meet(cell, one.cell) !== null);
    return isTold === true ? [] : compare('dialled', alone(one));
  });
}
