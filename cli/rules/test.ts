// `zonegate rules test`: runs the tests a rule file carries and says of each whether it holds.

import type { Command } from 'commander';
import { compileRules } from '../../dtr-rules/compile.ts';
import { runRuleTests } from '../../dtr-rules/run-tests.ts';
import { type ExitCode, paint, plural, print } from '../output.ts';
import { findRuleFile, placeText, type ReadRules, readRules, sayUnreadable } from './rule-file.ts';

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

export function addRulesTest(rules: Command): void {
  rules
    .command('test')
    .argument(
      '[file]',
      'the rule file, `-` for standard input; left out: the one the configuration names',
    )
    .description('run the tests in the rule file')
    .option('-c, --config <file>', 'configuration file')
    .option('--json', 'print one JSON document')
    .addHelpText('before', 'Example: zonegate rules test dtr.yaml\n')
    .addHelpText(
      'after',
      '\nExit code: 0 all tests hold, 1 one does not, 2 the file cannot be read.',
    )
    .action(async (file: string | undefined, options: Options) => {
      process.exitCode = await test(await findRuleFile(file, options), options.json === true);
    });
}

interface Result {
  readonly name: string;
  readonly ok: boolean;
  readonly targets: number;
  readonly failures: readonly {
    readonly line: number;
    readonly column: number;
    readonly message: string;
  }[];
}

async function test(file: string, asJson: boolean): Promise<ExitCode> {
  const read = await readRules(file);
  if (!read.ok) return sayUnreadable(read, asJson);
  const results = resultsOf(read.read);
  const failed = results.filter(({ ok }) => !ok).length;
  if (asJson) print(JSON.stringify({ ok: failed === 0, file, tests: results }));
  else
    for (const line of [
      ...results.flatMap((result) => toText(result, file)),
      sumOf(results.length, failed),
    ])
      print(line);
  return failed === 0 ? 0 : 1;
}

function resultsOf({ rules, place }: ReadRules): readonly Result[] {
  const failures = runRuleTests(rules, compileRules(rules), Date.now());
  return rules.tests.map((one) => {
    const own = failures
      .filter((failure) => failure.test === one)
      .map(({ path, message }) => {
        const { line, column } = place(path);
        return { line, column, message };
      });
    const targets = one.accept.length + one.deny.length + one.exact.length;
    return { name: one.name, ok: own.length === 0, targets, failures: own };
  });
}

function toText({ name, ok, targets, failures }: Result, file: string): readonly string[] {
  const head = ok
    ? `${paint('green', 'ok  ')} ${name} (${plural(targets, 'target')})`
    : `${paint('red', 'FAIL')} ${name}`;
  return [
    head,
    ...failures.map(
      ({ line, column, message }) => `     ${placeText({ file, line, column })}: ${message}`,
    ),
  ];
}

function sumOf(count: number, failed: number): string {
  if (count === 0) return 'the file has no tests';
  return failed === 0
    ? `${plural(count, 'test')} passed`
    : `${failed} of ${plural(count, 'test')} failed`;
}
