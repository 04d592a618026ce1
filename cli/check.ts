// `zonegate check`: reads every file as a start would, runs the tests in them, and says what is wrong and where.

import type { Command } from 'commander';
import { formatIssue, type PlacedIssue } from '../runtime/issue.ts';
import { findConfigFile } from './config-file.ts';
import { type Everything, loadEverything } from './load.ts';
import { type ExitCode, plural, print, say, sayIssues } from './output.ts';
import { findingsIn } from './rules/lint.ts';

export function addCheck(program: Command): void {
  program
    .command('check')
    .description('check the configuration and run the tests in the rule files')
    .option('-c, --config <file>', 'configuration file')
    .option('--json', 'print one JSON document')
    .addHelpText('before', 'Example: zonegate check --config state/zonegate.yaml\n')
    .action(async (options: { config?: string; json?: boolean }) => {
      process.exitCode = await check(findConfigFile(options.config), options.json === true);
    });
}

async function check(file: string, asJson: boolean): Promise<ExitCode> {
  const read = await loadEverything(file);
  if (asJson) {
    const issues = read.ok ? [] : read.issues.map(toJson);
    const warnings = read.ok ? (read.all.gateway?.warnings ?? []).map(toJson) : [];
    const lint = read.ok ? lintCounts(read.all) : { errors: 0, warnings: 0 };
    print(JSON.stringify({ ok: read.ok, file, issues, warnings, lint }));
    return read.ok ? 0 : 2;
  }
  if (!read.ok) {
    sayIssues(read.issues, plural(read.issues.length, 'issue'));
    return 2;
  }
  for (const warning of read.all.gateway?.warnings ?? []) say(`warning: ${formatIssue(warning)}`);
  const { errors, warnings } = lintCounts(read.all);
  if (errors + warnings > 0) {
    const found = [plural(errors, 'error'), plural(warnings, 'warning')].filter(
      (text) => !text.startsWith('0'),
    );
    say(
      `the traffic rules have ${found.join(' and ')}: see \`zonegate rules lint --config ${file}\``,
    );
  }
  print(`${file}: ok (${describe(read.all)})`);
  return 0;
}

/** What the linter thinks of the rules: it keeps nothing from being loaded. */
function lintCounts({ gateway }: Everything) {
  const found = gateway === null ? [] : findingsIn(gateway.rules.value);
  const count = (level: string) => found.filter((one) => one.level === level).length;
  return { errors: count('error'), warnings: count('warning') };
}

function toJson({ file, line, column, message, hint }: PlacedIssue) {
  return { file, line, column, message, hint };
}

function describe({ gateway, idp }: Everything): string {
  const parts: string[] = [];
  if (gateway !== null) {
    const { sets, tests } = gateway.rules.value;
    const rules = sets.reduce((sum, set) => sum + set.rules.length, 0);
    parts.push(plural(rules, 'traffic rule'), `${plural(tests.length, 'rule test')} passed`);
  }
  if (idp !== null) {
    const { zones, signOn } = idp.policy;
    parts.push(plural(zones.length, 'zone'), plural(signOn.rules.length, 'sign-on rule'));
  }
  return parts.join(', ');
}
