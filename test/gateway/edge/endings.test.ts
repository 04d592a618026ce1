// How a tunnel ends: what one side does reaches the other as what it was, in both versions of HTTP.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import * as h2 from '../../support/h2-raw.ts';
import { connectTo, openRaw } from './open-h2.ts';
import {
  authority,
  collect,
  connectDevice,
  device,
  type Edge,
  eventually,
  runEdge,
  runOrigin,
} from './running-edge.ts';

const { FLAG, FRAME } = h2;

const connect = (target: string): string => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;

/** A tunnel, and how it ended for the origin: `end` after a FIN, else the code of the error. */
async function withOrigin(t: TestContext) {
  const endings: string[] = [];
  const origin = await runOrigin(t, ({ socket }) => {
    // It goes on after the device has ended its half.
    socket.removeAllListeners('end');
    socket.on('end', () => endings.push('end'));
    socket.on('error', (error: NodeJS.ErrnoException) => endings.push(error.code ?? ''));
  });
  const edge = await runEdge(t);
  const target = `127.0.0.1:${origin.port}`;
  const ending = async (): Promise<string> => {
    await eventually(() => endings.length > 0, 'the origin is told');
    return endings.join();
  };
  const arrived = () => eventually(() => origin.sockets.length === 1, 'the origin is there');
  return { edge, target, origin, ending, arrived };
}

async function openStream(
  t: TestContext,
  edge: Edge,
  target: string,
  announced?: readonly (readonly [number, number])[],
): Promise<h2.RawH2> {
  const raw = await openRaw(t, edge, announced);
  raw.send(h2.headers(1, connectTo(target), FLAG.endHeaders));
  assert.deepEqual(await raw.outcome(1), { status: 200 });
  return raw;
}

/** TLS over a connection that can be reset, and whose records can be looked at. */
async function openOver(t: TestContext, edge: Edge, options: tls.ConnectionOptions = {}) {
  const carrier = net.connect({ port: edge.port, host: '127.0.0.1', allowHalfOpen: true });
  carrier.on('error', () => undefined);
  await once(carrier, 'connect');
  const socket = tls.connect({
    socket: carrier,
    servername: 'localhost',
    ca: authority.certificatePem,
    cert: device.chainPem,
    key: device.keyPem,
    ...options,
  });
  const client = collect(t, socket);
  await once(socket, 'secureConnect');
  return { client, carrier };
}

const h2Endings: Readonly<Record<string, readonly [ending: string, end: (raw: h2.RawH2) => void]>> =
  {
    END_STREAM: ['end', (raw) => raw.send(h2.data(1, 'bye', FLAG.endStream))],
    'a cancelled stream': ['end', (raw) => raw.send(h2.reset(1, 8))],
    'RST_STREAM without an error': ['end', (raw) => raw.send(h2.reset(1, 0))],
    'RST_STREAM with CONNECT_ERROR': ['ECONNRESET', (raw) => raw.send(h2.reset(1, 10))],
    'RST_STREAM with INTERNAL_ERROR': ['ECONNRESET', (raw) => raw.send(h2.reset(1, 2))],
    'an error of the stream': ['ECONNRESET', (raw) => raw.send(h2.windowUpdate(1, 0))],
    'an error of the connection': ['ECONNRESET', (raw) => raw.send(h2.windowUpdate(0, 0))],
  };

for (const [name, [expected, end]] of Object.entries(h2Endings)) {
  test(`over HTTP/2 ${name} is \`${expected}\` for the origin (M16)`, async (t) => {
    const { edge, target, ending, arrived } = await withOrigin(t);
    const raw = await openStream(t, edge, target);
    await arrived();
    end(raw);
    assert.equal(await ending(), expected);
  });
}

for (const version of ['h2', 'http/1.1']) {
  test(`a device's connection that is reset (${version}) resets the origin's (R06)`, async (t) => {
    const { edge, target, ending, arrived } = await withOrigin(t);
    const { client, carrier } = await openOver(t, edge, { ALPNProtocols: [version] });
    if (version === 'h2') {
      const raw = h2.speakH2(client.socket as tls.TLSSocket);
      raw.send(h2.headers(1, connectTo(target), FLAG.endHeaders));
      await raw.outcome(1);
    } else {
      client.write(connect(target));
      await client.until(/200/);
    }
    await arrived();
    carrier.resetAndDestroy();
    assert.equal(await ending(), 'ECONNRESET');
    await eventually(
      () => edge.lines.at(-1)?.['zonegate.end'] === 'device_error',
      'the log has it',
    );
  });
}

test('a device that closes its half over HTTP/1.1 is a FIN for the origin (R06)', async (t) => {
  const { edge, target, ending } = await withOrigin(t);
  const client = await connectDevice(t, edge);
  client.write(connect(target));
  await client.until(/200/);
  client.socket.end('bye');
  assert.equal(await ending(), 'end');
});

