// A port that never completes a connection: its listener's queue is full and nobody accepts (Linux).

import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';

// The kernel accepts for a listening socket until its queue is full; a blocked thread never empties it.
const listener = `
const { workerData, parentPort } = require('node:worker_threads');
const server = require('node:net').createServer();
server.listen({ port: workerData.port, host: workerData.host, backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  Atomics.wait(workerData.gate, 0, 0);
  process.exit();
});`;

/** What is dialled there hangs until the test is over. */
export async function silentPort(t: TestContext, host = '127.0.0.1', port = 0): Promise<number> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(listener, { eval: true, workerData: { host, port, gate } });
  const [bound] = (await once(worker, 'message')) as [number];
  const fillers = await Promise.all([fill(bound, host), fill(bound, host)]);
  t.after(async () => {
    for (const filler of fillers) filler.destroy();
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
    await worker.terminate();
  });
  return bound;
}

async function fill(port: number, host: string): Promise<net.Socket> {
  const socket = net.connect(port, host);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}
