// `zonegate rules`: the tools for the rule file, a file for each.

import type { Command } from 'commander';
import { addRulesDiff } from './rules/diff.ts';
import { addRulesImport } from './rules/import.ts';
import { addRulesLint } from './rules/lint.ts';
import { addRulesLog } from './rules/log.ts';
import { addRulesTest } from './rules/test.ts';

export function addRules(program: Command): void {
  const rules = program
    .command('rules')
    .description('test, check, compare and import device traffic rules')
    .addHelpText('before', 'Example: zonegate rules lint dtr.yaml\n')
    .addHelpText('after', '\nMore: docs/rules.md');
  addRulesTest(rules);
  addRulesLint(rules);
  addRulesDiff(rules);
  addRulesImport(rules);
  addRulesLog(rules);
}
