// `zonegate devices`: what the running gateway knows of devices, blocking them, asking about them again.

import { userInfo } from 'node:os';
import { type Command, Option } from 'commander';
import { compliances } from '../gateway/decision/posture.ts';
import type { DeviceRow } from '../gateway/device-row.ts';
import { type AdminAnswer, type AdminApi, findAdminApi } from './devices/admin-api.ts';
import { deviceLine, deviceText } from './devices/text.ts';
import { type ExitCode, print, say, UsageError } from './output.ts';

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

interface ListOptions extends Options {
  readonly compliance?: string;
  readonly source?: string;
  readonly blocked?: boolean;
  readonly limit: string;
  readonly cursor?: string;
}

interface BlockOptions extends Options {
  readonly reason: string;
  readonly by?: string;
  readonly until?: string;
}

export function addDevices(program: Command): void {
  const devices = program
    .command('devices')
    .description('what the running gateway knows of devices; blocks them')
    .addHelpText('before', 'Example: zonegate devices list --blocked\n');
  addList(devices);
  one(
    devices,
    'show',
    'what is known of a device, which check fails, and what mends it',
    (api, id) => api.ask('GET', pathOf(id)),
  );
  addBlock(devices);
  one(devices, 'unblock', 'let a blocked device in again', (api, id) =>
    api.ask('DELETE', `${pathOf(id)}/block`),
  );
  one(devices, 'refresh', 'ask its source about a device again', (api, id) =>
    api.ask('POST', `${pathOf(id)}/refresh`),
  );
  for (const command of devices.commands) command.exitOverride();
}

function pathOf(id: string): string {
  return `/devices/${encodeURIComponent(id)}`;
}

function addList(devices: Command): void {
  common(devices.command('list'))
    .description('the devices that were asked about, in the order of their ids')
    .addOption(new Option('--compliance <state>', 'only these').choices(compliances))
    .option('--source <name>', 'only those this source knows')
    .option('--blocked', 'only those that are blocked')
    .option('--no-blocked', 'only those that are not')
    .option('--limit <count>', 'at most so many, up to 1000', '100')
    .option('--cursor <cursor>', 'go on where another list ended')
    .addHelpText('before', 'Example: zonegate devices list --compliance non_compliant\n')
    .action(async (options: ListOptions, command: Command) => {
      process.exitCode = await list(options, command.getOptionValueSource('blocked') === 'cli');
    });
}

function addBlock(devices: Command): void {
  common(devices.command('block'))
    .description('refuse a device from now on, and cut its tunnels')
    .argument('<device>', 'its id, as in its certificate')
    .requiredOption('--reason <text>', 'why: for operators, never for the device')
    .option('--by <name>', 'who blocks it; the user of this machine if not said')
    .option('--until <moment>', 'when it ends by itself, for example 2026-12-01T08:00:00Z')
    .addHelpText(
      'before',
      'Example: zonegate devices block 00008110-000a1b2c3d4e5f60 --reason "lost"\n',
    )
    .action(async (id: string, options: BlockOptions) => {
      const { reason, by = userInfo().username, until = null } = options;
      const body = { reason, by, until };
      process.exitCode = await withApi(
        options,
        (api) => api.ask<DeviceRow>('POST', `${pathOf(id)}/block`, body),
        showOne,
      );
    });
}

type Ask = (api: AdminApi, id: string) => Promise<AdminAnswer<DeviceRow>>;

function one(devices: Command, name: string, description: string, ask: Ask): void {
  common(devices.command(name))
    .description(description)
    .argument('<device>', 'its id, as in its certificate')
    .addHelpText('before', `Example: zonegate devices ${name} 00008110-000a1b2c3d4e5f60\n`)
    .action(async (id: string, options: Options) => {
      process.exitCode = await withApi(options, (api) => ask(api, id), showOne);
    });
}

function common(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file of the gateway')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExit code: 0 done, 1 the gateway says no, 2 wrong usage.');
}

function showOne(row: DeviceRow): void {
  print(deviceText(row));
}

async function withApi<T>(
  options: Options,
  ask: (api: AdminApi) => Promise<AdminAnswer<T>>,
  show: (body: T) => void,
): Promise<ExitCode> {
  const api = await findAdminApi(options.config);
  if (api === null) return 2;
  const answer = await ask(api);
  if (answer.ok) {
    if (options.json === true) print(JSON.stringify(answer.body));
    else show(answer.body);
    return 0;
  }
  const { status, problem } = answer;
  if (options.json === true) print(JSON.stringify(problem));
  const details = (problem.errors ?? []).map(({ detail, pointer }) => `${pointer}: ${detail}`);
  const text = [problem.detail, ...details].join('; ');
  if (status === 400 || status === 422) throw new UsageError(text);
  say(`zonegate: ${text}`);
  return 1;
}

interface DeviceList {
  readonly items: readonly DeviceRow[];
  readonly next_cursor: string | null;
}

async function list(options: ListOptions, isBlockedSaid: boolean): Promise<ExitCode> {
  const { compliance, source, blocked, limit, cursor } = options;
  const query = new URLSearchParams({ limit });
  const wanted = {
    compliance,
    source,
    cursor,
    blocked: isBlockedSaid ? String(blocked) : undefined,
  };
  for (const [name, value] of Object.entries(wanted)) {
    if (value !== undefined) query.set(name, value);
  }
  return await withApi(
    options,
    (api) => api.ask<DeviceList>('GET', `/devices?${query.toString()}`),
    ({ items, next_cursor: next }) => {
      for (const item of items) print(deviceLine(item));
      if (next !== null) say(`more with --cursor ${next}`);
    },
  );
}
