// Owns the data of what the linter finds: which check, how bad, where, and what to do about it.

import type { Path } from '../rule.ts';

export type Level = 'error' | 'warning' | 'hint';

export interface Finding {
  /** Names the check, for programs and for looking it up. */
  readonly check: string;
  /** `error`: something passes that a rule is there to stop. */
  readonly level: Level;
  readonly message: string;
  readonly fix: string | null;
  /** For a destination: the rule's path, `destinations`, and its place among the destinations that were read. */
  readonly path: Path;
}

/** Facts from outside the file. */
export interface LintFacts {
  readonly now: number;
  /** What kind of ending shared by strangers a name is: `com` of a registry, `github.io` of a hosting company. */
  readonly sharedBy: (name: string) => 'registry' | 'hosting' | null;
}

/** `a`, `b` and 3 more */
export function listed(names: readonly string[]): string {
  const unique = [...new Set(names)].map((name) => `\`${name}\``);
  if (unique.length > 4) return `${unique.slice(0, 3).join(', ')} and ${unique.length - 3} more`;
  return [...unique.slice(0, -2), unique.slice(-2).join(' and ')].join(', ');
}
