// The load generator: built from `tunnelbench/` with Go, makes the certificates, plays the origin, measures.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Case, Effort } from './cases.ts';
import { findProgram, freePort, launch, listens, type Running } from './contender.ts';
import { WrongUse } from './options.ts';

const run = promisify(execFile);

/** One measurement, as tunnelbench prints it with `-json`. */
export type Report = Readonly<Record<string, string | number>>;

export interface LoadGenerator {
  readonly certs: string;
  readonly origin: string;
  /** That the proxy carries a device of ours, and refuses strangers; throws when it does not. */
  check(running: Running): Promise<void>;
  measure(one: Case, running: Running, effort: Effort): Promise<Report>;
  close(): Promise<void>;
}

// More than workers of any case, so that no two use one device.
const devices = 16;

export async function createLoadGenerator(
  folder: string,
  signal: AbortSignal,
): Promise<LoadGenerator> {
  const program = await build(folder);
  const certs = join(folder, 'certs');
  await run(program, ['certs', '-out', certs, '-clients', String(devices)]);
  const port = await freePort();
  const origin = `127.0.0.1:${port}`;
  const played = launch([program, 'origin', '-listen', origin], join(folder, 'origin.log'));
  while (!(await listens(port))) await delay(20);

  const against = (running: Running): readonly string[] => {
    const where = ['-proxy', `127.0.0.1:${running.port}`, '-pid', String(running.pid)];
    return [
      ...where,
      '-origin',
      origin,
      '-certs',
      certs,
      '-label',
      running.contender.name,
      '-json',
    ];
  };
  return {
    certs,
    origin,
    async check(running) {
      await run(program, ['check', ...against(running)], { timeout: 60_000, signal });
    },
    async measure(one, running, effort) {
      const timeout = (effort.seconds + effort.warmupSeconds + 120) * 1000;
      const args = [...one.args(effort), ...against(running)];
      const { stdout } = await run(program, args, { timeout, signal });
      return readReport(stdout);
    },
    close: played.stop,
  };
}

/** Decisions need no proxy: a process of their own, which reports in the same way. */
export async function measureDecisions(one: Case, effort: Effort): Promise<Report> {
  const script = join(import.meta.dirname, 'decide.ts');
  const timeout = (effort.seconds + 60) * 1000;
  const { stdout } = await run(process.execPath, [script, ...one.args(effort)], { timeout });
  return readReport(stdout);
}

async function build(folder: string): Promise<string> {
  const go = findProgram('go');
  if (go === null) throw new WrongUse('the load generator needs Go: apt-get install golang-go');
  const program = join(folder, 'tunnelbench');
  await run(go, ['build', '-o', program, '.'], {
    cwd: join(import.meta.dirname, 'tunnelbench'),
    // Neither the repository's state nor another version of Go plays a part in it.
    env: { ...process.env, GOFLAGS: '-buildvcs=false', GOTOOLCHAIN: 'local' },
  });
  return program;
}

function readReport(text: string): Report {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new Error('not a report');
  const isFact = (entry: [string, unknown]): entry is [string, string | number] =>
    typeof entry[1] === 'string' || typeof entry[1] === 'number';
  return Object.fromEntries(Object.entries(value).filter(isFact));
}
