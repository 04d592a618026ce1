// The program of a thread that makes one file for devices: takes the rules in pieces, makes the file, and checks it.

import { parentPort, workerData } from 'node:worker_threads';
import { compileRules } from '../../dtr-rules/compile.ts';
import { makeServed } from '../../dtr-rules/profiles/kinds.ts';
import type { Rule } from '../../dtr-rules/rule.ts';
import type { FileRequest, MadeFile } from './own-files.ts';
import { runPac } from './run-pac.ts';

const { kind, set, gateway, failMode, now } = workerData as FileRequest;
const rules: Rule[] = [];

parentPort?.on('message', (piece: readonly Rule[] | 'all') => {
  if (piece !== 'all') return void rules.push(...piece);
  parentPort?.postMessage(make());
  parentPort?.close();
});

function make(): MadeFile {
  const sets = [{ ...set, rules }];
  const [compiled] = compileRules({ applications: [], sets, tests: [] }).sets;
  if (compiled === undefined) throw new Error('a rule set that was compiled is gone');
  const input = { facts: { gateway, failMode }, now, runPac };
  const { files, changesAt } = makeServed(kind, compiled, input);
  return { text: files.map(({ content }) => String(content)).join(''), changesAt };
}
