// Owns the check for rule sets no device is ever given, and which device a set would be given to.

import type { Asker, CompiledRules } from '../compile.ts';
import { platforms } from '../parse-rules.ts';
import type { RuleSet } from '../rule.ts';
import { type Finding, listed } from './finding.ts';

/** One device of each kind the set asks for. Fewer groups fit fewer sets, so if any device gets it, one of these does. */
export function askersOf({ assign }: RuleSet): readonly Asker[] {
  const groups = assign.groups?.map((group) => [group]) ?? [[]];
  const tags = assign.tags?.map((tag) => [tag]) ?? [[]];
  return assign.posture.flatMap((posture) =>
    (assign.platforms ?? [null, ...platforms]).flatMap((platform) =>
      groups.flatMap((group) =>
        tags.map((tag): Asker => ({ posture, platform, groups: group, tags: tag })),
      ),
    ),
  );
}

export function lintSets(rules: CompiledRules): readonly Finding[] {
  return rules.sets.flatMap((compiled) => {
    const { set } = compiled;
    const given = new Set(askersOf(set).map((asker) => rules.assign(asker)));
    if (given.has(compiled)) return [];
    const above = rules.sets.filter((other) => given.has(other)).map((other) => other.set.name);
    const [fit, asked] = above.length === 1 ? ['fits', 'that one does'] : ['fit', 'those do'];
    return [
      {
        check: 'unreachable-set',
        level: 'warning' as const,
        message: `no device is given the rule set \`${set.name}\`: ${listed(above)} above ${fit} them all`,
        fix: `move it above ${listed(above)}, or ask for something that ${asked} not`,
        path: [...set.path, 'name'],
      },
    ];
  });
}
