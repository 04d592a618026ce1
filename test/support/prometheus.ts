// Debian's Prometheus over one gateway, with the configuration and rules of deploy/prometheus, every second.

import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, startProgram } from './program.ts';

export const prometheusFolder = join(root, 'deploy/prometheus');

export interface RuleState {
  readonly name: string;
  readonly health: 'ok' | 'err' | 'unknown';
  readonly lastError?: string;
}

export interface RunningPrometheus extends AsyncDisposable {
  /** The values of all series that an expression has now; NaN are left out. */
  query(expression: string): Promise<readonly number[]>;
  rules(): Promise<readonly RuleState[]>;
}

export async function startPrometheus(adminPort: number): Promise<RunningPrometheus> {
  const home = await mkdtemp(join(tmpdir(), 'zonegate-prometheus-'));
  const config = join(home, 'prometheus.yaml');
  for (const name of await readdir(prometheusFolder)) {
    await copyFile(join(prometheusFolder, name), join(home, name));
  }
  const example = await readFile(join(prometheusFolder, 'prometheus.example.yaml'), 'utf8');
  const quick = example
    .replace('127.0.0.1:8446', `127.0.0.1:${adminPort}`)
    .replaceAll('interval: 15s', 'interval: 1s');
  await writeFile(config, quick);
  const running = startProgram('prometheus', [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(home, 'data')}`,
    '--web.listen-address=127.0.0.1:0',
  ]);
  const dispose = async () => {
    await running[Symbol.asyncDispose]();
    await rm(home, { recursive: true });
  };
  const listening = /Listening on" address=(127\.0\.0\.1:\d+)/;
  try {
    await running.shows(listening);
    await running.shows('ready to receive web requests');
  } catch (error) {
    await dispose();
    throw error;
  }
  const address = listening.exec(running.stderr())?.[1];
  const api = async (path: string, fields: Record<string, string> = {}): Promise<unknown> => {
    const url = `http://${address}/api/v1/${path}?${new URLSearchParams(fields).toString()}`;
    const answer = (await (await fetch(url)).json()) as Answer;
    assert.equal(answer.status, 'success', `${fields['query']}: ${answer.error}`);
    return answer.data;
  };
  return {
    async query(expression) {
      const { result } = (await api('query', { query: expression })) as Vector;
      return result.map(({ value }) => Number(value[1])).filter((value) => !Number.isNaN(value));
    },
    async rules() {
      const { groups } = (await api('rules')) as { groups: { rules: RuleState[] }[] };
      return groups.flatMap(({ rules }) => rules);
    },
    [Symbol.asyncDispose]: dispose,
  };
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: unknown;
}

interface Vector {
  readonly result: readonly { readonly value: readonly [number, string] }[];
}
