// A proxy that takes part, the gateway or a peer: how it is started, found listening, and stopped by its process id.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, closeSync, constants, openSync } from 'node:fs';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import net from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Where it finds its settings. */
export interface Site {
  /** Holds `server.pem`, `server.key`, and `ca.pem`, which issued the devices' certificates. */
  readonly certs: string;
  /** Its own scratch folder. */
  readonly folder: string;
  readonly port: number;
  readonly origin: string;
}

export interface Contender {
  readonly name: string;
  /** Names of cases it cannot do. */
  readonly unable: readonly string[];
  /** What to do so that it can be measured here; null when it can. */
  missing(): string | null;
  /** Writes its settings; returns the command that runs it in the foreground. */
  prepare(site: Site): Promise<readonly [program: string, ...args: string[]]>;
}

export interface Running {
  readonly contender: Contender;
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

const startMs = 15_000;
const stopMs = 5000;

export async function start(contender: Contender, site: Omit<Site, 'port'>): Promise<Running> {
  // Some peers give up root: what they write must be open to whom they become.
  await mkdir(site.folder, { recursive: true });
  await chmod(site.folder, 0o777);
  // Another program may take the port before the proxy does; then the proxy does not start, and says so.
  const port = await freePort();
  const command = await contender.prepare({ ...site, port });
  const log = join(site.folder, 'output.log');
  const { child, pid, stop } = launch(command, log);
  const deadline = performance.now() + startMs;
  while (!(await listens(port))) {
    if (child.exitCode === null && child.signalCode === null && performance.now() < deadline) {
      await delay(50);
      continue;
    }
    await stop();
    const said = (await readFile(log, 'utf8')).trim().split('\n').slice(-3).join('; ');
    throw new Error(`${contender.name} does not start: ${said || 'it said nothing'}`);
  }
  return { contender, pid, port, stop };
}

/** Its output goes to a file, as in production, and is never read here while it is measured. */
export function launch([program, ...args]: readonly [string, ...string[]], log: string) {
  const output = openSync(log, 'a', 0o666);
  // A process group of its own: stopping it stops the processes it has made, and nobody else's.
  const child = spawn(program, args, { detached: true, stdio: ['ignore', output, output] });
  closeSync(output);
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot run \`${program}\``);
  running.add(pid);
  child.once('exit', () => running.delete(pid));
  return { child, pid, stop: () => stopChild(child, pid) };
}

const running = new Set<number>();

/** The last resort when the benchmark itself is ended. */
export function killAll(): void {
  for (const pid of running) signal(pid, 'SIGKILL');
}

async function stopChild(child: ChildProcess, pid: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  signal(pid, 'SIGTERM');
  const late = setTimeout(() => signal(pid, 'SIGKILL'), stopMs);
  await exited;
  clearTimeout(late);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch {
    // It has gone by itself.
  }
}

/** The path of an installed program; null when there is none. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin'];
  const found = folders.map((folder) => join(folder, name)).find(isExecutable);
  return found ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export async function listens(port: number): Promise<boolean> {
  const socket = net.connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
