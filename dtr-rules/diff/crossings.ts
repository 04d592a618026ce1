// Owns pairs of classes that cross: a name and where it leads, or two addresses it leads to, where one of them decides
// before and the other after. Thousands of rules may cross one that was moved, so they are met in groups and told together.

import { type Cell, meet } from '../cover/box.ts';
import type { Claim } from '../cover/claims.ts';
import type { Deciders } from './classes.ts';

/** What crossing asks of two groups: each stands before what the other comes to. */
interface Reach {
  /** Of the rule on the one side. */
  readonly order: number;
  /** Of the latest rule on the other side. */
  readonly farthest: number;
}

/** Classes that one rule decides on one side, under the same conditions. */
export interface Group<T> extends Reach {
  readonly claim: Claim;
  readonly cell: Cell;
  readonly members: readonly T[];
}

/** A member of the one group decides before, and a member of the other after. */
export interface Crossing<L, R> {
  readonly before: Group<L>;
  readonly after: Group<R>;
  /** The members for which it is so. */
  readonly befores: readonly L[];
  readonly afters: readonly R[];
  /** Under which conditions. */
  readonly cell: Cell;
  /** On this side it is one of many rules for which the same is true: the earliest. */
  readonly manyOn: 'before' | 'after' | null;
  /** What both groups have in common; more is in the cell where there are many. */
  readonly shared: Cell;
}

type Class = Deciders & { readonly cell: Cell };

export function groupsOf<T extends Class>(
  classes: readonly T[],
  side: 'before' | 'after',
): readonly Group<T>[] {
  const other = side === 'before' ? 'after' : 'before';
  const groups = Map.groupBy(classes, ({ [side]: claim, cell }) =>
    claim === null ? null : `${claim.ruleOrder} ${Object.values(cell).join(' ')}`,
  );
  return [...groups.values()]
    .flatMap((members): readonly Group<T>[] => {
      const [first] = members;
      const claim = first?.[side] ?? null;
      if (first === undefined || claim === null) return [];
      const farthest = members.reduce((far, one) => Math.max(far, orderOf(one[other])), 0);
      return [{ claim, order: claim.ruleOrder, cell: first.cell, members, farthest }];
    })
    .toSorted((a, b) => a.order - b.order);
}

export interface Limits<L, R> {
  /** What else has to be true; asked once the cheap questions are answered. */
  readonly holds: (before: Group<L>, after: Group<R>, cell: Cell) => boolean;
  /** More rules than this that cross one are told together. */
  readonly mostListed: number;
}

export function crossingsOf<L extends Class, R extends Class>(
  befores: readonly Group<L>[],
  afters: readonly Group<R>[],
  limits: Limits<L, R>,
): readonly Crossing<L, R>[] {
  const reaching = reachingOf(befores);
  const single: Met<L, R>[] = [];
  const folded: Crossing<L, R>[] = [];
  for (const after of afters) {
    const found = [...crossing(after, reaching, limits)];
    if (
      isMany(
        found.map(({ before }) => before),
        limits,
      )
    )
      folded.push(...asOne(found, 'before'));
    else single.push(...found);
  }
  const byBefore = Map.groupBy(single, ({ before }) => before);
  return [
    ...folded,
    ...[...byBefore.values()].flatMap((found) =>
      isMany(
        found.map(({ after }) => after),
        limits,
      )
        ? asOne(found, 'after')
        : found.map((one) => crossingOf(one, null)),
    ),
  ];
}

interface Met<L, R> {
  readonly before: Group<L>;
  readonly after: Group<R>;
  readonly shared: Cell;
}

/** In order, and no more than are needed to know that they are many. */
function* crossing<L, R>(
  after: Group<R>,
  befores: Reaching<Group<L>>,
  { holds, mostListed }: Limits<L, R>,
): Generator<Met<L, R>> {
  const rules = new Set<number>();
  for (const before of befores.reaching(after)) {
    if (rules.size > mostListed) return;
    const shared = meet(before.cell, after.cell);
    if (shared === null || !holds(before, after, shared)) continue;
    rules.add(before.order);
    yield { before, after, shared };
  }
}

function isMany(
  groups: readonly Reach[],
  { mostListed }: { readonly mostListed: number },
): boolean {
  return new Set(groups.map(({ order }) => order)).size > mostListed;
}

/** The first stands for all: it is the earliest, so that whatever crosses another one crosses it. */
function asOne<L extends Class, R extends Class>(
  found: readonly Met<L, R>[],
  manyOn: 'before' | 'after',
): readonly Crossing<L, R>[] {
  return found.slice(0, 1).map((one) => crossingOf(one, manyOn));
}

function crossingOf<L extends Class, R extends Class>(
  { before, after, shared }: Met<L, R>,
  manyOn: 'before' | 'after' | null,
): Crossing<L, R> {
  const cell = manyOn === null ? shared : manyOn === 'before' ? after.cell : before.cell;
  const befores = before.members.filter((one) => orderOf(one.after) > after.order);
  const afters = after.members.filter((one) => orderOf(one.before) > before.order);
  return { before, after, befores, afters, cell, manyOn, shared };
}

interface Reaching<T> {
  /** Those that cross the other one, conditions aside, in order. */
  reaching(other: Reach): Generator<T>;
}

const blockSize = 64;

/** The groups are in order; of every block of them the farthest is known, so that most are passed over at once. */
function reachingOf<T extends Reach>(groups: readonly T[]): Reaching<T> {
  const blocks = Array.from({ length: Math.ceil(groups.length / blockSize) }, (_, i) => {
    const own = groups.slice(i * blockSize, (i + 1) * blockSize);
    return { own, farthest: own.reduce((far, one) => Math.max(far, one.farthest), 0) };
  });
  return {
    *reaching({ order, farthest }) {
      for (const block of blocks) {
        if (block.farthest <= order) continue;
        for (const one of block.own) {
          if (one.order >= farthest) return;
          if (one.farthest > order) yield one;
        }
      }
    },
  };
}

/** Whether a pair of deciders crosses one of many: asked for every pair of wildcards. */
export function crosserOf(classes: readonly Class[]): (deciders: Deciders) => boolean {
  const byBefore = reachingOf(groupsOf(classes, 'before'));
  const byAfter = reachingOf(groupsOf(classes, 'after'));
  return (deciders) => {
    const [was, is] = [orderOf(deciders.before), orderOf(deciders.after)];
    const found = [
      byBefore.reaching({ order: is, farthest: was }).next(),
      byAfter.reaching({ order: was, farthest: is }).next(),
    ];
    return found.some(({ done }) => done !== true);
  };
}

/** The default action comes after every rule. */
export function orderOf(claim: Claim | null): number {
  return claim?.ruleOrder ?? Infinity;
}
