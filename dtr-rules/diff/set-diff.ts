// Owns the differences between two rule sets: every class of connections that another rule decides, with a witness.

import type { Address } from '../address.ts';
import { type Cell, meet, wholeBox } from '../cover/box.ts';
import { type Claim, claimsAhead, indexClaims } from '../cover/claims.ts';
import type { RuleSet, Target } from '../rule.ts';
import { alignClaims } from './alignment.ts';
import {
  type AddressClass,
  addressClasses,
  type Deciders,
  type NameClass,
  nameClasses,
  type Sides,
} from './classes.ts';
import { keyOf, type Outcome, outcomeOf } from './outcome.ts';

/** A connection that is decided differently. */
export interface Witness {
  readonly target: Target;
  /** What the name resolves to; for an address asked for as such, null. */
  readonly addresses: readonly Address[] | null;
  readonly app: string | null;
  readonly now: number;
}

export interface Change {
  /** `names`: host names; `addresses`: asked for as such, and names that lead there where no rule names them; `leading`:
   *  names that lead to the addresses; `dialled`: whether names that a rule lets pass may lead to the addresses at all. */
  readonly kind: 'names' | 'addresses' | 'leading' | 'dialled';
  /** All of them match; none: every name that no rule names. */
  readonly globs: readonly string[];
  readonly spans: readonly { readonly first: Address; readonly last: Address }[];
  readonly cell: Cell;
  readonly before: Outcome;
  readonly after: Outcome;
  /** Null: the wildcards cross in too many ways to find a name, or to know that there is none. */
  readonly witness: Witness | null;
}

/** `align` only saves work. */
export function diffSets(
  before: RuleSet,
  after: RuleSet,
  now: number,
  align = alignClaims,
): readonly Change[] {
  const box = { ...wholeBox, fromMs: now };
  const [one, other] = [decidingClaims(before, now), decidingClaims(after, now)];
  const aligned = align({ set: before, claims: one }, { set: after, claims: other });
  const sides = { before: indexClaims(one), after: indexClaims(other), aligned, box };
  const compare = comparer(before, after);
  const asked = [...addressClasses(sides, () => true)];
  const literal = asked.flatMap((one) => compare(one, 'addresses', { spans: [one] }));
  const told = Map.groupBy(literal, ({ spans }) => spans[0]?.first.text);
  const led = [...addressClasses(sides, ({ range }) => range !== null)].filter(
    (one) => one.before !== null || one.after !== null,
  );
  const leading = [...namesAndLeading(sides, led, compare), ...leadingToTwo(sides, led, compare)];
  return [
    ...leading.filter(
      (change) =>
        !change.spans.some(({ first }) =>
          told.get(first.text)?.some((other) => tells(other, change)),
        ),
    ),
    ...literal,
    ...dialled(sides, told, compare),
  ];
}

function decidingClaims(set: RuleSet, now: number): readonly Claim[] {
  return claimsAhead(set, now).filter(({ rule }) => !rule.reportOnly);
}

/** A change of addresses speaks for the names that lead there, too. */
function tells(literal: Change, { kind, cell, before, after }: Change): boolean {
  return (
    kind === 'leading' &&
    keyOf(literal.before) === keyOf(before) &&
    keyOf(literal.after) === keyOf(after) &&
    isInside(cell, literal.cell)
  );
}

function isInside(inner: Cell, outer: Cell): boolean {
  const both = meet(inner, outer);
  return (
    both !== null &&
    both.first === inner.first &&
    both.last === inner.last &&
    both.fromMs === inner.fromMs &&
    both.untilMs === inner.untilMs
  );
}

type Compare = ReturnType<typeof comparer>;

interface Scope {
  readonly name?: NameClass;
  readonly spans?: readonly AddressClass[];
}

/** The change between two deciders, or nothing if nobody would notice. */
function comparer(before: RuleSet, after: RuleSet) {
  const isSame = (deciders: Deciders) =>
    keyOf(outcomeOf(deciders.before, before)) === keyOf(outcomeOf(deciders.after, after));
  const compare = (
    deciders: Deciders & { readonly cell: Cell },
    kind: Change['kind'],
    scope: Scope,
  ): readonly Change[] => {
    if (isSame(deciders)) return [];
    const { cell } = deciders;
    const { name, spans = [] } = scope;
    return [
      {
        kind,
        globs: name?.globs ?? [],
        spans: spans.map(({ first, last }) => ({ first, last })),
        cell,
        before: outcomeOf(deciders.before, before),
        after: outcomeOf(deciders.after, after),
        witness: witnessOf(kind, cell, scope),
      },
    ];
  };
  return Object.assign(compare, { isSame });
}

