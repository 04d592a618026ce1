// CONNECT from the first byte to the last, over TLS.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectDevice, eventually, runEdge, runOrigin, send, statusOf } from './running-edge.ts';

const connect = (target: string): string => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
const established = 'HTTP/1.1 200 Connection Established\r\n\r\n';

test('the answer is exactly a 200 without framing, then bytes go both ways (H00)', async (t) => {
  const origin = await runOrigin(t, (client) => {
    client.until(/ping$/).then(
      () => client.write('pong'),
      () => undefined,
    );
  });
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(connect(`127.0.0.1:${origin.port}`));
  assert.equal(await client.until(/\r\n\r\n/), established);
  client.write('ping');
  assert.equal(await client.until(/pong$/), `${established}pong`);
  client.socket.end();
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  assert.deepEqual(
    ['zonegate.end', 'zonegate.bytes.sent', 'zonegate.bytes.received'].map(
      (field) => edge.lines.at(-1)?.[field],
    ),
    ['closed', 4, 4],
  );
});

test('bytes that come before the answer are delivered once, in order, after it (H11)', async (t) => {
  const origin = await runOrigin(t, (client) => {
    client.until(/^one two three$/).then(
      () => client.write('done'),
      () => undefined,
    );
  });
  const edge = await runEdge(t);
  const facts = edge.posture;
  const asked = Promise.withResolvers<void>();
  const judged = Promise.withResolvers<void>();
  edge.posture = async () => {
    asked.resolve();
    await judged.promise;
    return await facts();
  };
  const client = await connectDevice(t, edge);
  client.write(`${connect(`127.0.0.1:${origin.port}`)}one `);
  await asked.promise;
  client.write('two ');
  client.write('three');
  assert.equal(origin.sockets.length, 0);
  judged.resolve();
  assert.equal(await client.until(/done$/), `${established}done`);
});

test('a device may say everything at once and close its half (H11, R06)', async (t) => {
  const origin = await runOrigin(t, (client) => {
    client.closed().then(
      () => undefined,
      () => undefined,
    );
    client.socket.on('end', () => client.socket.end('late'));
  });
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.socket.end(`${connect(`127.0.0.1:${origin.port}`)}early`);
  assert.match(await client.closed(), /^HTTP\/1\.1 200 /);
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
});

test('nothing behind a refused CONNECT is parsed, and the answer survives it (H10)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const smuggled = `GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`;
  const client = await connectDevice(t, edge);
  client.write(connect('10.0.0.1:443') + smuggled.repeat(100));
  await client.until(/"reason":"rules.block"/);
  client.write(smuggled);
  const text = await client.closed();
  assert.equal(text.match(/HTTP\/1\.1/g)?.length, 1);
  assert.equal(statusOf(text), 403);
  assert.equal(origin.sockets.length, 0);
});

test('a CONNECT that could not be dialled is answered and closed (H10)', async (t) => {
  const edge = await runEdge(t);
  const origin = await runOrigin(t, () => undefined, '127.0.0.2');
  const text = await send(t, edge, `${connect(`127.0.0.3:${origin.port}`)}early`);
  assert.match(text, /^HTTP\/1\.1 502 .*details="dial.refused"/s);
  assert.equal(edge.tunnels.count(), 0);
});

