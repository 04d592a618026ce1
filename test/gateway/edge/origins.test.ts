// Kept connections to origins: whose they are, what they are keyed by, when they go.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { PostureFacts } from '../../../gateway/decision/posture.ts';
import type { Way } from '../../../gateway/edge/admit.ts';
import { originOf } from '../../../gateway/edge/origins.ts';
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

/** Closes, or resets, a connection upon its second request; `also` comes before that. */
function closingUponSecond(t: TestContext, how: 'end' | 'resetAndDestroy', also = '') {
  return runOrigin(t, (client) => {
    let requests = 0;
    client.socket.on('data', () => {
      requests += 1;
      if (requests === 1) return client.write(ok);
      if (also === '') return client.socket[how]();
      return client.socket.end(also);
    });
  });
}

for (const how of ['end', 'resetAndDestroy'] as const) {
  test(`a kept connection that ends as a request is sent: asked once more (${how})`, async (t) => {
    const origin = await closingUponSecond(t, how);
    const edge = await runEdge(t);
    const client = await connectDevice(t, edge);
    await ask(client, `127.0.0.1:${origin.port}`);
    await ask(client, `127.0.0.1:${origin.port}`);
    assert.equal(client.text().split('HTTP/1.1 200 OK').length, 3);
    assert.equal(origin.sockets.length, 2);
    await ask(client, `127.0.0.1:${origin.port}`);
    assert.equal(origin.sockets.length, 3);
    await eventually(() => edge.tunnels.count() === 0, 'every place is free again');
  });
}

test('an answer that has begun is not asked for again', async (t) => {
  const origin = await closingUponSecond(t, 'end', 'HTTP/1.1 2');
  const client = await connectDevice(t, await runEdge(t));
  await ask(client, `127.0.0.1:${origin.port}`);
  client.write(get(`127.0.0.1:${origin.port}`));
  assert.match(await client.closed(), /HTTP\/1\.1 502 .*origin\.incomplete/s);
  assert.equal(origin.sockets.length, 1);
});

test('a new connection that ends without a word is not tried again', async (t) => {
  const origin = await runOrigin(t, (client) => {
    client.socket.on('data', () => client.socket.end());
  });
  const client = await connectDevice(t, await runEdge(t));
  client.write(get(`127.0.0.1:${origin.port}`));
  assert.match(await client.closed(), /^HTTP\/1\.1 502 .*origin\.incomplete/s);
  assert.equal(origin.sockets.length, 1);
});

test('an origin that is gone when it is asked once more is a 502', async (t) => {
  const origin = await closingUponSecond(t, 'end');
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  await ask(client, `127.0.0.1:${origin.port}`);
  origin.stop();
  client.write(get(`127.0.0.1:${origin.port}`));
  assert.match(await client.closed(), /HTTP\/1\.1 502 .*origin\.incomplete/s);
  await eventually(() => edge.tunnels.count() === 0, 'every place is free again');
});

test('what must not be asked twice goes over a new connection (RFC 9110 section 9.2.2)', async (t) => {
  const origin = await closingUponSecond(t, 'end');
  const client = await connectDevice(t, await runEdge(t));
  const host = `127.0.0.1:${origin.port}`;
  await ask(client, host);
  for (const line of ['POST', 'PUT']) {
    const before = client.text().length;
    client.write(`${line} http://${host}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi`);
    await client.until((text) => text.length > before && text.endsWith('ok'));
  }
  assert.equal(origin.sockets.length, 3);
});

test('a device that leaves while its request is sent once more takes that along (R06)', async (t) => {
  const origin = await closingUponSecond(t, 'end');
  const edge = await runEdge(t);
  const { reach } = edge.parts;
  const dialling = Promise.withResolvers<Way['signal']>();
  let dials = 0;
  Object.assign(edge.parts, {
    reach(way: Way) {
      dials += 1;
      if (dials === 1) return reach(way);
      dialling.resolve(way.signal);
      return new Promise((_, reject) => {
        way.signal.addEventListener('abort', () => reject(way.signal.reason));
      });
    },
  });
  const client = await connectDevice(t, edge);
  await ask(client, `127.0.0.1:${origin.port}`);
  client.write(get(`127.0.0.1:${origin.port}`));
  const signal = await dialling.promise;
  client.socket.destroy();
  await eventually(() => signal.aborted && edge.tunnels.count() === 0, 'nobody dials any more');
});

