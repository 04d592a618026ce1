// Owns the checks inside one rule, and for what stands below a rule that takes everything.

import type { Claim, Claims } from '../cover/claims.ts';
import { sharesOf } from '../cover/covering.ts';
import type { RuleSet } from '../rule.ts';
import { type Finding, listed } from './finding.ts';
import { placeOf, takersOf } from './shadow.ts';

/** Destinations that others of the same rule hold already. From the last one back, and without those found so far: of
 *  two that hold each other one has to stay. */
export function lintRepeats(claims: Claims): readonly Finding[] {
  const superfluous = new Set<Claim>();
  return claims.all.toReversed().flatMap((claim) => {
    const { rule, destination } = claim;
    if (rule.destinations.length === 1) return [];
    const shares = sharesOf(
      claim,
      claims,
      (other) => other.rule === rule && other !== claim && !superfluous.has(other),
    );
    if (shares.length === 0 || shares.some(({ by }) => by === null)) return [];
    superfluous.add(claim);
    const by = listed(takersOf(shares).map((other) => other.destination.text));
    return [
      {
        check: 'duplicate-destination',
        level: 'hint' as const,
        message: `\`${destination.text}\` of rule \`${rule.id}\` adds nothing to ${by} in the same rule`,
        fix: 'take it out',
        path: placeOf(claim),
      },
    ];
  });
}

/** BYPASS for everything is the end of a list; what stands below it was meant to stand above. */
export function lintBypassAll(set: RuleSet): readonly Finding[] {
  const at = set.rules.findIndex(
    (rule) =>
      rule.action === 'BYPASS' &&
      rule.destinations.some(({ kind, ports }) => kind === 'any' && ports === null),
  );
  const rule = set.rules[at];
  if (rule === undefined || at === set.rules.length - 1) return [];
  const below = set.rules.slice(at + 1).map(({ id }) => id);
  return [
    {
      check: 'bypass-too-early',
      level: 'warning',
      message: `rule \`${rule.id}\` bypasses everything that comes to it, and ${listed(below)} stand below`,
      fix: 'make it the last rule, or take it out and say `defaultAction: BYPASS`',
      path: [...rule.path, 'id'],
    },
  ];
}
