// `zonegate rules log`: what the report-only rules would have done, from the gateway's log.

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { fileTrouble } from '../../runtime/file-trouble.ts';
import { type ExitCode, plural, print, say, UsageError } from '../output.ts';
import { createSummary, type ReportedRule, type Summary } from './reported.ts';

interface Options {
  readonly reportOnly?: boolean;
  readonly top: string;
  readonly json?: boolean;
}

export function addRulesLog(rules: Command): void {
  rules
    .command('log')
    .argument('[logfile]', 'the log of the gateway, `-` for standard input', '-')
    .description('sum up what report-only rules would have done')
    .option('--report-only', 'the rules with `reportOnly: true`: all there is to sum up today')
    .option('--top <count>', 'how many destinations to name for each rule', '5')
    .option('--json', 'print one JSON document')
    .addHelpText('before', 'Example: zonegate rules log --report-only state/zonegate.log\n')
    .addHelpText(
      'after',
      '\nExit code: 0, whatever the rules would have done; 2 the log cannot be read.',
    )
    .action(async (file: string, options: Options) => {
      process.exitCode = await sumUp(file, options);
    });
}

async function sumUp(file: string, { top, json = false }: Options): Promise<ExitCode> {
  if (!/^[1-9]\d{0,2}$/.test(top)) throw new UsageError(`\`${top}\` is not a number from 1 to 999`);
  const summary = await readLog(file === '-' ? process.stdin : createReadStream(file), file);
  const result = summary.read(Number(top));
  if (json) print(JSON.stringify(toJson(result)));
  else for (const line of toText(result)) print(line);
  if (result.bad > 0 && !json) say(`${plural(result.bad, 'line')} could not be read as JSON`);
  return 0;
}

async function readLog(stream: Readable, file: string) {
  const summary = createSummary();
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity }))
      summary.add(line);
  } catch (error) {
    throw new UsageError(`cannot read \`${file}\`: ${fileTrouble(error)}`, { cause: error });
  }
  return summary;
}

function toText({ rules, decisions }: Summary): readonly string[] {
  if (rules.length === 0)
    return [`no report-only rule fitted any of ${plural(decisions, 'decision')}`];
  return rules.flatMap(ruleText);
}

function ruleText(rule: ReportedRule): readonly string[] {
  const { action, count, refusals, destinations, first, last } = rule;
  const devices = `${rule.devices}${rule.isMoreDevices ? ' or more' : ''} ${rule.devices === 1 ? 'device' : 'devices'}`;
  const refused = refusals === 0 ? '' : `, would have refused ${refusals} that passed`;
  return [
    `${rule.rule} (${action}): ${plural(count, 'connection')} of ${devices}${refused}`,
    `  from ${first ?? '?'} to ${last ?? '?'}`,
    ...destinations.map((one) => `  ${String(one.count).padStart(7)}  ${one.target}`),
  ];
}

function toJson({ lines, bad, decisions, rules }: Summary) {
  return {
    lines,
    bad_lines: bad,
    decisions,
    rules: rules.map(({ isMoreDevices, ...rule }) => ({
      ...rule,
      devices_is_minimum: isMoreDevices,
    })),
  };
}
