// `zonegate rules lint`: says where a valid rule file does not mean what it seems to.

import type { Command } from 'commander';
import type { Finding, Level } from '../../dtr-rules/lint/finding.ts';
import { lintRules } from '../../dtr-rules/lint/lint.ts';
import type { RuleFile } from '../../dtr-rules/rule.ts';
import { type ExitCode, paint, plural, print } from '../output.ts';
import {
  findRuleFile,
  type Place,
  placeText,
  type ReadRules,
  readRules,
  sayUnreadable,
} from './rule-file.ts';
import { sharedBy } from './shared-suffix.ts';

interface Options {
  readonly config?: string;
  readonly strict?: boolean;
  readonly json?: boolean;
}

export function addRulesLint(rules: Command): void {
  rules
    .command('lint')
    .argument(
      '[file]',
      'the rule file, `-` for standard input; left out: the one the configuration names',
    )
    .description('find rules that never match, and wildcards that match too much')
    .option('-c, --config <file>', 'configuration file')
    .option('--strict', 'warnings fail too')
    .option('--json', 'print one JSON document')
    .addHelpText('before', 'Example: zonegate rules lint dtr.yaml --strict\n')
    .addHelpText(
      'after',
      '\nExit code: 0 nothing worse than a warning, 1 an error (with --strict a warning), 2 the file cannot be read.',
    )
    .action(async (file: string | undefined, options: Options) => {
      process.exitCode = await lint(await findRuleFile(file, options), options);
    });
}

type Placed = Finding & Place;

async function lint(file: string, { strict = false, json = false }: Options): Promise<ExitCode> {
  const read = await readRules(file);
  if (!read.ok) return sayUnreadable(read, json);
  const found = placedFindings(read.read);
  const count = (level: Level) => found.filter((one) => one.level === level).length;
  const failed = count('error') > 0 || (strict && count('warning') > 0);
  if (json) print(JSON.stringify({ ok: !failed, file, findings: found.map(toJson) }));
  else {
    for (const one of found) print(toText(one));
    const sum = `${plural(count('error'), 'error')}, ${plural(count('warning'), 'warning')}, ${plural(count('hint'), 'hint')}`;
    print(found.length === 0 ? `${file}: nothing found` : sum);
  }
  return failed ? 1 : 0;
}

export function findingsIn(rules: RuleFile, now = Date.now()): readonly Finding[] {
  return lintRules(rules, { now, sharedBy });
}

/** From the top of the file to its end. */
function placedFindings({ rules, place }: ReadRules): readonly Placed[] {
  return findingsIn(rules)
    .map((finding) => ({ ...finding, ...place(finding.path) }))
    .toSorted((a, b) => a.line - b.line || a.column - b.column);
}

function toJson({ file, line, column, level, check, message, fix }: Placed) {
  return { file, line, column, level, check, message, fix };
}

const colours = { error: 'red', warning: 'yellow', hint: 'cyan' } as const;

function toText(one: Placed): string {
  const head = `${placeText(one)}: ${paint(colours[one.level], one.level)}: ${one.message} [${one.check}]`;
  return one.fix === null ? head : `${head}\n    fix: ${one.fix}`;
}
