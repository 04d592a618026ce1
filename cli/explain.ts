// `zonegate explain`: asks the gateway's own decision function what would happen, and says which rule, where and why.

import { type Command, Option } from 'commander';
import { type Address, parseAddress } from '../dtr-rules/address.ts';
import { parseTargetText } from '../dtr-rules/parse.ts';
import type { Target } from '../dtr-rules/rule.ts';
import type { Loaded } from '../gateway/config/load.ts';
import { type Refusal, refuse } from '../gateway/decision/decision.ts';
import type { Identity } from '../gateway/decision/identity.ts';
import type { PostureFacts, PostureReport } from '../gateway/decision/posture.ts';
import { reasons, stageOf } from '../gateway/decision/reasons.ts';
import { formatTarget } from '../gateway/decision/target.ts';
import { type Judged, judge } from '../gateway/edge/judge.ts';
import { upstreamCandidates } from '../gateway/edge/reach.ts';
import { GatewayError } from '../gateway/errors.ts';
import { createSource } from '../gateway/posture-source.ts';
import { type Snapshot, snapshotOf } from '../gateway/snapshot.ts';
import { findConfigFile } from './config-file.ts';
import { loadEverything } from './load.ts';
import { type ExitCode, paint, plural, print, sayIssues, UsageError } from './output.ts';

const postures = ['compliant', 'non_compliant', 'not_evaluated', 'pending', 'unknown'] as const;

interface Options {
  readonly config?: string;
  readonly device?: string;
  readonly user?: string;
  readonly posture?: (typeof postures)[number];
  readonly platform?: string;
  readonly group?: readonly string[];
  readonly address?: readonly string[];
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
      new Option('--posture <state>', 'assume this instead of asking the source').choices(postures),
    )
    .option(
      '--platform <platform>',
      'with --posture: ios, macos, android, windows, chromeos, linux',
    )
    .option('--group <group...>', 'with --posture: groups of the device')
    .option('--address <address...>', 'assume that the name resolves to this')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'before',
      'Example: zonegate explain login.microsoftonline.com:443 --posture compliant --address 20.190.160.1\n',
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
  const read = await loadEverything(findConfigFile(options.config));
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
    const explained = await judgeAssumed(target, options, gateway, snapshot);
    if (options.json === true) print(JSON.stringify(toJson(target, explained, gateway)));
    else print(toText(target, explained, gateway));
    return explained.action === 'tunnel' ? 0 : 1;
  } finally {
    snapshot.resolver.close();
  }
}

/** The same steps as for a live connection, without one; a name that cannot be resolved is a refusal too. */
async function judgeAssumed(
  target: Target,
  options: Options,
  loaded: Loaded,
  snapshot: Snapshot,
): Promise<Judged | Refusal> {
  const now = Date.now;
  const posture = await postureOf(options, loaded, now());
  const question = {
    identity: identityOf(options),
    posture,
    target,
    addresses: assumedAddresses(options),
  };
  try {
    return await judge(question, snapshot.policy, {
      resolver: () => snapshot.resolver,
      upstream: (tunnel) => upstreamCandidates(tunnel, snapshot.reach, snapshot.resolver),
      now,
    });
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return refuse(error.code, error.message, error.trail);
  }
}

function assumedAddresses({ address }: Options): Address[] | null {
  if (address === undefined) return null;
  return address.map((text) => {
    const parsed = parseAddress(text);
    if (parsed === null) throw new UsageError(`\`${text}\` is not an IP address`);
    return parsed;
  });
}

function identityOf({ device, user }: Options): Identity {
  return {
    deviceId: (device ?? 'any-device').toLowerCase(),
    user: user ?? null,
    serial: null,
    app: null,
    fingerprint: 'assumed',
    certificateSerial: '',
    subjectText: '',
    notAfter: Number.MAX_SAFE_INTEGER,
  };
}

async function postureOf(options: Options, loaded: Loaded, now: number): Promise<PostureFacts> {
  const { device, posture } = options;
  if (posture === 'unknown') return { report: null, known: true };
  if (posture !== undefined) return { report: assumedReport(options, posture, now), known: true };
  if (device === undefined) {
    throw new UsageError(
      'name a device (--device UDID), or say what to assume (--posture compliant)',
    );
  }
  const source = createSource(loaded, Date.now);
  try {
    const signal = AbortSignal.timeout(loaded.config.posture.timeout);
    return { report: await source.fetch(device.toLowerCase(), signal), known: true };
  } catch (error) {
    throw new UsageError(
      `the posture source \`${source.name}\` does not answer; assume something with --posture`,
      {
        cause: error,
      },
    );
  } finally {
    await source.close();
  }
}

function assumedReport(
  { device, user, platform, group }: Options,
  compliance: PostureReport['compliance'],
  now: number,
): PostureReport {
  return {
    source: 'assumed',
    id: compliance,
    deviceId: device ?? 'any-device',
    serial: null,
    user: user ?? null,
    platform: platform ?? null,
    groups: group ?? [],
    enrollment: 'enrolled',
    compliance,
    compromised: 'no',
    lastSeen: now,
    fetchedAt: now,
  };
}

/** `dtr.yaml:12:9`, for rules that stand in the file. */
function placeOf(id: string | null, set: string | null, { rules }: Loaded): string | null {
  const found = rules.value.sets
    .filter(({ name }) => set === null || name === set)
    .flatMap((one) => one.rules)
    .find((rule) => rule.id === id);
  if (found === undefined) return null;
  const { line, column } = rules.place(found.path);
  return `${rules.file}:${line}:${column}`;
}

function toJson(target: Target, explained: Judged | Refusal, loaded: Loaded) {
  const { trail } = explained;
  const name = formatTarget(target);
  if (explained.action === 'refuse') {
    const { reason, by } = explained;
    const { status, sentence, fix } = reasons[reason];
    const at = placeOf(by, null, loaded);
    return { target: name, action: 'refuse', reason, status, by, at, sentence, fix, trail };
  }
  const { rule, set, pool, upstream } = explained.tunnel;
  const candidates = explained.candidates.map(({ address, source }) => ({
    address: address.text,
    egress_address: source.text,
  }));
  const at = placeOf(rule, set, loaded);
  return {
    target: name,
    action: 'tunnel',
    rule,
    rule_set: set,
    at,
    pool,
    upstream,
    candidates,
    trail,
  };
}

function toText(target: Target, explained: Judged | Refusal, loaded: Loaded): string {
  const name = formatTarget(target);
  const passed = explained.trail.map(({ stage, by }) => `  ${stage.padEnd(9)} passed   ${by}`);
  if (explained.action === 'refuse') {
    const { reason, by } = explained;
    const { status, sentence, fix } = reasons[reason];
    const refused = `  ${stageOf(reason).padEnd(9)} refused  ${reason}${byText(by, placeOf(by, null, loaded))}`;
    const head = paint('red', `${name}: refused (${status})`);
    return [head, ...passed, refused, `  ${sentence} ${fix}`].join('\n');
  }
  const { rule, set, upstream } = explained.tunnel;
  const by = byText(`${rule} of ${set}`, placeOf(rule, set, loaded));
  const head = paint('green', `${name}: let through${by}`);
  const through = upstream === null ? '' : `, through the upstream proxy ${upstream}`;
  const ways = explained.candidates.map(
    ({ address, source }) => `  to ${address.text} from ${source.text}${through}`,
  );
  return [head, ...passed, ...ways].join('\n');
}

function byText(by: string | null, at: string | null): string {
  return by === null ? '' : `, by ${by}${at === null ? '' : ` (${at})`}`;
}
