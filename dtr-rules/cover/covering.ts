// Owns the question whether destinations that stand earlier leave anything of one: exact, and told by whom it is taken.

import type { AddressRange } from '../address.ts';
import { type Box, type Cell, cellsOf, covers } from './box.ts';
import type { Claim, Claims } from './claims.ts';
import { findName, samplesOf } from './names.ts';

/** What became of one cell of a destination: who takes all of it, or nobody does. */
export interface Share {
  readonly cell: Cell;
  /** In order; null where something is left. */
  readonly by: readonly Claim[] | null;
}

/** Every cell of every name or address the destination stands for; `earlier` says which claims count. */
export function sharesOf(
  claim: Claim,
  claims: Claims,
  earlier: (other: Claim) => boolean,
): readonly Share[] {
  if (claim.range !== null) return addressShares(claim.range, claim.box, { claims, earlier });
  return claim.globs.flatMap((glob) =>
    glob.includes('*')
      ? globShares(glob, claim, { claims, earlier })
      : hostShares(glob, claim, { claims, earlier }),
  );
}

interface Before {
  readonly claims: Claims;
  readonly earlier: (other: Claim) => boolean;
}

function hostShares(host: string, { box }: Claim, { claims, earlier }: Before): readonly Share[] {
  const naming = [...claims.naming(host), ...claims.everyAddress].filter(earlier);
  return cellsOf(
    box,
    naming.map((one) => one.box),
  ).map((cell) => ({
    cell,
    by: takenBy(naming.filter((one) => covers(one.box, cell))),
  }));
}

/** One that names it is enough; two that together hold every address are, because every name leads to an address. */
function takenBy(taking: readonly Claim[]): readonly Claim[] | null {
  const naming = taking.find(({ range }) => range === null);
  if (naming !== undefined) return [naming];
  const [v4, v6] = ([4, 6] as const).map((family) =>
    taking.find(({ range }) => range?.family === family),
  );
  return v4 === undefined || v6 === undefined ? null : [v4, v6];
}

function globShares(glob: string, { box }: Claim, before: Before): readonly Share[] {
  const { claims, earlier } = before;
  // Whatever takes all of it takes this name: where nobody takes that, the answer is known at once.
  const [sample] = samplesOf([glob]);
  if (sample === undefined) return [];
  const naming = [...claims.naming(sample), ...claims.everyAddress].filter(earlier);
  return cellsOf(
    box,
    naming.map((one) => one.box),
  ).map((cell) => {
    const taking = naming.filter((one) => covers(one.box, cell));
    const whole = taking.filter(
      (one) => one.range !== null || one.globs.some((other) => contains(other, glob)),
    );
    return {
      cell,
      by: takenBy(whole) ?? (taking.length === 0 ? null : takenTogether(glob, cell, before)),
    };
  });
}

const mostTogether = 40;

/** Several wildcards may leave nothing together: only a search over all names can tell. */
function takenTogether(
  glob: string,
  cell: Cell,
  { claims, earlier }: Before,
): readonly Claim[] | null {
  const near = claims.near(glob).filter((one) => earlier(one) && covers(one.box, cell));
  if (near.length === 0 || near.length > mostTogether) return null;
  const without = near.flatMap(({ globs }) => globs);
  const found = findName({ within: [glob], without, isTaken: () => false });
  return found.kind === 'none' ? near.toSorted((a, b) => a.order - b.order) : null;
}

function addressShares(
  range: AddressRange,
  box: Box,
  { claims, earlier }: Before,
): readonly Share[] {
  const touching = claims.touching(range).filter(earlier);
  return cellsOf(
    box,
    touching.map((one) => one.box),
  ).map((cell) => {
    const taking: Claim[] = [];
    let next = range.first;
    const inside = touching.filter((one) => covers(one.box, cell));
    const first = (one: Claim) => one.range?.first ?? 0n;
    for (const one of inside.toSorted((a, b) => (first(a) < first(b) ? -1 : 1))) {
      const last = one.range?.last ?? range.last;
      if (first(one) > next || last < next) continue;
      taking.push(one);
      next = last + 1n;
    }
    return { cell, by: next > range.last ? taking.toSorted((a, b) => a.order - b.order) : null };
  });
}

/** True only if every name of `inner` is one of `outer`; the search tells what this does not see. */
export function contains(outer: string, inner: string): boolean {
  if (outer === '*' || outer === inner) return true;
  const tail = outer.slice(1);
  // `*.example.com` is in `*example.com`: the inner one ends so, whatever its stars stand for.
  if (outer.startsWith('*') && !tail.includes('*')) return inner.endsWith(tail);
  const head = outer.slice(0, -1);
  return outer.endsWith('*') && !head.includes('*') && inner.startsWith(head);
}
