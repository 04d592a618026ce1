// Owns the comparison of two rule files: for every kind of device the rule sets it gets from each, and how they differ.

import { type Asker, type CompiledRules, compileRules } from '../compile.ts';
import { platforms, postures } from '../parse-rules.ts';
import type { Posture, RuleFile, RuleSet } from '../rule.ts';
import type { Change } from './change.ts';
import { type DiffOptions, diffSets } from './set-diff.ts';

/** Devices that get these two sets; null is no set, and nothing may pass. */
export interface Who {
  readonly before: string | null;
  readonly after: string | null;
  readonly postures: readonly Posture[];
  /** Null is a platform no set names. */
  readonly platforms: readonly (string | null)[];
  /** In all of them. */
  readonly groups: readonly string[];
  readonly tags: readonly string[];
}

export interface Difference {
  readonly who: Who;
  /** An example of such a device. */
  readonly asker: Asker;
  /** Empty where one of the sets is missing: then everything changes. */
  readonly changes: readonly Change[];
}

export function diffRules(
  before: RuleFile,
  after: RuleFile,
  now: number,
  options: DiffOptions = {},
): readonly Difference[] {
  const sides = { before: compileRules(before), after: compileRules(after) };
  return [...before.sets, null].flatMap((one) =>
    [...after.sets, null].flatMap((other) => {
      const askers = askersOf(one, other, sides);
      const [asker] = askers;
      if (asker === undefined || (one === null && other === null)) return [];
      const changes =
        one === null || other === null || isSame(one, other)
          ? []
          : diffSets(one, other, now, options);
      if (one !== null && other !== null && changes.length === 0) return [];
      return [{ who: whoOf(asker, askers, [one, other]), asker, changes }];
    }),
  );
}

/** Every kind of device that gets the two sets. One group for each is enough: with more groups more sets fit, so if any
 *  device gets them, one of these does. */
function askersOf(
  one: RuleSet | null,
  other: RuleSet | null,
  { before, after }: { readonly before: CompiledRules; readonly after: CompiledRules },
): readonly Asker[] {
  const pairs = (key: 'groups' | 'tags') =>
    (one?.assign[key] ?? [null]).flatMap((a) =>
      (other?.assign[key] ?? [null]).map((b) =>
        [...new Set([a, b])].filter((name) => name !== null),
      ),
    );
  const [groups, tags] = [pairs('groups'), pairs('tags')];
  const all = postures.flatMap((posture) =>
    [...platforms, null].flatMap((platform) =>
      groups.flatMap((some) =>
        tags.map((few): Asker => ({ posture, platform, groups: some, tags: few })),
      ),
    ),
  );
  const gets = (rules: CompiledRules, asker: Asker) => rules.assign(asker)?.set ?? null;
  return all.filter((asker) => gets(before, asker) === one && gets(after, asker) === other);
}

function whoOf(
  { groups, tags }: Asker,
  askers: readonly Asker[],
  [one, other]: readonly [RuleSet | null, RuleSet | null],
): Who {
  return {
    before: one?.name ?? null,
    after: other?.name ?? null,
    postures: [...new Set(askers.map(({ posture }) => posture))],
    platforms: [...new Set(askers.map(({ platform }) => platform))],
    groups,
    tags,
  };
}

/** Most sets of a file stay as they are: those need no search. */
function isSame(one: RuleSet, other: RuleSet): boolean {
  return textOf(one) === textOf(other);
}

function textOf({ defaultAction, rules }: RuleSet): string {
  return JSON.stringify([defaultAction, rules], (key, value: unknown) => {
    if (key === 'description' || key === 'ticket') return undefined;
    // Where a rule stands is no part of it; where an application does, is.
    if (key === 'path' && Array.isArray(value)) return undefined;
    return typeof value === 'bigint' ? value.toString() : value;
  });
}
