// The demo's world: a fresh state folder on free ports, the stand-in UEM, the gateway and the sign-in service.

import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '../../runtime/log.ts';
import { loadEverything, secretsOf } from '../load.ts';
import { sayIssues, UsageError } from '../output.ts';
import { configFileIn, makeFolder } from '../quickstart/folder.ts';
import type { StandInUem } from '../quickstart/stand-in-uem.ts';
import { idpHost, type Ports } from '../quickstart/templates.ts';
import { checkEgressAddress, startUem } from '../quickstart.ts';
import { startProcess, type ZonegateProcess } from '../zonegate-process.ts';

export type LogLine = Readonly<Record<string, unknown>>;

export interface World {
  readonly folder: string;
  readonly ports: Ports;
  readonly issuer: string;
  readonly uem: StandInUem;
  readonly process: ZonegateProcess;
  /** PEM of the authority of the gateway's and the sign-in service's certificates. */
  readonly serverAuthority: string;
  /** What has been logged so far, oldest first. */
  readonly log: readonly LogLine[];
  file(name: string): Promise<string>;
  close(): Promise<void>;
}

export async function createWorld(): Promise<World> {
  await checkEgressAddress();
  const home = await mkdtemp(join(tmpdir(), 'zonegate-demo-'));
  const folder = join(home, 'state');
  const closers: (() => Promise<void>)[] = [() => rm(home, { recursive: true, force: true })];
  const close = async () => {
    for (const one of closers.toReversed()) await one();
  };
  try {
    const ports = await findFreePorts();
    await makeFolder({ folder, ports, progress: () => undefined });
    const read = await loadEverything(configFileIn(folder));
    if (!read.ok) {
      sayIssues(read.issues, 'the demo wrote a configuration it cannot read');
      throw new UsageError('this is a fault in zonegate');
    }
    const lines: LogLine[] = [];
    const stream = { write: (line: string) => void lines.push(JSON.parse(line) as LogLine) };
    const log = createLog({ level: 'info', secrets: secretsOf(read.all), stream });
    const uem = await startUem(folder, ports);
    closers.push(() => uem.close());
    const running = await startProcess(read.all, log);
    closers.push(() => running.close());
    running.readiness.set('lifecycle', 'ok');
    return {
      folder,
      ports,
      uem,
      log: lines,
      process: running,
      close,
      issuer: `https://${idpHost}:${ports.idp}`,
      serverAuthority: await readFile(join(folder, 'certs/server-ca.pem'), 'utf8'),
      file: (name) => readFile(join(folder, name), 'utf8'),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Held open together, so that no two are the same. */
async function findFreePorts(): Promise<Ports> {
  const servers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const server = net.createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  const [device = 0, idp = 0, admin = 0, uem = 0] = ports;
  return { device, idp, admin, uem };
}
