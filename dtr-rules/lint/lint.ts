// Owns the linter: reads a rule file that is valid and says where it does not mean what it seems to.

import { compileRules } from '../compile.ts';
import { claimsAhead, indexClaims } from '../cover/claims.ts';
import type { Rule, RuleFile, RuleSet } from '../rule.ts';
import { lintDates } from './dates.ts';
import type { Finding, LintFacts } from './finding.ts';
import { lintProxies } from './proxies.ts';
import { lintBypassAll, lintRepeats } from './repeats.ts';
import { lintSets } from './sets.ts';
import { lintShadows } from './shadow.ts';
import { lintTests } from './tested.ts';
import { lintWildcards } from './wildcards.ts';

export function lintRules(file: RuleFile, facts: LintFacts): readonly Finding[] {
  const { now } = facts;
  const rules = compileRules(file);
  const decides = (rule: Rule) => !rule.reportOnly && !isOver(rule, now);
  return [
    ...lintSets(rules),
    ...file.sets.flatMap((set) => lintSet(set, facts)),
    ...lintTests({ file, rules, decides, now }),
  ];
}

function lintSet(set: RuleSet, facts: LintFacts): readonly Finding[] {
  const { now } = facts;
  const claims = indexClaims(claimsAhead(set, now));
  return [
    ...lintDates(set, now),
    ...lintShadows(claims, ({ reportOnly }) => !reportOnly),
    ...lintRepeats(claims),
    ...claims.all.flatMap((claim) => lintWildcards(claim, facts)),
    ...lintBypassAll(set),
    ...lintProxies(claims),
  ];
}

function isOver({ validUntilMs }: Rule, now: number): boolean {
  return validUntilMs !== null && validUntilMs <= now;
}
