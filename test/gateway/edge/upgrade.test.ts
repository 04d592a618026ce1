// Requests that change the protocol of their connection: who may, what the origin must say, and the tunnel that follows.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  type Client,
  connectDevice,
  eventually,
  runEdge,
  runOrigin,
  statusOf,
} from './running-edge.ts';

const asking = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a2V5\r\n';
const agreeing =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: x\r\n\r\n';
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

function head(port: number, fields = asking, line = 'GET', version = '1.1'): string {
  return `${line} http://127.0.0.1:${port}/chat HTTP/${version}\r\nHost: a\r\n${fields}\r\n`;
}

/** An origin that says these bytes to a request, and what it heard. */
async function runAgreeing(t: TestContext, answer: string = agreeing) {
  const clients: Pick<Client, 'text' | 'write' | 'socket' | 'until'>[] = [];
  const origin = await runOrigin(t, (client) => {
    clients.push(client as Client);
    client.until(/\r\n\r\n/).then(
      () => client.write(answer),
      () => undefined,
    );
  });
  return { ...origin, clients, heard: () => clients.map((one) => one.text()).join() };
}

async function upgraded(t: TestContext, options: Parameters<typeof runEdge>[1] = {}) {
  const origin = await runAgreeing(t);
  const edge = await runEdge(t, options);
  const client = await connectDevice(t, edge);
  client.write(head(origin.port));
  await client.until(/\r\n\r\n/);
  return { origin, edge, client };
}

test('an upgrade goes to the origin, and its agreement comes back', async (t) => {
  const { origin, client } = await upgraded(t);
  assert.equal(
    origin.heard(),
    `GET /chat HTTP/1.1\r\nhost: 127.0.0.1:${origin.port}\r\nSec-WebSocket-Key: a2V5\r\n` +
      'upgrade: websocket\r\nconnection: upgrade\r\nvia: 1.1 gw-test\r\n\r\n',
  );
  assert.equal(
    client.text(),
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n' +
      'Sec-WebSocket-Accept: x\r\nvia: 1.1 gw-test\r\n\r\n',
  );
});

test('bytes go both ways afterwards, each half ends by itself, and both are counted', async (t) => {
  const { origin, edge, client } = await upgraded(t);
  client.write('ping');
  await origin.clients[0]?.until(/ping$/);
  origin.clients[0]?.write('pong');
  await client.until(/pong$/);
  origin.clients[0]?.socket.removeAllListeners('end');
  client.socket.end('last');
  await origin.clients[0]?.until(/last$/);
  origin.clients[0]?.socket.end('late');
  assert.match(await client.closed(), /ponglate$/);
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  const line = edge.lines.at(-1);
  assert.equal(line?.['zonegate.end'], 'closed');
  assert.deepEqual([line['zonegate.bytes.sent'], line['zonegate.bytes.received']], [8, 8]);
});

test('bytes that come early, from either side, are neither lost nor sent to anything but the tunnel', async (t) => {
  const origin = await runAgreeing(t, `${agreeing}early word`);
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(`${head(origin.port)}first`);
  await client.until(/\r\n\r\nearly word$/);
  client.write(' and second');
  await origin.clients[0]?.until(/\r\n\r\nfirst and second$/);
  client.socket.destroy();
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  const line = edge.lines.at(-1);
  assert.deepEqual([line?.['zonegate.bytes.sent'], line?.['zonegate.bytes.received']], [16, 10]);
});

test('an origin that stays with HTTP has its answer carried, and the connection ends with it (H10)', async (t) => {
  const origin = await runAgreeing(t, ok);
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(
    `${head(origin.port)}GET http://127.0.0.1:${origin.port}/second HTTP/1.1\r\nHost: a\r\n\r\n`,
  );
  const text = await client.closed();
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n.*connection: close.*ok$/is);
  assert.doesNotMatch(origin.heard(), /second/);
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  const ends = edge.lines.map((line) => line['zonegate.end']).filter((end) => end !== undefined);
  assert.deepEqual(ends, ['answered']);
});

const disagreeing: Readonly<Record<string, string>> = {
  'another protocol': agreeing.replace('WebSocket', 'other'),
  'one more protocol': agreeing.replace('WebSocket', 'websocket, other'),
  'no protocol': agreeing.replace('Upgrade: WebSocket\r\n', ''),
  'an empty protocol': agreeing.replace('WebSocket', ''),
};
for (const [name, answer] of Object.entries(disagreeing)) {
  test(`an origin that changes to ${name} is a 502 (H22)`, async (t) => {
    const origin = await runAgreeing(t, answer);
    const edge = await runEdge(t);
    const client = await connectDevice(t, edge);
    client.write(head(origin.port));
    const text = await client.closed();
    assert.match(text, /^HTTP\/1\.1 502 .*error=http_upgrade_failed; details="origin\.upgrade"/s);
    await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
    assert.equal(edge.tunnels.count(), 0);
  });
}

