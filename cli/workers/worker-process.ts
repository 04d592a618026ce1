// The program of a worker: says hello to the primary, then does what it is told, until the primary is gone.

import { runWorker } from './worker.ts';

// A terminal and a service manager signal all processes at once; the primary alone decides what that means.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

// What is said there is of no use to anybody who is gone.
process.stderr.on('error', () => undefined);

// Without a primary nobody would tell what has changed (threats P01): no last words, nor anything else that takes time.
process.prependListener('disconnect', () => process.kill(process.pid, 'SIGKILL'));

runWorker({
  send: (message) => void process.send?.(message, undefined, undefined, () => undefined),
  onMessage: (listener) => void process.on('message', listener),
  leave: () => process.exit(0),
  die: () => process.kill(process.pid, 'SIGKILL'),
});
