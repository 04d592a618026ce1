// The device listener under strangers: what it takes, how long it waits, what it survives.

import assert from 'node:assert/strict';
import { constants } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import type tls from 'node:tls';
import { listen } from '../../../gateway/edge/listen.ts';
import {
  collect,
  connectDevice,
  type Edge,
  eventually,
  runAnswering,
  runEdge,
  runOrigin,
  statusOf,
} from './running-edge.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

async function connectPlain(t: TestContext, edge: Edge) {
  const socket = net.connect(edge.port, '127.0.0.1');
  const client = collect(t, socket);
  await once(socket, 'connect');
  return client;
}

test('a silent connection is closed at the handshake limit (R02)', async (t) => {
  const edge = await runEdge(t, { limits: { handshakeTimeoutMs: 50 } });
  const client = await connectPlain(t, edge);
  assert.equal(await client.closed(), '');
});

test('a handshake that is begun and not finished is closed at the limit (R02, T16)', async (t) => {
  const edge = await runEdge(t, { limits: { handshakeTimeoutMs: 50 } });
  const client = await connectPlain(t, edge);
  client.write(Buffer.from([0x16, 0x03, 0x01, 0x00]));
  await client.closed();
});

for (const [name, bytes] of [
  ['plain HTTP', 'CONNECT origin.test:443 HTTP/1.1\r\nHost: origin.test:443\r\n\r\n'],
  ['garbage', '\x00\x01\x02\x03\x04\x05\x06\x07 garbage'],
  ['SSLv2', '\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80'],
  ['a record that is too long', '\x16\x03\x01\xff\xff'],
  ['a PROXY header nobody configured', 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n'],
] as const) {
  test(`${name} on the TLS port is closed, nothing forwarded (T15)`, async (t) => {
    const edge = await runEdge(t, { limits: { handshakeTimeoutMs: 100 } });
    const client = await connectPlain(t, edge);
    client.write(Buffer.from(bytes, 'latin1'));
    assert.doesNotMatch(await client.closed(), /HTTP/);
    assert.equal(edge.lines.filter((one) => one['event.name'] === 'zonegate.admit').length, 0);
  });
}

const weak: readonly (readonly [name: string, options: tls.ConnectionOptions])[] = [
  ['TLS 1.1', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }],
  ['TLS 1.0', { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }],
  ['CBC', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0' }],
  ['RSA key exchange', { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256:@SECLEVEL=0' }],
  ['no authentication', { maxVersion: 'TLSv1.2', ciphers: 'aNULL:@SECLEVEL=0' }],
  ['no encryption', { maxVersion: 'TLSv1.2', ciphers: 'eNULL:@SECLEVEL=0' }],
  ['a protocol nobody offered', { ALPNProtocols: ['imap'] }],
];
for (const [name, options] of weak) {
  test(`${name} does not get through the handshake (T14, T18)`, async (t) => {
    const edge = await runEdge(t);
    await assert.rejects(connectDevice(t, edge, options));
  });
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a device is served over ${version} (T00)`, async (t) => {
    const origin = await runAnswering(t, ok);
    const edge = await runEdge(t);
    const client = await connectDevice(t, edge, { minVersion: version, maxVersion: version });
    client.write(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
    assert.equal(statusOf(await client.until(/ok$/)), 200);
  });
}

test('renegotiation is refused (T14)', async (t) => {
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge, {
    maxVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION,
  });
  const { promise, resolve } = Promise.withResolvers<unknown>();
  client.socket.once('error', resolve);
  client.socket.renegotiate({}, resolve);
  assert.ok((await promise) instanceof Error);
});

test('a head that does not end is closed at the head limit (R03)', async (t) => {
  const edge = await runEdge(t, { limits: { headTimeoutMs: 60 } });
  const client = await connectDevice(t, edge);
  client.write('GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: a\r\nX: ');
  await client.closed();
});

test('a connection without a request is closed at the head limit (R04)', async (t) => {
  const edge = await runEdge(t, { limits: { headTimeoutMs: 60 } });
  const client = await connectDevice(t, edge);
  assert.equal(await client.closed(), '');
});

test('empty lines are no request (H20)', async (t) => {
  const edge = await runEdge(t, { limits: { headTimeoutMs: 60 } });
  const client = await connectDevice(t, edge);
  const drip = setInterval(() => client.write('\r\n'), 5);
  t.after(() => clearInterval(drip));
  await client.closed();
});

test('a connection is closed when it has been idle between requests (R04)', async (t) => {
  const origin = await runAnswering(t, ok);
  const edge = await runEdge(t, { limits: { idleConnectionMs: 60 } });
  const client = await connectDevice(t, edge);
  client.write(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.until(/ok$/);
  await client.closed();
});

for (const [name, bytes] of [
  ['the beginning of a second head', 'GET http://127.0.0.1:1/ HT'],
  ['empty lines', '\r\n'],
] as const) {
  test(`${name} does not keep an idle connection (R03, R04, H20)`, async (t) => {
    const origin = await runAnswering(t, ok);
    const limits = { idleConnectionMs: 60, headTimeoutMs: 60 };
    const edge = await runEdge(t, { limits });
    const client = await connectDevice(t, edge);
    client.write(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.until(/ok$/);
    const drip = setInterval(() => client.write(bytes), 5);
    t.after(() => clearInterval(drip));
    client.write(bytes);
    await client.closed();
  });
}

test('a connection that becomes a tunnel is not idle any more', async (t) => {
  const origin = await runAnswering(t, ok);
  const echo = await runOrigin(t, (client) => {
    client.socket.on('data', (chunk) => client.write(chunk));
  });
  const edge = await runEdge(t, { limits: { idleConnectionMs: 30, headTimeoutMs: 30 } });
  const client = await connectDevice(t, edge);
  client.write(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.until(/ok$/);
  client.write(`CONNECT 127.0.0.1:${echo.port} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.until(/Established\r\n\r\n$/);
  for (let i = 0; i < 3; i += 1) {
    const bystander = await connectDevice(t, edge); // lives for its head limit
    await bystander.closed();
  }
  client.write('still here');
  await client.until(/still here$/);
});

test('an idle device that says goodbye is let go (R06)', async (t) => {
  const edge = await runEdge(t, { limits: { headTimeoutMs: 60_000 } });
  const client = await connectDevice(t, edge);
  client.socket.end();
  await client.closed();
  await eventually(() => client.socket.closed, 'the gateway has closed its half too');
});

test('a request that takes long is not cut at the limits of heads and idle connections', async (t) => {
  let answer = (): void => undefined;
  const origin = await runOrigin(t, (client) => {
    answer = () => client.write(ok);
  });
  const limits = { headTimeoutMs: 40, idleConnectionMs: 40 };
  const edge = await runEdge(t, { limits });
  const client = await connectDevice(t, edge);
  client.write(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
  const bystander = await connectDevice(t, edge); // lives for its head limit, and longer than the others'
  await bystander.closed();
  answer();
  assert.equal(statusOf(await client.until(/ok$/)), 200);
});

test('strangers above their limit give way to newcomers, devices do not count (R01)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t, { limits: { unauthenticatedPerSource: 3 } });
  const target = `127.0.0.1:${origin.port}`;
  const client = await connectDevice(t, edge);
  client.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  await client.until(/200/);
  const strangers = [];
  for (let i = 0; i < 5; i += 1) strangers.push(await connectPlain(t, edge));
  await Promise.all(strangers.slice(0, 2).map((one) => one.closed()));
  const another = await connectDevice(t, edge);
  another.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  await another.until(/200/);
  assert.equal(client.socket.destroyed, false);
  assert.equal(
    strangers.filter((one) => one.socket.closed || one.socket.readableEnded).length >= 2,
    true,
  );
  assert.equal(await edge.metric('zonegate_unidentified_connections_evicted_total'), '3');
});

test('a hundred connections that come and go leave nothing behind (R10)', async (t) => {
  const edge = await runEdge(t, { limits: { handshakeTimeoutMs: 60_000 } });
  for (let i = 0; i < 100; i += 1) {
    const client = await connectPlain(t, edge);
    if (i % 3 === 0) client.write('nonsense');
    if (i % 3 === 1) client.socket.resetAndDestroy();
    else client.socket.destroy();
  }
  const good = await connectDevice(t, edge);
  good.socket.destroy();
  const closed = edge.listener.close();
  await closed;
});

test('a busy port is a clean failure (R13)', async (t) => {
  const edge = await runEdge(t);
  const options = { ...edge.options, port: edge.port };
  await assert.rejects(listen(options, edge.parts), { code: 'EADDRINUSE' });
});

test('an error of the listening socket is logged, and the listener goes on (R14)', async (t) => {
  const edge = await runEdge(t);
  const handles = Reflect.apply(
    Reflect.get(process, '_getActiveHandles'),
    process,
    [],
  ) as unknown[];
  const server = handles.find(
    (one) =>
      one instanceof net.Server && (one.address() as net.AddressInfo | null)?.port === edge.port,
  ) as net.Server;
  server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }));
  assert.equal(edge.lines.at(-1)?.['level'], 'error');
  await connectDevice(t, edge);
});

test('closing is quick, whatever is open, and may be repeated', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const target = `127.0.0.1:${origin.port}`;
  const tunnel = await connectDevice(t, edge);
  tunnel.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  await tunnel.until(/200/);
  const forward = await connectDevice(t, edge);
  forward.write(`GET http://${target}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
  await connectDevice(t, edge);
  await connectPlain(t, edge);
  edge.listener.stop();
  await assert.rejects(connectDevice(t, edge));
  await edge.listener.close();
  await edge.listener.close();
  await eventually(() => edge.tunnels.count() === 0, 'every place is free again');
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origins are let go');
});