const plain: readonly (readonly [name: string, bytes: (port: number) => string])[] = [
  ['h2c', (port) => head(port, 'Connection: Upgrade\r\nUpgrade: h2c\r\n')],
  ['TLS', (port) => head(port, 'Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n')],
  ['HTTP/2.0', (port) => head(port, 'Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n')],
  ['no token', (port) => head(port, 'Connection: Upgrade\r\nUpgrade: web socket\r\n')],
  ['websocket in HTTP/1.0', (port) => head(port, asking, 'GET', '1.0')],
  ['websocket that Connection does not name', (port) => head(port, 'Upgrade: websocket\r\n')],
  ['websocket with a body', (port) => `${head(port, `${asking}Content-Length: 2\r\n`, 'POST')}hi`],
];
for (const [name, bytes] of plain) {
  test(`an upgrade to ${name} is the plain request that it also is (H18)`, async (t) => {
    const origin = await runAgreeing(t, ok);
    const client = await connectDevice(t, await runEdge(t));
    client.write(bytes(origin.port));
    assert.equal(statusOf(await client.until(/ok$/)), 200);
    assert.doesNotMatch(origin.heard(), /upgrade/i);
  });
}

test('of several protocols those that nobody could judge are left out', async (t) => {
  const origin = await runAgreeing(t);
  const client = await connectDevice(t, await runEdge(t));
  client.write(
    head(origin.port, 'Connection: Upgrade\r\nUpgrade: h2c, websocket, TLS/1.2, chat/2\r\n'),
  );
  await client.until(/^HTTP\/1\.1 101 /);
  assert.match(origin.heard(), /upgrade: websocket, chat\/2\r\n/);
});

test('an upgrade is judged like any request, and refused like one (D13)', async (t) => {
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(`GET http://10.0.0.1/ HTTP/1.1\r\nHost: a\r\n${asking}\r\nearly`);
  assert.match(await client.closed(), /^HTTP\/1\.1 403 .*details="rules\.block"/s);
  const odd = await connectDevice(t, edge);
  odd.write(`GET /chat HTTP/1.1\r\nHost: a\r\n${asking}\r\n`);
  assert.match(await odd.closed(), /^HTTP\/1\.1 404 /);
});

test('a tunnel made by an upgrade is cut when its device would be refused now (P03)', async (t) => {
  const { origin, edge, client } = await upgraded(t);
  assert.equal(
    edge.tunnels.rejudge(null, () => 'posture.non_compliant'),
    1,
  );
  await client.closed();
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  assert.equal(edge.lines.at(-1)?.['zonegate.reason'], 'posture.non_compliant');
});

test('a tunnel made by an upgrade ends when nothing moves in it (R05)', async (t) => {
  const { origin, edge, client } = await upgraded(t, { idleMs: 50 });
  await client.closed();
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  assert.equal(edge.lines.at(-1)?.['zonegate.end'], 'idle');
});

test('a device that leaves while the origin thinks about it leaves nothing behind (R06)', async (t) => {
  const origin = await runAgreeing(t, '');
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(head(origin.port));
  await eventually(() => origin.heard().endsWith('\r\n\r\n'), 'the request is there');
  client.socket.destroy();
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
});

test('an origin that says nothing to an upgrade is a 504 (R09)', async (t) => {
  const origin = await runAgreeing(t, '');
  const client = await connectDevice(t, await runEdge(t, { firstByteMs: 50 }));
  client.write(head(origin.port));
  assert.match(await client.closed(), /^HTTP\/1\.1 504 .*details="origin\.timeout"/s);
});

test('an upgrade behind a request that is not answered yet ends the connection (H10, H24)', async (t) => {
  const origin = await runAgreeing(t, '');
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(head(origin.port, '') + head(origin.port));
  assert.equal(await client.closed(), '');
  await eventually(() => edge.tunnels.count() === 0, 'every place is free again');
});

test('an upgrade on a kept connection takes it along', async (t) => {
  let asked = 0;
  const origin = await runOrigin(t, (client) => {
    client.socket.on('data', () => {
      asked += 1;
      client.write(asked === 1 ? ok : agreeing);
    });
  });
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(head(origin.port, ''));
  await client.until(/ok$/);
  client.write(head(origin.port));
  await client.until(/101 Switching/);
  assert.equal(origin.sockets.length, 1);
  client.write('x');
  await eventually(() => asked === 3, 'it arrived');
});
