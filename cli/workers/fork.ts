// Starts worker processes that share the listening ports of this one (node:cluster).

import cluster from 'node:cluster';
import { extname, join } from 'node:path';
import type { Readable } from 'node:stream';

/** A worker as the primary holds it. */
export interface WorkerHandle {
  readonly id: number;
  readonly pid: number | null;
  /** Its log. */
  readonly output: Readable | null;
  send(message: object): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Once, however it came about: `how` says it in a word. */
  onGone(listener: (how: string) => void): void;
  kill(): void;
}

// The primary deals out connections in turn; left to the system, few of the workers get most of them.
cluster.schedulingPolicy = cluster.SCHED_RR;

export function forkWorker(): WorkerHandle {
  cluster.setupPrimary({
    exec: join(import.meta.dirname, `worker-process${extname(import.meta.filename)}`),
    args: [],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const worker = cluster.fork();
  return {
    id: worker.id,
    pid: worker.process.pid ?? null,
    output: worker.process.stdout,
    // It may be gone already, which `onGone` tells.
    send: (message) => void worker.process.send?.(message, undefined, undefined, () => undefined),
    onMessage: (listener) => void worker.on('message', listener),
    onGone(listener) {
      const { promise, resolve } = Promise.withResolvers<string>();
      // `close`, not `exit`: only then the last lines of its log have come.
      worker.process.once('close', (code: number | null, signal: string | null) => {
        resolve(signal ?? `exit code ${code}`);
      });
      worker.on('error', ({ message }) => resolve(message));
      void promise.then(listener);
    },
    kill: () => void worker.process.kill('SIGKILL'),
  };
}
