// `zonegate rules import`: makes a rule file from another product's rules, and lists what could not be carried over.

import { readFile, writeFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { defaultActions, importCsv } from '../../dtr-rules/import/csv.ts';
import { expectationsOf } from '../../dtr-rules/import/expectations.ts';
import type { Imported, ImportRead } from '../../dtr-rules/import/imported.ts';
import { importServerRules } from '../../dtr-rules/import/server-rules.ts';
import { importWorkspaceOne } from '../../dtr-rules/import/workspace-one.ts';
import { writeRuleFile } from '../../dtr-rules/import/write.ts';
import { fileTrouble } from '../../runtime/file-trouble.ts';
import { type ExitCode, plural, print, say, UsageError } from '../output.ts';
import { readStandardInput } from './standard-input.ts';

const sources = {
  'workspace-one': {
    title: 'Workspace ONE device traffic rules',
    read: (text: string) => importWorkspaceOne(jsonOf(text)),
  },
  'workspace-one-server': {
    title: 'Workspace ONE server traffic rules',
    read: (text: string) => importServerRules(jsonOf(text)),
  },
  csv: { title: 'CSV', read: importCsv },
} as const satisfies Record<
  string,
  { title: string; read: (text: string, defaultAction: DefaultAction | null) => ImportRead }
>;

type DefaultAction = (typeof defaultActions)[number];

interface Options {
  readonly from: keyof typeof sources;
  readonly out?: string;
  readonly defaultAction?: DefaultAction;
  readonly json?: boolean;
}

export function addRulesImport(rules: Command): void {
  rules
    .command('import')
    .argument('<file>', 'what was exported, `-` for standard input')
    .description('make a rule file from the rules of another product')
    .addOption(
      new Option('--from <product>', 'whose rules they are')
        .choices(Object.keys(sources))
        .makeOptionMandatory(),
    )
    .option(
      '-o, --out <file>',
      'write the rule file here; it must not exist; left out: standard output',
    )
    .addOption(
      new Option(
        '--default-action <action>',
        'of sets whose first line has no `default action`; csv only',
      ).choices(defaultActions),
    )
    .option('--json', 'print one JSON document')
    .addHelpText(
      'before',
      'Example: zonegate rules import --from workspace-one rules.json --out dtr.yaml\n',
    )
    .addHelpText(
      'after',
      '\nExit code: 0 imported, 2 the file is not of this product, or the output exists. More: docs/rules.md',
    )
    .action(async (file: string, options: Options) => {
      process.exitCode = await importRules(file, options);
    });
}

async function importRules(file: string, options: Options): Promise<ExitCode> {
  const { from, out, defaultAction = null, json = false } = options;
  if (defaultAction !== null && from !== 'csv')
    throw new UsageError('--default-action is for --from csv: the other files say it themselves');
  const { title, read } = sources[from];
  const imported = read(await readInput(file), defaultAction);
  if (!imported.ok) throw new UsageError(`${file}: ${imported.message}`);
  if (imported.value.sets.every((set) => set.rules.length === 0))
    throw new UsageError(`${file}: there is no rule in it that can be read`);
  const expected = expectationsOf(imported.value, Date.now());
  if (!expected.ok) {
    const [first] = expected.issues;
    throw new UsageError(
      `${file}: the rules cannot be written: ${first?.path.join('.') ?? ''}: ${first?.message ?? ''}`,
    );
  }
  const text = writeRuleFile(imported.value, expected.tests, title);
  if (out !== undefined) await writeNew(out, text);
  if (json)
    print(JSON.stringify(toJson(imported.value, out === undefined ? text : null, out ?? null)));
  else {
    if (out === undefined) print(text.trimEnd());
    sayLosses(imported.value);
    sayNext(imported.value, out);
  }
  return 0;
}

async function readInput(file: string): Promise<string> {
  if (file === '-') return (await readStandardInput()).toString();
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read \`${file}\`: ${fileTrouble(error)}`, { cause: error });
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new UsageError('this is not JSON; for a table say --from csv', { cause: error });
  }
}

/** Rules somebody has edited are never written over. */
async function writeNew(out: string, text: string): Promise<void> {
  try {
    await writeFile(out, text, { flag: 'wx' });
  } catch (error) {
    const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    const why = exists ? 'it exists, and is not written over' : fileTrouble(error);
    throw new UsageError(`cannot write \`${out}\`: ${why}`, { cause: error });
  }
}

function sayLosses({ losses }: Imported): void {
  for (const { place, what, todo } of losses) say(`${place}: ${what}\n    ${todo}`);
}

function sayNext({ sets, losses, upstreams }: Imported, out: string | undefined): void {
  const count = sets.reduce((sum, { rules }) => sum + rules.length, 0);
  say(
    `${plural(count, 'rule')} in ${plural(sets.length, 'set')}; ${plural(losses.length, 'piece')} not carried over as it was`,
  );
  if (upstreams.length > 0)
    say('the proxies for `upstreams` in zonegate.yaml stand at the top of the file');
  if (out !== undefined) say(`next: zonegate rules lint ${out}`);
}

function toJson({ losses, upstreams, sets }: Imported, text: string | null, out: string | null) {
  return {
    out,
    text,
    rule_sets: sets.map(({ name, rules }) => ({ name, rules: rules.length })),
    upstreams: upstreams.map(({ name, host, port, passwordVariable }) => ({
      name,
      host,
      port,
      password_variable: passwordVariable,
    })),
    not_carried_over: losses,
  };
}
