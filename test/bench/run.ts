// The benchmark: the gateway and whichever peers are installed, with equal settings, in turns; one table.

import { chmod, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import type { Case, Effort } from './cases.ts';
import { type Contender, killAll, type Running, start } from './contender.ts';
import { gateway } from './gateway.ts';
import { createLoadGenerator, type LoadGenerator, measureDecisions } from './load-generator.ts';
import { help, type Options, readOptions, WrongUse } from './options.ts';
import { formatTable, type Measured, rowsOf } from './table.ts';

const say = (text: string): void => console.error(text);

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') return console.log(help);
  const folder = await mkdtemp(join(os.tmpdir(), 'zonegate-bench-'));
  const ended = new AbortController();
  const cleanUp = (): Promise<void> => rm(folder, { recursive: true, force: true });
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(signal, () => {
      ended.abort();
      killAll();
      void cleanUp().finally(() => process.exit(code));
    });
  }
  try {
    await measure(options, folder, ended.signal);
  } finally {
    killAll();
    await cleanUp();
  }
}

async function measure(options: Options, folder: string, signal: AbortSignal): Promise<void> {
  // Peers that give up root must get through to their own folder.
  await chmod(folder, 0o755);
  const load = await createLoadGenerator(folder, signal);
  const busy = os.loadavg()[0] ?? 0;
  if (busy > 0.5) {
    const cores = os.availableParallelism();
    say(
      `other programs are busy (load ${busy.toFixed(1)} on ${cores} cores): trust CPU figures only`,
    );
  }
  try {
    const contenders = [gateway, ...installed(options.peers)];
    const measured = await playRounds({ options, contenders, load, folder });
    print(options, contenders, measured);
  } finally {
    await load.close();
  }
}

function installed(peers: readonly Contender[]): readonly Contender[] {
  return peers.filter((peer) => {
    const missing = peer.missing();
    if (missing !== null) say(`without ${peer.name}: ${missing}`);
    return missing === null;
  });
}

interface Play {
  readonly options: Options;
  readonly contenders: readonly Contender[];
  readonly load: LoadGenerator;
  readonly folder: string;
}

/** Another order in every round, so that nobody always comes after the same neighbour. */
async function playRounds(play: Play): Promise<readonly Measured[]> {
  const measured: Measured[] = [];
  for (let round = 1; round <= play.options.rounds; round += 1) {
    const turn = (round - 1) % play.contenders.length;
    const order = [...play.contenders.slice(turn), ...play.contenders.slice(0, turn)];
    measured.push(...(await playRound(play, order, round)));
  }
  return measured;
}

async function playRound(
  { options, load, folder }: Play,
  order: readonly Contender[],
  round: number,
): Promise<readonly Measured[]> {
  const running = await startAll(order, load, join(folder, `round-${round}`));
  const measured: Measured[] = [];
  try {
    for (const one of options.cases) {
      const able = running.filter((each) => canDo(each.contender, one));
      for (const each of able) {
        const report = await measureOne(one, each, load, options.effort);
        if (report === null) continue;
        measured.push({ round, case: one.name, contender: each.contender.name, report });
      }
      say(`round ${round} of ${options.rounds}: ${one.name}`);
    }
  } finally {
    await Promise.all(running.map((each) => each.stop()));
  }
  return measured;
}

function canDo(contender: Contender, one: Case): boolean {
  if (one.tool === 'decide' || one.h2) return contender === gateway;
  return !contender.unable.includes(one.name);
}

/** A peer that does not start, or lets strangers through, is left out: its work would not be the same. */
async function startAll(
  order: readonly Contender[],
  load: LoadGenerator,
  folder: string,
): Promise<readonly Running[]> {
  const running: Running[] = [];
  for (const contender of order) {
    const { certs, origin } = load;
    try {
      const one = await start(contender, { certs, origin, folder: join(folder, contender.name) });
      running.push(one);
      await load.check(one);
    } catch (error) {
      if (contender === gateway) throw error;
      say(`without ${contender.name}: ${firstLine(error)}`);
      await running.find((one) => one.contender === contender)?.stop();
    }
  }
  return running;
}

async function measureOne(one: Case, on: Running, load: LoadGenerator, effort: Effort) {
  try {
    const report =
      one.tool === 'decide'
        ? await measureDecisions(one, effort)
        : await load.measure(one, on, effort);
    const idle = one.figures.some(({ key, better }) => better === 'more' && report[key] === 0);
    if (idle) throw new Error('it did nothing in the time given');
    const { errors = 0, first_error: first = '' } = report;
    if (errors !== 0)
      say(`${on.contender.name}, ${one.name}: ${errors} errors, the first: ${first}`);
    return report;
  } catch (error) {
    if (isStopped(error)) throw error;
    say(`${on.contender.name} cannot do ${one.name}: ${firstLine(error)}`);
    return null;
  }
}

function print(
  options: Options,
  contenders: readonly Contender[],
  measured: readonly Measured[],
): void {
  const rows = rowsOf(options.cases, measured);
  if (options.json) {
    const { rounds, effort } = options;
    const machine = { node: process.version, cpus: os.availableParallelism(), load: os.loadavg() };
    const at = new Date().toISOString();
    console.log(JSON.stringify({ at, machine, rounds, effort, rows, runs: measured }, null, 2));
    return;
  }
  const names = contenders.map(({ name }) => name);
  console.log(formatTable(rows, names));
  console.log(
    '\nMedian (least–most) **ratio**: the gateway divided by this peer. ↓ less is better, ↑ more.',
  );
}

/** By a signal: that has said all there is to say. */
function isStopped(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function firstLine(error: unknown): string {
  // A failed command says why on its own standard error.
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  const text = said || (error instanceof Error ? error.message : String(error));
  return text.split('\n')[0] ?? '';
}

try {
  await main();
} catch (error) {
  if (error instanceof WrongUse) {
    say(error.message);
    process.exitCode = 2;
  } else if (!isStopped(error)) {
    say(String(error instanceof Error ? error.stack : error));
    process.exitCode = 1;
  }
}
