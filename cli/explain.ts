// `zonegate explain`: asks the gateway's own decision function what would happen, and says which rule, where and why.

import { type Command, Option } from 'commander';
import { parseTargetText } from '../dtr-rules/parse.ts';
import { platforms, postures } from '../dtr-rules/parse-rules.ts';
import type { Target } from '../dtr-rules/rule.ts';
import type { Loaded } from '../gateway/config/load.ts';
import { refuse } from '../gateway/decision/decision.ts';
import { judgePosture } from '../gateway/decision/posture.ts';
import { judge } from '../gateway/edge/judge.ts';
import { GatewayError } from '../gateway/errors.ts';
import { type Snapshot, snapshotOf } from '../gateway/snapshot.ts';
import { findConfigFile } from './config-file.ts';
import { blockOf } from './devices/admin-api.ts';
import { adviceFor } from './explain/advice.ts';
import {
  type Assumptions,
  assumedAddresses,
  compliances,
  identityOf,
  momentOf,
  postureOf,
} from './explain/assumed.ts';
import { type Explained, placeOf, toJson, toText } from './explain/text.ts';
import { loadEverything } from './load.ts';
import { type ExitCode, plural, print, sayIssues, UsageError } from './output.ts';

interface Options extends Assumptions {
  readonly config?: string;
  readonly json?: boolean;
}

export function addExplain(program: Command): void {
  program
    .command('explain')
    .argument('<target>', 'what the device asks for, as host:port')
    .description('say whether a device may reach a target, and which rule says so')
    .option('-c, --config <file>', 'configuration file')
    .option('-d, --device <udid>', 'the device; its certificate is taken to be good')
    .option('--user <name>', 'the user in the certificate')
    .addOption(
      new Option('--posture <posture>', 'assume this instead of asking the source').choices(
        postures,
      ),
    )
    .addOption(
      new Option('--compliance <state>', 'the same in the words of posture reports')
        .choices(compliances)
        .conflicts('posture'),
    )
    .addOption(new Option('--platform <platform>', 'assume this platform, too').choices(platforms))
    .option('--group <group...>', 'assume these groups, too')
    .option('--tag <tag...>', 'assume these tags, too')
    .option('--app <app>', 'the application that asks, by name or identifier')
    .option('--at <moment>', 'judge as at this moment, for example 2026-12-01T00:00:00Z')
    .option('--address <address...>', 'assume that the name resolves to this')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'before',
      'Example: zonegate explain login.microsoftonline.com:443 --posture healthy --address 20.190.160.1\n',
    )
    .addHelpText('after', '\nExit code: 0 it would be let through, 1 it would be refused.')
    .action(async (target: string, options: Options) => {
      process.exitCode = await explain(target, options);
    });
}

async function explain(text: string, options: Options): Promise<ExitCode> {
  const target = parseTargetText(text);
  if (target === null) {
    throw new UsageError(
      `\`${text}\` is not a target; expected host:port, for example acme.okta.com:443`,
    );
  }
  const file = findConfigFile(options.config);
  const read = await loadEverything(file);
  if (!read.ok) {
    sayIssues(read.issues, plural(read.issues.length, 'issue'));
    return 2;
  }
  const { gateway, common } = read.all;
  if (gateway === null) throw new UsageError('this configuration has no gateway to explain');
  const ports = [gateway.config.listeners.device.port, common.admin.listen.port];
  const snapshot = snapshotOf(
    gateway,
    ports.map((port) => ({ address: null, port })),
  );
  try {
    const explained = await explainAssumed(target, options, { loaded: gateway, file }, snapshot);
    if (options.json === true) print(JSON.stringify(toJson(explained, gateway)));
    else print(toText(explained, gateway));
    return explained.outcome.action === 'tunnel' ? 0 : 1;
  } finally {
    snapshot.resolver.close();
  }
}

async function explainAssumed(
  target: Target,
  options: Options,
  { loaded, file }: { readonly loaded: Loaded; readonly file: string },
  snapshot: Snapshot,
): Promise<Explained> {
  const now = momentOf(options);
  const { policy } = snapshot;
  const posture = await postureOf(options, loaded, now);
  const block = options.device === undefined ? null : await blockOf(options.device, file);
  const identity = identityOf(options);
  const question = {
    identity,
    posture: { ...posture, block },
    target,
    addresses: assumedAddresses(options),
  };
  const outcome = await judgeAssumed(question, snapshot, now);
  const { platform = null, groups = [], tags = [] } = posture.report ?? {};
  const health =
    judgePosture(posture, policy.posture, now).reason === null ? 'healthy' : 'unhealthy';
  const asker = { posture: health, platform, groups, tags } as const;
  const given = { app: identity.app, now };
  const set = posture.report === null ? null : policy.rules.assign(asker);
  const place = (id: string, name: string) => placeOf(id, name, loaded) ?? name;
  const advice =
    outcome.action === 'refuse'
      ? adviceFor({ refusal: outcome, target, asker, given, rules: policy.rules, place })
      : [];
  return { target, outcome, set: set?.set.name ?? null, advice };
}

/** The same steps as for a live connection, without one; a name that cannot be resolved is a refusal too. */
async function judgeAssumed(
  question: Parameters<typeof judge>[0],
  { policy, resolver }: Snapshot,
  now: number,
): Promise<Explained['outcome']> {
  try {
    return await judge(question, policy, {
      resolver: () => resolver,
      unfit: () => new Set(),
      now: () => now,
    });
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return refuse(error.code, error.message, error.trail);
  }
}
