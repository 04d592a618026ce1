// Owns the checks of the tests in a rule file: those that hold for another reason than they seem to, and rules without one.

import type { CompiledRules } from '../compile.ts';
import { type Claims, claimsOf, indexClaims } from '../cover/claims.ts';
import type { Rule, RuleFile, RuleTest, Target } from '../rule.ts';
import { type Finding, listed } from './finding.ts';

export interface Tested {
  readonly file: RuleFile;
  readonly rules: CompiledRules;
  readonly decides: (rule: Rule) => boolean;
  readonly now: number;
}

export function lintTests(tested: Tested): readonly Finding[] {
  const { file, rules } = tested;
  if (file.tests.length === 0) return [];
  const deciding = new Set<Rule>();
  const sets = rules.sets.map((set) => ({ set, claims: indexClaims(claimsOf(set.set)) }));
  const findings = file.tests.flatMap((test) => {
    const given = rules.assign(test);
    const assigned = sets.find(({ set }) => set === given);
    if (assigned === undefined) return [withoutSet(test)];
    const { set, claims } = assigned;
    const targets = (['accept', 'deny', 'exact'] as const).flatMap((key) =>
      test[key].map((one, i) => ({
        target: 'target' in one ? one.target : one,
        path: [...test.path, key, i],
      })),
    );
    return targets.flatMap(({ target, path }) => {
      const match = set.match(target, null, { app: test.app, now: test.atMs ?? tested.now });
      if (match.kind === 'rule') deciding.add(match.rule);
      const idle = match.kind === 'default' ? idleRule(target, claims, tested.decides) : null;
      return idle === null ? [] : [idleFinding(test, idle, path)];
    });
  });
  return [...findings, ...untested(file, deciding)];
}

function withoutSet(test: RuleTest): Finding {
  return {
    check: 'test-without-set',
    level: 'warning',
    message: `test \`${test.name}\` tests no rule: a device like this is given no rule set, and is refused everything`,
    fix: 'give it the posture, platform and groups of a set',
    path: [...test.path, 'name'],
  };
}

/** The rule that names the target and takes no part in the decision. */
function idleRule(target: Target, claims: Claims, decides: (rule: Rule) => boolean): Rule | null {
  const { address } = target;
  const naming =
    address === null
      ? claims.naming(target.host)
      : claims.touching({ ...address, first: address.value, last: address.value });
  return naming.find(({ rule }) => !decides(rule))?.rule ?? null;
}

function idleFinding(test: RuleTest, rule: Rule, path: Finding['path']): Finding {
  return {
    check: 'test-of-idle-rule',
    level: 'hint',
    message: `test \`${test.name}\` no longer tests rule \`${rule.id}\`, which names the target but does not decide: the default action does`,
    fix: 'give the test a moment (`at`) at which the rule decides, or take it out',
    path,
  };
}

function untested(file: RuleFile, deciding: ReadonlySet<Rule>): readonly Finding[] {
  return file.sets.flatMap((set) => {
    const missing = set.rules.filter((rule) => !deciding.has(rule)).map(({ id }) => id);
    if (missing.length === 0) return [];
    return [
      {
        check: 'untested-rules',
        level: 'hint' as const,
        message: `no test is decided by ${listed(missing)} of set \`${set.name}\``,
        fix: 'add a test with `rule:` for each, so that a change above it is noticed',
        path: [...set.path, 'name'],
      },
    ];
  });
}