const badTargets = [
  '127.0.0.1',
  '127.0.0.1:',
  '127.0.0.1:0',
  '127.0.0.1:65536',
  '127.0.0.1:+443',
  '127.0.0.1:0443',
  '127.0.0.1:https',
  'http://127.0.0.1:443',
  '127.0.0.1:443/',
  '127.0.0.1:443?a',
  '127.0.0.1:443#a',
  '127.0.0.1:443:443',
  '%31.origin.test:443',
  '[origin.test]:443',
  '[::1%25lo]:443',
  '127.1:443',
  '0x7f.1:443',
  '2130706433:443',
  '0177.0.0.1:443',
  'a..b:443',
  '*.origin.test:443',
  ':443',
];
for (const target of badTargets) {
  test(`the target \`${target}\` is a 400 (H09, S02, S04, S10)`, async (t) => {
    const edge = await runEdge(t, { resolve: () => assert.fail('nothing is looked up') });
    const text = await send(t, edge, `CONNECT ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
    assert.equal(statusOf(text), 400, text);
  });
}

test('a device at its limit is refused, and served again later (R08)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t, { tunnelsPerDevice: 2 });
  const target = connect(`127.0.0.1:${origin.port}`);
  const clients = [];
  for (let i = 0; i < 2; i += 1) {
    const client = await connectDevice(t, edge);
    client.write(target);
    await client.until(/200/);
    clients.push(client);
  }
  assert.match(await send(t, edge, target), /^HTTP\/1\.1 429 .*limits\.device_tunnels/s);
  clients[0]?.socket.destroy();
  await eventually(() => edge.tunnels.count() === 1, 'one has ended');
  const again = await connectDevice(t, edge);
  again.write(target);
  await again.until(/200/);
});

test('an origin that resets takes the device with it (R06)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(connect(`127.0.0.1:${origin.port}`));
  await client.until(/200/);
  await eventually(() => origin.sockets.length === 1, 'the origin is there');
  origin.sockets[0]?.resetAndDestroy();
  await client.closed();
  assert.equal(edge.tunnels.count(), 0);
});

test('a device that disappears takes the origin with it (R06)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(connect(`127.0.0.1:${origin.port}`));
  await client.until(/200/);
  client.socket.destroy();
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
});

test('an idle tunnel ends on both sides (R05)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t, { idleMs: 50 });
  const client = await connectDevice(t, edge);
  client.write(connect(`127.0.0.1:${origin.port}`));
  await client.closed();
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
  await eventually(() => edge.lines.at(-1)?.['zonegate.end'] === 'idle', 'the log says why');
});

test('a tunnel whose lifetime is over ends on both sides, however busy (R05)', async (t) => {
  const origin = await runOrigin(t, ({ socket }) => {
    socket.on('data', (chunk: Buffer) => socket.write(chunk));
  });
  const edge = await runEdge(t, { lifetimeMs: 50 });
  const client = await connectDevice(t, edge);
  client.socket.on('data', () => client.write('x'));
  client.write(connect(`127.0.0.1:${origin.port}`));
  await client.closed();
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
  await eventually(() => edge.lines.at(-1)?.['zonegate.end'] === 'lifetime', 'the log says why');
  assert.equal(edge.lines.at(-1)?.['zonegate.reason'], undefined);
  assert.equal(await edge.metric('zonegate_tunnels_ended_total{end="lifetime"}'), '1');
});

test('tunnels of one connection each do not touch one another (H24)', async (t) => {
  const origin = await runOrigin(t, (client) => {
    client.socket.on('data', (chunk) => client.write(chunk));
  });
  const edge = await runEdge(t);
  const clients = await Promise.all(Array.from({ length: 8 }, () => connectDevice(t, edge)));
  await Promise.all(
    clients.map(async (client, i) => {
      client.write(connect(`127.0.0.1:${origin.port}`));
      await client.until(/\r\n\r\n/);
      const mine = String(i).repeat(100_000);
      client.write(mine);
      assert.equal(
        await client.until((text) => text.length === established.length + mine.length),
        established + mine,
      );
    }),
  );
});

test('a device with too many connections is refused on the next, and it is closed (R08)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t, { connectionsPerDevice: 1 });
  const target = `127.0.0.1:${origin.port}`;
  const first = await connectDevice(t, edge);
  first.write(connect(target));
  await first.until(/200/);
  const plain = `GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
  for (const asked of [connect(target), plain]) {
    assert.match(await send(t, edge, asked), /^HTTP\/1\.1 429 .*limits\.device_connections/s);
  }
  assert.equal(origin.sockets.length, 1);
  first.socket.destroy();
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  const again = await connectDevice(t, edge);
  again.write(connect(target));
  await again.until(/200/);
});
