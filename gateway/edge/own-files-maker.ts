// Makes a file for devices in a thread of its own: with ten thousand rules it takes seconds, and connections go on meanwhile.

import { extname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { FileRequest, MadeFile } from './own-files.ts';

const program = join(import.meta.dirname, `own-files-thread${extname(import.meta.filename)}`);
/** Copying so many rules takes less than a millisecond; between two pieces whoever waits is served. */
const rulesAtOnce = 50;

export async function makeInThread({ set, ...request }: FileRequest): Promise<MadeFile> {
  const workerData = { ...request, set: { ...set, rules: [] } };
  const thread = new Worker(program, { workerData, execArgv: [] });
  // A file that nobody can fetch any more keeps no process from ending.
  thread.unref();
  const { promise, resolve, reject } = Promise.withResolvers<MadeFile>();
  thread.once('message', resolve);
  thread.once('error', reject);
  thread.once('exit', (code) => reject(new Error(`the thread ended with ${code}`)));
  for (let at = 0; at < set.rules.length; at += rulesAtOnce) {
    thread.postMessage(set.rules.slice(at, at + rulesAtOnce));
    await nextTurn();
  }
  thread.postMessage('all');
  return await promise;
}