/** What the gateway sends last, of TLS 1.2: there the type of an alert can be read. */
async function lastRecord(t: TestContext, then: (origin: net.Socket) => void): Promise<number> {
  const { edge, target, origin, arrived } = await withOrigin(t);
  const relay = net.createServer((near) => {
    const far = net.connect(edge.port, '127.0.0.1');
    near.on('error', () => undefined).pipe(far);
    far.on('error', () => undefined).pipe(near);
    far.on('data', (chunk: Buffer) => records.push(chunk));
  });
  const records: Buffer[] = [];
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  t.after(() => void relay.close());
  const { port } = relay.address() as net.AddressInfo;
  const { client } = await openOver(t, { ...edge, port }, { maxVersion: 'TLSv1.2' });
  client.write(connect(target));
  await client.until(/200/);
  await arrived();
  then(origin.sockets[0] as net.Socket);
  await client.closed();
  const all = Buffer.concat(records);
  let last = 0;
  for (let at = 0; at + 5 <= all.length; at += 5 + all.readUInt16BE(at + 3)) last = all[at] ?? 0;
  return last;
}

const [alert, applicationData] = [21, 23];

test('an origin that resets cuts TLS of HTTP/1.1 off without close_notify (R06)', async (t) => {
  assert.equal(await lastRecord(t, (origin) => origin.resetAndDestroy()), applicationData);
});

test('an origin that closes its half ends TLS of HTTP/1.1 with close_notify (R06)', async (t) => {
  assert.equal(await lastRecord(t, (origin) => origin.end()), alert);
});

/** Little enough that the origin is still read while it waits. */
const said = Buffer.alloc(10_000, 'x');

test('what an origin said before it reset comes first over HTTP/1.1 (R06)', async (t) => {
  const { edge, target, origin, arrived } = await withOrigin(t);
  const client = await connectDevice(t, edge);
  client.write(connect(target));
  await client.until(/200/);
  client.socket.pause();
  await arrived();
  const socket = origin.sockets[0] as net.Socket;
  socket.write(said, () => socket.resetAndDestroy());
  await once(socket, 'close');
  client.socket.resume();
  await client.until((text) => text.endsWith(said.toString()));
});

test('what an origin said before it reset comes first over HTTP/2, then CONNECT_ERROR (R06)', async (t) => {
  const { edge, target, origin, arrived } = await withOrigin(t);
  const raw = await openStream(t, edge, target, [[4, 1000]]);
  await arrived();
  const [socket] = origin.sockets;
  socket?.write(said, () => socket.resetAndDestroy());
  const got = (): number =>
    raw.frames.reduce((n, { type, payload }) => n + (type === FRAME.data ? payload.length : 0), 0);
  await raw.until(() => got() === 1000);
  await raw.roundTrip();
  raw.send(h2.windowUpdate(0, 1_000_000), h2.windowUpdate(1, 1_000_000));
  const reset = await raw.until(({ type, stream }) => type === FRAME.reset && stream === 1);
  assert.equal(got(), said.length);
  assert.equal(reset?.payload.readUInt32BE(0), 10);
});

test('an origin that resets is RST_STREAM with CONNECT_ERROR, and no END_STREAM (M16)', async (t) => {
  const { edge, target, origin, arrived } = await withOrigin(t);
  const raw = await openStream(t, edge, target);
  await arrived();
  origin.sockets[0]?.resetAndDestroy();
  const reset = await raw.until(({ type, stream }) => type === FRAME.reset && stream === 1);
  assert.equal(reset?.payload.readUInt32BE(0), 10);
  assert.ok(raw.frames.every(({ type, flags }) => type !== FRAME.data || flags === 0));
});

for (const [why, options] of [
  ['silence', { idleMs: 50 }],
  ['the end of its lifetime', { lifetimeMs: 50 }],
] as const) {
  test(`a tunnel ended by ${why} looks complete to nobody (R05)`, async (t) => {
    const codes: (string | undefined)[] = [];
    const origin = await runOrigin(t, ({ socket }) => {
      socket.on('error', (error: NodeJS.ErrnoException) => codes.push(error.code));
    });
    const edge = await runEdge(t, options);
    const raw = await openStream(t, edge, `127.0.0.1:${origin.port}`);
    const reset = await raw.until(({ type, stream }) => type === FRAME.reset && stream === 1);
    assert.equal(reset?.payload.readUInt32BE(0), 10);
    assert.ok(raw.frames.every(({ type, flags }) => type !== FRAME.data || flags === 0));
    await eventually(() => codes[0] === 'ECONNRESET', 'the origin is told');
  });
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`over ${version} either side may end its half and still hear the other (R06)`, async (t) => {
    const heard: string[] = [];
    const origin = await runOrigin(t, ({ socket }) => {
      socket.removeAllListeners('end');
      socket.on('data', (chunk: Buffer) => heard.push(String(chunk)));
      if (origin.sockets.length === 1) socket.on('end', () => socket.end('late'));
      else socket.end('first');
    });
    const edge = await runEdge(t);
    const target = `127.0.0.1:${origin.port}`;
    const open = () => connectDevice(t, edge, { minVersion: version, maxVersion: version });
    const asking = await open();
    asking.write(`${connect(target)}early `);
    asking.socket.end('question');
    assert.match(await asking.closed(), /\r\n\r\nlate$/);
    assert.equal(heard.join(''), 'early question');
    const answering = await open();
    // As the other end has it: ended, and still there.
    answering.socket.removeAllListeners('end');
    answering.write(connect(target));
    await answering.until(/first$/);
    if (!answering.socket.readableEnded) await once(answering.socket, 'end');
    answering.socket.end(' answer');
    await eventually(() => heard.join('') === 'early question answer', 'it is heard');
    await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
    assert.equal(edge.lines.at(-1)?.['zonegate.end'], 'closed');
  });
}
