// Owns the self-check of profiles: what is in the produced file is held against the rules at all their boundaries.

import { targetsAround } from '../boundaries.ts';
import { quoted } from '../reading.ts';
import type { RuleSet, Target } from '../rule.ts';
import type { Plan } from './plan.ts';
import type { Note, Way } from './profile.ts';

/** Ways that the produced file sends a target, one for each manner in which a program may ask; null is no known way. */
export type WaysIn = (target: Target) => readonly (Way | null)[];

export interface Disagreement {
  readonly target: Target;
  readonly expected: Way;
  readonly got: Way | null;
}

/** Large rule sets are checked at this many targets, spread evenly; the tests check all. */
const maxTargets = 100_000;

/** The first few; none is a profile that says what the rules say, but for what its notes declare. */
export function disagreements(
  set: RuleSet,
  plan: Pick<Plan, 'wayOf'>,
  profile: { readonly notes: readonly Note[]; readonly waysIn: WaysIn },
): readonly Disagreement[] {
  const found: Disagreement[] = [];
  for (const target of spread(set)) {
    const expected = plan.wayOf(target);
    for (const got of profile.waysIn(target)) {
      if (got === expected || profile.notes.some((note) => note.covers(target))) continue;
      found.push({ target, expected, got });
      if (found.length === 5) return found;
    }
  }
  return found;
}

export function inWords({ target, expected, got }: Disagreement): string {
  return `${quoted(`${target.host}:${target.port}`)} goes ${got ?? 'nowhere'}, expected ${expected}`;
}

function* spread(set: RuleSet): Generator<Target> {
  const destinations = set.rules.reduce((sum, rule) => sum + rule.destinations.length, 0);
  const step = Math.ceil((destinations * 20) / maxTargets);
  let index = 0;
  for (const target of targetsAround([set])) {
    if (step <= 1 || index % step === 0) yield target;
    index += 1;
  }
}
