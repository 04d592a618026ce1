// Kept connections to origins: whose they are, what they are keyed by, when they go.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PostureFacts } from '../../../gateway/decision/posture.ts';
import { addressOf } from '../decision/policy-for.ts';
import { connectDevice, type Edge, eventually, runEdge, runOrigin } from './running-edge.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const get = (host: string): string => `GET http://${host}/ HTTP/1.1\r\nHost: a\r\n\r\n`;

const answering = (t: Parameters<typeof runOrigin>[0], host?: string, port?: number) =>
  runOrigin(
    t,
    (client) => {
      client.socket.on('data', () => client.write(ok));
    },
    host,
    port,
  );

async function ask(client: Awaited<ReturnType<typeof connectDevice>>, host: string) {
  const before = client.text().length;
  client.write(get(host));
  await client.until((text) => text.length > before && text.endsWith('ok'));
}

test('requests of one connection to one origin share its connection', async (t) => {
  const origin = await answering(t);
  const client = await connectDevice(t, await runEdge(t));
  await ask(client, `127.0.0.1:${origin.port}`);
  await ask(client, `127.0.0.1:${origin.port}`);
  assert.equal(origin.sockets.length, 1);
});

test('two devices never share a connection (H24)', async (t) => {
  const origin = await answering(t);
  const edge = await runEdge(t);
  await ask(await connectDevice(t, edge), `127.0.0.1:${origin.port}`);
  await ask(await connectDevice(t, edge), `127.0.0.1:${origin.port}`);
  assert.equal(origin.sockets.length, 2);
});

test('a name that resolves differently now gets a new connection (S08)', async (t) => {
  const first = await answering(t);
  const second = await answering(t, '127.0.0.2', first.port);
  let address = '127.0.0.1';
  const edge = await runEdge(t, { resolve: () => Promise.resolve([addressOf(address)]) });
  const client = await connectDevice(t, edge);
  await ask(client, `origin.test:${first.port}`);
  address = '127.0.0.2';
  await ask(client, `origin.test:${first.port}`);
  assert.deepEqual([first.sockets.length, second.sockets.length], [1, 1]);
});

test('two names of one address do not share a connection', async (t) => {
  const origin = await answering(t);
  const client = await connectDevice(t, await runEdge(t));
  await ask(client, `a.origin.test:${origin.port}`);
  await ask(client, `b.origin.test:${origin.port}`);
  assert.equal(origin.sockets.length, 2);
});

test('an origin that closes is dialled again for the next request', async (t) => {
  const origin = await answering(t);
  const client = await connectDevice(t, await runEdge(t));
  await ask(client, `127.0.0.1:${origin.port}`);
  origin.sockets[0]?.end();
  await eventually(() => origin.sockets[0]?.closed === true, 'it is closed');
  await ask(client, `127.0.0.1:${origin.port}`);
  assert.equal(origin.sockets.length, 2);
});

test('a device that leaves takes every kept connection with it (R06)', async (t) => {
  const origin = await answering(t);
  const client = await connectDevice(t, await runEdge(t));
  await ask(client, `a.origin.test:${origin.port}`);
  await ask(client, `b.origin.test:${origin.port}`);
  client.socket.destroy();
  await eventually(() => origin.sockets.every((one) => one.closed), 'all are closed');
});

test('a kept connection admits nobody: every request is judged (P02, D13)', async (t) => {
  const origin = await answering(t);
  const edge: Edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  await ask(client, `127.0.0.1:${origin.port}`);
  const unknown: PostureFacts = { report: null, known: true };
  edge.posture = () => Promise.resolve(unknown);
  client.write(get(`127.0.0.1:${origin.port}`));
  assert.match(await client.closed(), /HTTP\/1\.1 403 .*posture\.unknown_device/s);
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
});
