// `zonegate serve`: runs what the configuration names until a signal.

import type { Command } from 'commander';
import { runUntilSignal } from '../runtime/lifecycle.ts';
import { createLog } from '../runtime/log.ts';
import { findConfigFile } from './config-file.ts';
import { type Everything, loadEverything, secretsOf } from './load.ts';
import { explainListenError, plural, say, sayIssues } from './output.ts';
import { startProcess, type ZonegateProcess } from './zonegate-process.ts';

export function addServe(program: Command): void {
  program
    .command('serve')
    .description('run the gateway and the sign-in service, as configured')
    .option('-c, --config <file>', 'configuration file')
    .addHelpText('before', 'Example: zonegate serve --config /etc/zonegate/zonegate.yaml\n')
    .action(async (options: { config?: string }) => {
      process.exitCode = await serve(findConfigFile(options.config));
    });
}

async function serve(file: string): Promise<number> {
  const read = await loadEverything(file);
  if (!read.ok) {
    sayIssues(
      read.issues,
      `not started: ${plural(read.issues.length, 'issue')} in the configuration`,
    );
    return 2;
  }
  say(`configuration: ${file}`);
  // Whoever started it may have gone: that is no reason to end.
  process.stderr.on('error', () => undefined);
  const log = createLog({ level: read.all.common.log.level, secrets: secretsOf(read.all) });
  const running = await start(read.all, log);
  return await runProcess(running, read.all, log);
}

export async function start(
  all: Everything,
  log: ReturnType<typeof createLog>,
): Promise<ZonegateProcess> {
  try {
    return await startProcess(all, log);
  } catch (error) {
    throw explainListenError(error, `stop it, or change the address in ${all.file}`);
  }
}

/** Runs until a signal has stopped everything; resolves with the exit code. `announce` tells people. */
export async function runProcess(
  running: ZonegateProcess,
  all: Everything,
  log: ReturnType<typeof createLog>,
  announce: () => void = () => undefined,
): Promise<number> {
  // Signals are heard before anybody is told that it runs: whoever reads that may stop it at once.
  const ended = runUntilSignal({
    parts: running.parts,
    readiness: running.readiness,
    reload: async () => void (await running.reload()),
    log,
    drainMs: all.gateway?.config.limits.drain ?? 5000,
    say,
  });
  running.readiness.set('lifecycle', 'ok');
  log.info({ 'event.name': 'zonegate.ready', 'zonegate.ports': portsOf(running) }, 'ready');
  announce();
  return await ended;
}

/** As the line `ready` names them, those that there are. */
export function portsOf({
  devices,
  idp,
  adminPort,
}: Pick<ZonegateProcess, 'devices' | 'idp' | 'adminPort'>) {
  const { http1Port = null, appPorts = [], pacPort = null } = devices ?? {};
  return {
    ...(devices === null ? {} : { device: devices.port }),
    ...(http1Port === null ? {} : { deviceHttp1: http1Port }),
    ...(appPorts.length === 0 ? {} : { apps: appPorts }),
    ...(pacPort === null ? {} : { pac: pacPort }),
    ...(idp === null ? {} : { idp: idp.port }),
    admin: adminPort,
  };
}
