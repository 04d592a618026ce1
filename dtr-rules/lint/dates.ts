// Owns the checks of rules with an end: those that are over, and those that soon will be.

import type { RuleSet } from '../rule.ts';
import type { Finding } from './finding.ts';

const dayMs = 86_400_000;
const soonMs = 14 * dayMs;

export function lintDates(set: RuleSet, now: number): readonly Finding[] {
  return set.rules.flatMap((rule): readonly Finding[] => {
    if (rule.validUntilMs === null) return [];
    const path = [...rule.path, 'validUntil'];
    const left = rule.validUntilMs - now;
    if (left <= 0) {
      return [
        {
          check: 'expired-rule',
          level: 'warning',
          message: `rule \`${rule.id}\` decides nothing any more: it is over${ticketOf(rule)}`,
          fix: 'take it out, or give it a later end',
          path,
        },
      ];
    }
    if (left > soonMs) return [];
    const days = Math.max(1, Math.ceil(left / dayMs));
    return [
      {
        check: 'ending-rule',
        level: 'hint',
        message: `rule \`${rule.id}\` ends in ${days === 1 ? 'a day' : `${days} days`}${ticketOf(rule)}`,
        fix: null,
        path,
      },
    ];
  });
}

function ticketOf({ ticket }: { readonly ticket: string | null }): string {
  return ticket === null ? '' : ` (${ticket})`;
}
