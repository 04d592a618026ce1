// Owns what is told of a difference: a class of connections that another rule decides, by whom, and a witness.

import type { Address } from '../address.ts';
import type { Cell } from '../cover/box.ts';
import type { Claim } from '../cover/claims.ts';
import type { RuleSet, Target } from '../rule.ts';
import type { AddressClass, Deciders, NameClass } from './classes.ts';
import { keyOf, type Outcome, outcomeOf } from './outcome.ts';

/** A connection that is decided differently. */
export interface Witness {
  readonly target: Target;
  /** What the name resolves to; for an address asked for as such, null. */
  readonly addresses: readonly Address[] | null;
  readonly app: string | null;
  readonly now: number;
}

export interface Span {
  readonly first: Address;
  readonly last: Address;
}

export interface Change {
  /** `names`: host names; `addresses`: asked for as such, and names that lead there where no rule names them; `leading`:
   *  names that lead to the addresses; `dialled`: whether names that a rule lets pass may lead to the addresses at all. */
  readonly kind: 'names' | 'addresses' | 'leading' | 'dialled';
  /** All of them match; none: of `names` every name that no rule names, of `leading` names of any kind. */
  readonly globs: readonly string[];
  /** One address of each of these; null is an address of many rules. */
  readonly leads: readonly (readonly Span[] | null)[];
  readonly cell: Cell;
  readonly before: Outcome;
  readonly after: Outcome;
  /** On this side the outcome is the one of the witness: others get what one of many rules says. */
  readonly manyOn: 'before' | 'after' | null;
  /** Null: the wildcards cross in too many ways to find a name, or to know that there is none. */
  readonly witness: Witness | null;
}

/** What a connection is, and what decides it. */
export interface Scope extends Deciders {
  /** For which the change is told. */
  readonly cell: Cell;
  readonly globs?: readonly string[];
  readonly leads?: Change['leads'];
  readonly manyOn?: Change['manyOn'];
  readonly example: Example;
}

export interface Example {
  readonly cell: Cell;
  readonly name?: NameClass;
  readonly addresses?: readonly AddressClass[];
}

export interface Compare {
  (kind: Change['kind'], scope: Scope): readonly Change[];
  readonly isSame: (deciders: Deciders) => boolean;
}

/** The change between two deciders, or nothing if nobody would notice. */
export function comparer(before: RuleSet, after: RuleSet): Compare {
  const keys = { before: keysOf(before), after: keysOf(after) };
  const isSame = (deciders: Deciders) =>
    keys.before(deciders.before) === keys.after(deciders.after);
  const compare = (kind: Change['kind'], scope: Scope): readonly Change[] => {
    if (isSame(scope)) return [];
    const { cell, globs = [], leads = [], manyOn = null, example } = scope;
    const outcomes = {
      before: outcomeOf(scope.before, before),
      after: outcomeOf(scope.after, after),
    };
    return [{ kind, globs, leads, cell, ...outcomes, manyOn, witness: witnessOf(kind, example) }];
  };
  return Object.assign(compare, { isSame });
}

/** One text for a rule: it is asked for more often than there are rules. */
function keysOf(set: RuleSet): (claim: Claim | null) => string {
  const known = new Map<unknown, string>();
  return (claim) => {
    const rule = claim?.rule ?? null;
    const key = known.get(rule) ?? keyOf(outcomeOf(claim, set));
    known.set(rule, key);
    return key;
  };
}

function witnessOf(kind: Change['kind'], { cell, name, addresses = [] }: Example): Witness | null {
  const { first, last, app, fromMs } = cell;
  const port = first <= 443 && 443 <= last ? 443 : first;
  const leads = addresses.map((one) => one.first);
  const [address] = leads;
  const given = { app, now: fromMs };
  if (kind === 'addresses' && address !== undefined) {
    return { target: { host: address.text, address, port }, addresses: null, ...given };
  }
  const host = name === undefined ? 'www.example' : name.example;
  if (host === null) return null;
  return { target: { host, address: null, port }, addresses: leads, ...given };
}
