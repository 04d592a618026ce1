// Programs the end-to-end tests run: other people's (curl, openssl, promtool), and the `zonegate` command as a child.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { within } from './client.ts';

export const root = join(import.meta.dirname, '../..');

/** For the options of a test that needs a program: skipped where it is missing, and in CI a failure. */
export function program(name: string): { readonly skip: string | false } {
  const isThere = spawnSync('which', [name]).status === 0;
  if (isThere) return { skip: false };
  const missing = `\`${name}\` is not installed`;
  if (process.env['ZONEGATE_CI'] === '1') throw new Error(missing);
  return { skip: missing };
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function run(
  command: string,
  args: readonly string[],
  options: {
    readonly input?: string;
    readonly cwd?: string;
    readonly deadlineMs?: number;
  } = {},
): Promise<Ran> {
  const child = spawn(command, args, { cwd: options.cwd ?? root, env: plainEnvironment() });
  // It may answer and leave without having read all.
  child.stdin.on('error', () => undefined).end(options.input ?? '');
  const collected = collect(child);
  const { deadlineMs = 30_000 } = options;
  const [code] = (await within(once(child, 'close'), `the end of ${command}`, deadlineMs)) as [
    number,
  ];
  return { code, ...collected() };
}

/** `zonegate <args>`, to its end. */
export function zonegate(...args: readonly string[]): Promise<Ran> {
  return run(process.execPath, ['cli/main.ts', ...args]);
}

export interface RunningCommand extends AsyncDisposable {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Waits until the output has it. */
  shows(text: string | RegExp): Promise<void>;
  stop(signal: NodeJS.Signals): void;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

/** `zonegate <args>`, left running. */
export function startZonegate(...args: readonly string[]): RunningCommand {
  return startNode(['cli/main.ts', ...args]);
}

/** Node with whatever options, left running; of a long run nobody may want the output. */
export function startNode(
  args: readonly string[],
  output: 'pipe' | 'ignore' = 'pipe',
): RunningCommand {
  return startProgram(process.execPath, args, output);
}

/** Any program, left running. */
export function startProgram(
  command: string,
  args: readonly string[],
  output: 'pipe' | 'ignore' = 'pipe',
): RunningCommand {
  const child = spawn(command, args, {
    cwd: root,
    env: plainEnvironment(),
    stdio: ['ignore', output, 'pipe'],
  });
  const collected = collect(child);
  const ended = once(child, 'close').then(([code, signal]: unknown[]) => code ?? signal) as Promise<
    number | string
  >;
  const has = (text: string | RegExp): boolean => {
    const { stdout, stderr } = collected();
    const all = stdout + stderr;
    return typeof text === 'string' ? all.includes(text) : text.test(all);
  };
  return {
    child,
    ended,
    stdout: () => collected().stdout,
    stderr: () => collected().stderr,
    stop: (signal) => void child.kill(signal),
    async shows(text) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const look = () => has(text) && resolve();
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', look);
      const gone = () => reject(new Error(`it ended first: ${collected().stderr}`));
      child.once('close', gone);
      look();
      await within(promise, String(text), 30_000);
      child.off('close', gone);
      for (const stream of [child.stdout, child.stderr]) stream?.off('data', look);
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function collect(child: ChildProcess): () => Pick<Ran, 'stdout' | 'stderr'> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return () => ({ stdout, stderr });
}

/** Without what would change what a program prints or where it looks. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, NO_COLOR: '1', ...(TMPDIR && { TMPDIR }) };
}
