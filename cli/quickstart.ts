// `zonegate quickstart`: a state folder, the stand-in UEM, the gateway and the sign-in service, and lines to try.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { join, resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { createLog } from '../runtime/log.ts';
import { loadEverything, secretsOf } from './load.ts';
import { explainListenError, plural, print, say, sayIssues, UsageError } from './output.ts';
import { uemDevices } from './quickstart/devices.ts';
import { configFileIn, makeFolder } from './quickstart/folder.ts';
import { linesToTry } from './quickstart/lines.ts';
import { createStandInUem, type StandInUem } from './quickstart/stand-in-uem.ts';
import { type Ports, quickstartEgress } from './quickstart/templates.ts';
import { runProcess } from './serve.ts';
import { startProcess } from './zonegate-process.ts';

interface Options {
  readonly state: string;
  readonly portBase: number;
}

const defaultPortBase = 8443;

export function addQuickstart(program: Command): void {
  program
    .command('quickstart')
    .description('make a working set-up in a folder, run it, and print what to try')
    .option('--state <folder>', 'where everything is kept', 'state')
    .option(
      '--port-base <port>',
      'first of the ports used; only for a new folder',
      parsePort,
      defaultPortBase,
    )
    .addHelpText('before', 'Example: zonegate quickstart --state ~/zonegate --port-base 9443\n')
    .action(async (options: Options) => {
      process.exitCode = await quickstart(options);
    });
}

export function portsFrom(base: number): Ports {
  return { device: base, idp: base + 2, admin: base + 3, uem: base + 4 };
}

async function quickstart({ state, portBase }: Options): Promise<number> {
  const ports = portsFrom(portBase);
  await checkEgressAddress();
  const progress = (done: string) => say(`  made ${done}`);
  const isThere = existsSync(configFileIn(state));
  say(isThere ? `using the folder ${state}` : `making the folder ${state} …`);
  const isMade = await makeFolder({ folder: state, ports, progress });
  if (!isMade && !isThere) say(`using the folder ${state}, which another quickstart has made`);

  const file = configFileIn(state);
  const read = await loadEverything(file);
  if (!read.ok) {
    sayIssues(
      read.issues,
      `not started: ${plural(read.issues.length, 'issue')} in the configuration`,
    );
    return 2;
  }
  const { all } = read;
  // The folder was made, or edited, for its own ports.
  const used = portsIn(
    all.gateway?.config,
    all.idp?.config.listen.port,
    all.common.admin.listen.port,
  );
  if (!isMade && portBase !== defaultPortBase && portBase !== used.device) {
    say(`it was made for port ${used.device}: --port-base is for new folders`);
  }
  const busy = `stop it, or use other ports: npm start -- --port-base ${portBase + 1000} --state ${state}-${portBase + 1000}`;
  const log = createLog({
    level: all.common.log.level,
    secrets: secretsOf(all),
    file: join(state, 'zonegate.log'),
  });
  const started: { close(): Promise<void> }[] = [];
  try {
    const uem = await startUem(state, used);
    started.push(uem);
    const running = await startProcess(all, log);
    const lines = linesToTry(resolve(state), used);
    const code = await runProcess(running, all, log, () => print(lines));
    await uem.close();
    return code;
  } catch (error) {
    for (const part of started) await part.close();
    throw explainListenError(error, busy);
  }
}

/** The folder may have been made, or edited, for other ports than the flags say: its word counts. */
function portsIn(
  gateway:
    | {
        listeners: { device: { port: number } };
        posture: { source: { kind: string; url?: string } | null };
      }
    | undefined,
  idp: number | undefined,
  admin: number,
): Ports {
  const url = gateway?.posture.source?.url;
  if (gateway === undefined || idp === undefined || url === undefined) {
    throw new UsageError(
      'the folder no longer has the gateway, the sign-in service and the stand-in UEM of quickstart; run it with `zonegate serve`',
    );
  }
  return { device: gateway.listeners.device.port, idp, admin, uem: Number(new URL(url).port) };
}

export async function startUem(folder: string, ports: Ports): Promise<StandInUem> {
  const secret = async (name: string) =>
    (await readFile(join(folder, 'secrets', name), 'utf8')).trim();
  return await createStandInUem({
    port: ports.uem,
    devices: uemDevices(),
    oauth: { clientId: 'zonegate', clientSecret: await secret('uem-client-secret') },
    basic: null,
    tenantCode: 'quickstart',
    event: {
      url: `http://127.0.0.1:${ports.admin}/webhooks/workspace-one/uem`,
      username: 'uem',
      password: await secret('webhook-password'),
    },
  });
}

/** Linux has all of 127.0.0.0/8; macOS only what it was given. */
export async function checkEgressAddress(): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const probe = net.createServer().once('error', reject);
  probe.listen({ host: quickstartEgress, port: 0 }, () => probe.close(() => resolve()));
  try {
    await promise;
  } catch (cause) {
    const fix = `add it first, on macOS: sudo ifconfig lo0 alias ${quickstartEgress}`;
    throw new UsageError(
      `this machine has no address ${quickstartEgress}, which quickstart uses as its egress address; ${fix}`,
      { cause },
    );
  }
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_000) return port;
  throw new InvalidArgumentError('expected a port from 1 to 65000');
}
