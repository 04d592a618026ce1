// `zonegate policy simulate`: whether somebody could sign in, which rule says so, and what every rule thinks of it.

import { type Command, Option } from 'commander';
import { parseAddress } from '../../dtr-rules/address.ts';
import { readMoment } from '../../dtr-rules/moment.ts';
import { applicationsOf } from '../../idp-zone/config/parse.ts';
import { platforms, risks } from '../../idp-zone/decision/conditions.ts';
import { reasons } from '../../idp-zone/decision/reasons.ts';
import type { TestOrigin } from '../../idp-zone/decision/run-tests.ts';
import type { IdpPart } from '../load.ts';
import { type ExitCode, paint, print, UsageError } from '../output.ts';
import {
  createAsking,
  type DeviceWords,
  deviceOf,
  deviceWords,
  type Question,
  readIdp,
  type Simulated,
} from './asked.ts';

interface Options extends DeviceWords {
  readonly user: string;
  readonly group?: readonly string[];
  readonly app: string;
  readonly ip?: string;
  readonly zone?: readonly string[];
  readonly at?: string;
  readonly config?: string;
  readonly json?: boolean;
}

export function addPolicySimulate(policy: Command): void {
  policy
    .command('simulate')
    .description('say whether somebody could sign in, and what every rule says')
    .requiredOption('--user <name>', 'who')
    .option('--group <group...>', 'groups, beside those the user has in the configuration')
    .requiredOption('--app <client>', 'to which application, by its client id')
    .option('--ip <address>', 'from this address')
    .option('--zone <zone...>', 'or taken to be in these zones')
    .addOption(
      new Option('--device <facts...>', 'what is known of the device').choices(
        Object.keys(deviceWords),
      ),
    )
    .addOption(new Option('--platform <platform>', 'its platform').choices(platforms))
    .option('--assurance <names...>', 'device assurance policies it satisfies')
    .addOption(new Option('--risk <level>', 'the risk').choices(risks))
    .option('--at <moment>', 'judge as at this moment, for example 2026-12-01T00:00:00Z')
    .option('-c, --config <file>', 'configuration file')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'before',
      'Example: zonegate policy simulate --user ann --app intranet --zone egress\n',
    )
    .addHelpText('after', '\nExit code: 0 could sign in, 1 could not, 2 configuration.')
    .action(async (options: Options) => {
      process.exitCode = await simulate(options);
    });
}

async function simulate(options: Options): Promise<ExitCode> {
  const idp = await readIdp(options.config);
  if (idp === null) return 2;
  const question = questionOf(options, idp);
  const simulated = createAsking(idp)(question);
  const told = { question, simulated, idp };
  print(options.json === true ? JSON.stringify(toJson(told)) : toText(told));
  return simulated.decision.action === 'allow' ? 0 : 1;
}

function questionOf(options: Options, { config, policy }: IdpPart): Question {
  const { user, app, group = [] } = options;
  const applications = applicationsOf(config);
  if (!applications.includes(app)) {
    const known = applications.join(', ');
    throw new UsageError(`there is no application \`${app}\`; applications are: ${known}`);
  }
  const unknown = (options.zone ?? []).find(
    (name) => !policy.zones.some((zone) => zone.name === name && zone.usage === 'POLICY'),
  );
  if (unknown !== undefined) throw new UsageError(`there is no zone for rules \`${unknown}\``);
  const groups = config.users.find(({ name }) => name === user)?.groups ?? [];
  return {
    user,
    groups: [...new Set([...groups, ...group])],
    client: app,
    origin: originOf(options),
    device: deviceOf(options),
    now: momentOf(options.at),
  };
}

function originOf({ ip, zone }: Options): TestOrigin {
  if ((ip === undefined) === (zone === undefined)) {
    throw new UsageError('expected either --ip or --zone');
  }
  if (zone !== undefined) return { kind: 'zones', zones: zone };
  const address = parseAddress(ip ?? '');
  if (address === null) throw new UsageError(`\`${ip}\` is not an IP address`);
  return { kind: 'address', address };
}

function momentOf(at: string | undefined): number {
  if (at === undefined) return Date.now();
  const reading = readMoment(at);
  if (reading.ok) return reading.value;
  throw new UsageError(`${reading.message}${reading.hint === null ? '' : `; ${reading.hint}`}`);
}

interface Told {
  readonly question: Question;
  readonly simulated: Simulated;
  readonly idp: IdpPart;
}

function toText({ question, simulated, idp }: Told): string {
  const { decision, evaluations, standing } = simulated;
  const { file, place } = idp.signOnFile;
  const who = `${question.user} (${question.groups.join(', ') || 'no groups'})`;
  const where = standing.zones.length === 0 ? 'no zone' : standing.zones.join(', ');
  const unknown = standing.unknownZones.map((name) => `perhaps ${name}`);
  const could = decision.action === 'allow' ? paint('green', 'could') : paint('red', 'could not');
  const by = decision.rule === null ? 'the last rule, which denies' : `\`${decision.rule}\``;
  const width = Math.max(4, ...evaluations.map(({ rule }) => rule.name.length));
  return [
    `${who} ${could} sign in to ${question.client} from ${[where, ...unknown].join(', ')}: ${by}`,
    ...(decision.action === 'allow' ? [] : [`  ${decision.reason}: ${decision.message}`]),
    ...evaluations.map(({ rule, status, conditions }, index) => {
      const says = `${rule.access}${rule.reportOnly ? ' (report only)' : ''}`;
      const why = conditions
        .filter((one) => one.status !== 'MATCH')
        .map((one) => `${one.condition} ${one.status}`);
      const line = `${file}:${place(['rules', index]).line}`;
      const mark = rule.name === decision.rule ? '>' : ' ';
      return `${mark} ${rule.name.padEnd(width)}  ${says.padEnd(5)}  ${status.padEnd(9)}  ${[...why, line].join(', ')}`;
    }),
  ].join('\n');
}

function toJson({ question, simulated, idp }: Told) {
  const { decision, evaluations, standing } = simulated;
  const reason = decision.action === 'deny' ? decision.reason : null;
  return {
    user: question.user,
    groups: question.groups,
    app: question.client,
    zones: standing.zones,
    unknown_zones: standing.unknownZones,
    action: decision.action,
    rule: decision.rule,
    reason,
    sentence: reason && reasons[reason].sentence,
    message: decision.action === 'deny' ? decision.message : null,
    help: decision.action === 'deny' ? decision.help : null,
    rules: evaluations.map(({ rule, status, conditions }, index) => ({
      name: rule.name,
      access: rule.access,
      report_only: rule.reportOnly,
      line: idp.signOnFile.place(['rules', index]).line,
      status,
      conditions,
    })),
  };
}
