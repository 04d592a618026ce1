// The program of a worker: says hello to the primary, then does what it is told, until the primary is gone.

import { runWorker } from './worker.ts';

// A terminal and a service manager signal all processes at once; the primary alone decides what that means.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

// Without a primary nobody would tell what has changed (threats P01). Before node:cluster's own way out: that
// runs exit handlers, and pino's tries for ever to write to the pipe that nobody reads any more.
process.prependListener('disconnect', () => process.kill(process.pid, 'SIGKILL'));

runWorker({
  send: (message) => void process.send?.(message, undefined, undefined, () => undefined),
  onMessage: (listener) => void process.on('message', listener),
  leave: () => process.exit(0),
});