test('a request that is sent once more goes to the judged address only', async (t) => {
  const origin = await closingUponSecond(t, 'end');
  const edge = await runEdge(t);
  const { reach } = edge.parts;
  const ways: Way[] = [];
  Object.assign(edge.parts, {
    reach(way: Way) {
      ways.push(way);
      return reach(way);
    },
    resolver: () => ({
      resolve: () => Promise.resolve([addressOf('127.0.0.1'), addressOf('127.0.0.2')]),
    }),
  });
  const client = await connectDevice(t, edge);
  await ask(client, `origin.test:${origin.port}`);
  await ask(client, `origin.test:${origin.port}`);
  const dialled = ways.map(({ candidates }) => candidates.map(({ address }) => address.text));
  assert.deepEqual(dialled, [['127.0.0.1', '127.0.0.2'], ['127.0.0.1']]);
});

test('a device that leaves takes every kept connection with it (R06)', async (t) => {
  const origin = await answering(t);
  const client = await connectDevice(t, await runEdge(t));
  await ask(client, `a.origin.test:${origin.port}`);
  await ask(client, `b.origin.test:${origin.port}`);
  client.socket.destroy();
  await eventually(() => origin.sockets.every((one) => one.closed), 'all are closed');
});

test('a device that goes through many hosts keeps few connections (R10)', async (t) => {
  const origin = await answering(t);
  const client = await connectDevice(t, await runEdge(t));
  for (let i = 0; i < 12; i += 1) await ask(client, `h${i}.origin.test:${origin.port}`);
  await eventually(
    () => origin.sockets.filter((one) => !one.closed).length === 8,
    'eight are kept',
  );
  // Those that are kept serve on.
  await ask(client, `h0.origin.test:${origin.port}`);
  assert.equal(origin.sockets.length, 12);
});

test('a connection that nobody asks anything is not kept for long (R10)', async (t) => {
  const origin = await answering(t);
  const socket = net.connect(origin.port, '127.0.0.1');
  await once(socket, 'connect');
  const device = new net.Socket() as TLSSocket;
  const loopback = addressOf('127.0.0.1');
  const candidate = { address: loopback, source: loopback, neighbours: [] };
  const tunnel = { upstream: null, sources: { v4: [loopback], v6: [] } };
  const way = { tunnel, candidates: [candidate] } as unknown as Way;
  const wanted = { url: 'http://origin.test', isRepeatable: true };
  const borrow = () =>
    originOf(device, way, wanted, () =>
      Promise.resolve({ carrier: socket, candidate, server: null }),
    );
  (await borrow()).carrier.release();
  assert.equal(socket.timeout, 4000);
  const { carrier } = await borrow();
  assert.equal(socket.timeout, 0);
  carrier.release();
  socket.emit('timeout');
  assert.ok(socket.destroyed);
});

test('a kept connection through a server that is no longer listed carries no other request', async (t) => {
  const origin = await answering(t);
  const device = new net.Socket() as TLSSocket;
  t.after(() => device.emit('close'));
  const loopback = addressOf('127.0.0.1');
  const candidate = { address: loopback, source: loopback, neighbours: [] };
  const tunnel = { upstream: 'pair', sources: { v4: [loopback], v6: [] } };
  const wanted = { url: 'http://origin.test', isRepeatable: true };
  let dials = 0;
  const borrow = async (...servers: string[]) => {
    const way = { tunnel, candidates: [], servers: new Set(servers) } as unknown as Way;
    const { carrier, server } = await originOf(device, way, wanted, async () => {
      dials += 1;
      const socket = net.connect(origin.port, '127.0.0.1');
      await once(socket, 'connect');
      return { carrier: socket, candidate, server: servers[0] ?? null };
    });
    carrier.release();
    return server;
  };
  assert.equal(await borrow('a:1', 'b:1'), 'a:1');
  assert.equal(await borrow('b:1', 'a:1'), 'a:1');
  assert.equal(dials, 1);
  assert.equal(await borrow('b:1'), 'b:1');
  assert.equal(dials, 2);
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
