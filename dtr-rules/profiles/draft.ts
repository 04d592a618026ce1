// Owns what the kinds of profiles are made of: what each gets, and what it hands over to be checked.

import type { WaysIn } from './check.ts';
import type { RunPac } from './pac.ts';
import type { Plan } from './plan.ts';
import type { Note, ProfileFacts, ProfileFile, ProfileInput } from './profile.ts';

export interface Making extends ProfileInput {
  readonly plan: Plan;
  readonly runPac: RunPac;
}

/** All that is known where a gateway makes what it serves. */
export interface Serving extends Pick<Making, 'plan' | 'set' | 'now' | 'runPac'> {
  readonly facts: Pick<ProfileFacts, 'gateway' | 'failMode'>;
}

/** What a kind makes of a plan. */
export interface Draft {
  readonly files: readonly ProfileFile[];
  /** Beside those of the plan. */
  readonly notes: readonly Note[];
  /** How the files would be understood; null where they only say where the rules are to be had. */
  readonly waysIn: WaysIn | null;
}

export interface Kind {
  /** What it is for, in the list of kinds. */
  readonly summary: string;
  readonly make: (making: Making) => Draft;
}

/** The profile cannot be made: the settings lack something, or (a fault of ours) it would not say what the rules say. */
export class ProfileError extends Error {}

/** About the profile as a whole, and nothing that the check would find. */
export function remark(what: string, consequence: string): Note {
  return { rule: null, what, consequence, covers: () => false };
}
