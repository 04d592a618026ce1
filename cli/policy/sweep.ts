// `zonegate policy sweep`: every user, from every place, with every kind of device, to every application, as a table.

import type { Command } from 'commander';
import { applicationsOf } from '../../idp-zone/config/parse.ts';
import type { IdpPart } from '../load.ts';
import { type ExitCode, print } from '../output.ts';
import { createAsking, type DeviceWords, deviceOf, readIdp } from './asked.ts';

interface Options {
  readonly app?: readonly string[];
  readonly user?: readonly string[];
  readonly config?: string;
  readonly csv?: boolean;
  readonly json?: boolean;
}

const devices: Readonly<Record<string, DeviceWords>> = {
  unknown: {},
  unregistered: { device: ['unregistered'] },
  unmanaged: { device: ['unmanaged', 'non-compliant'] },
  'non-compliant': { device: ['managed', 'non-compliant'] },
  compliant: { device: ['managed', 'compliant'] },
};

export function addPolicySweep(policy: Command): void {
  policy
    .command('sweep')
    .description('say of all users, places, devices and applications who could sign in')
    .option('--user <name...>', 'these users only')
    .option('--app <client...>', 'these applications only')
    .option('-c, --config <file>', 'configuration file')
    .option('--csv', 'print comma-separated values')
    .option('--json', 'print one JSON document')
    .addHelpText('before', 'Example: zonegate policy sweep --app intranet --csv\n')
    .addHelpText('after', '\nPlaces are the zones for rules, one at a time, and none of them.')
    .action(async (options: Options) => {
      process.exitCode = await sweep(options);
    });
}

interface Row {
  readonly user: string;
  readonly app: string;
  readonly place: string;
  readonly device: string;
  readonly result: string;
  readonly by: string;
}

async function sweep(options: Options): Promise<ExitCode> {
  const idp = await readIdp(options.config);
  if (idp === null) return 2;
  const rows = rowsOf(idp, options);
  if (options.json === true) print(JSON.stringify({ rows }));
  else if (options.csv === true) for (const line of toCsv(rows)) print(line);
  else for (const line of toTable(rows)) print(line);
  return 0;
}

function rowsOf(idp: IdpPart, { user, app }: Options): readonly Row[] {
  const ask = createAsking(idp);
  const now = Date.now();
  const places = idp.policy.zones
    .filter(({ usage }) => usage === 'POLICY')
    .map(({ name }) => [name]);
  const users = idp.config.users.filter(({ name }) => user?.includes(name) ?? true);
  const clients = applicationsOf(idp.config).filter((id) => app?.includes(id) ?? true);
  return users.flatMap(({ name, groups }) =>
    clients.flatMap((client) =>
      [...places, []].flatMap((zones) =>
        Object.entries(devices).map(([device, words]): Row => {
          const origin = { kind: 'zones', zones } as const;
          const question = { user: name, groups, client, origin, device: deviceOf(words), now };
          const { decision } = ask(question);
          return {
            user: name,
            app: client,
            place: zones[0] ?? '-',
            device,
            result: decision.action === 'allow' ? 'ALLOW' : decision.reason,
            by: decision.rule ?? '-',
          };
        }),
      ),
    ),
  );
}

const columns = ['user', 'app', 'place', 'device', 'result', 'by'] as const;

function toTable(rows: readonly Row[]): readonly string[] {
  const width = (column: keyof Row) =>
    Math.max(column.length, ...rows.map((row) => row[column].length));
  const widths = columns.map(width);
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(columns), ...rows.map((row) => line(columns.map((column) => row[column])))];
}

function toCsv(rows: readonly Row[]): readonly string[] {
  return [
    columns.join(','),
    ...rows.map((row) => columns.map((one) => cellOf(row[one])).join(',')),
  ];
}

// RFC 4180; a cell that a spreadsheet would take for a formula is made text.
function cellOf(text: string): string {
  const safe = /^[=+@\t\r]|^-./.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