function witnessOf(kind: Change['kind'], cell: Cell, { name, spans = [] }: Scope): Witness | null {
  const { first, last, app, fromMs } = cell;
  const port = first <= 443 && 443 <= last ? 443 : first;
  const addresses = spans.map(({ first }) => first);
  const [address] = addresses;
  const given = { app, now: fromMs };
  if (kind === 'addresses' && address !== undefined) {
    return { target: { host: address.text, address, port }, addresses: null, ...given };
  }
  const host = name === undefined ? 'www.example' : name.example;
  if (host === null) return null;
  return { target: { host, address: null, port }, addresses, ...given };
}

/** Names, and names together with where they lead: one side may decide by the name, and the other by the address. Where
 *  both are decided as before, their order is as before. */
function namesAndLeading(
  sides: Sides,
  led: readonly AddressClass[],
  compare: Compare,
): readonly Change[] {
  const moved = led.filter((one) => !isStill(one, sides));
  const [crossesAny, crossesMoved] = [crosserOf(led), crosserOf(moved)];
  const classes = nameClasses(
    sides,
    (deciders) =>
      !compare.isSame(deciders) ||
      (isStill(deciders, sides) ? crossesMoved(deciders) : crossesAny(deciders)),
  );
  return [...classes]
    .toSorted(inOrder)
    .flatMap((name) => [
      ...compare(name, 'names', { name }),
      ...(isStill(name, sides) ? moved : led).flatMap((address) =>
        crossing(name, address, (deciders) =>
          compare(deciders, 'leading', { name, spans: [address] }),
        ),
      ),
    ]);
}

/** As a reader of both files meets them; where neither names a class, the difference is no number, and they are equal. */
function inOrder(a: Deciders, b: Deciders): number {
  return orderOf(a.before) - orderOf(b.before) || orderOf(a.after) - orderOf(b.after);
}

function isStill({ before, after }: Deciders, { aligned }: Sides): boolean {
  return before === null ? after === null : aligned.get(before) === after;
}

/** A name may lead to two addresses: one side decides by the one, and the other by the other. */
function leadingToTwo(
  sides: Sides,
  led: readonly AddressClass[],
  compare: Compare,
): readonly Change[] {
  const names = remembered(nameClasses(sides, () => true));
  const moved = led.filter((one) => !isStill(one, sides));
  const still = led.filter((one) => isStill(one, sides));
  const crossesAny = crosserOf(led);
  return moved.filter(crossesAny).flatMap((one, i, crossed) =>
    [...crossed.slice(i + 1), ...still].flatMap((other) =>
      crossing(one, other, (deciders) => {
        if (compare.isSame(deciders)) return [];
        let perhaps: readonly Change[] = [];
        for (const name of names()) {
          const cell = isFree(name, deciders) ? meet(name.cell, deciders.cell) : null;
          if (cell === null) continue;
          const changes = compare({ ...deciders, cell }, 'leading', { name, spans: [one, other] });
          if (name.example !== null) return changes;
          perhaps = changes;
        }
        return perhaps;
      }),
    ),
  );
}

/** Names that addresses decide, because what names them stands later. */
function isFree(name: Deciders, deciders: Deciders): boolean {
  return (
    orderOf(name.before) > orderOf(deciders.before) && orderOf(name.after) > orderOf(deciders.after)
  );
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

function crossing<T extends Deciders & { readonly cell: Cell }>(
  one: T,
  other: AddressClass,
  compare: (deciders: Deciders & { readonly cell: Cell }) => readonly Change[],
): readonly Change[] {
  const cell = crosses(one, other) ? meet(one.cell, other.cell) : null;
  if (cell === null) return [];
  const isFirstBefore = orderOf(one.before) <= orderOf(other.before);
  return compare(
    isFirstBefore
      ? { before: one.before, after: other.after, cell }
      : { before: other.before, after: one.after, cell },
  );
}

/** Whether a pair crosses one of many: asked for every pair of wildcards, so over plain numbers. */
function crosserOf(led: readonly Deciders[]): (deciders: Deciders) => boolean {
  const orders = led.map(({ before, after }) => [orderOf(before), orderOf(after)] as const);
  return (deciders) => {
    const [was, is] = [orderOf(deciders.before), orderOf(deciders.after)];
    return orders.some(([before, after]) => was <= before !== is <= after);
  };
}

/** True where one of the two decides before, and the other after. */
function crosses(one: Deciders, other: Deciders): boolean {
  return (
    orderOf(one.before) <= orderOf(other.before) !== orderOf(one.after) <= orderOf(other.after)
  );
}

function orderOf(claim: Claim | null): number {
  return claim?.ruleOrder ?? Infinity;
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
    return isTold === true ? [] : compare(one, 'dialled', { spans: [one] });
  });
}
