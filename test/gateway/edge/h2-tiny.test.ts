// DATA nobody reads yet, in frames of one byte or on many streams: what it may cost, and that honest devices lose none of it.

import assert from 'node:assert/strict';
import http2, { type ClientHttp2Stream } from 'node:http2';
import { test } from 'node:test';
import * as h2 from '../../support/h2-raw.ts';
import { connectTo, getFrom, openRaw } from './open-h2.ts';
import {
  authority,
  device,
  type Edge,
  eventually,
  runAnswering,
  runEdge,
  runOrigin,
} from './running-edge.ts';
import { still } from './still.ts';

const { FLAG, FRAME } = h2;

const page = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage';

const many = (count: number, one: Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => one));

/** Nobody is judged, and what devices send waits, until the answer is called. */
function holdBack(edge: Edge): () => void {
  const facts = edge.posture;
  const judged = Promise.withResolvers<void>();
  edge.posture = async () => {
    await judged.promise;
    return await facts();
  };
  return judged.resolve;
}

const mebibyte = 1024 * 1024;

test('windows are large enough for long ways, and said so at once (M14)', async (t) => {
  const edge = await runEdge(t);
  const raw = await openRaw(t, edge);
  await raw.roundTrip();
  const [update] = raw.frames.filter(({ type, stream }) => type === FRAME.window && stream === 0);
  assert.equal(update?.payload.readUInt32BE(0), 16 * 1024 * 1024 - 65_535);
  assert.equal(raw.announced(4), 1024 * 1024);
});

test('tiny DATA nobody reads yet costs its stream, and no other (M12)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const page200 = await runAnswering(t, page);
  const edge = await runEdge(t);
  const raw = await openRaw(t, edge);
  const judge = holdBack(edge);
  const to = connectTo(`127.0.0.1:${origin.port}`);
  raw.send(h2.headers(1, to, FLAG.endHeaders), h2.headers(3, to, FLAG.endHeaders));
  raw.send(many(4000, h2.data(1, 'x')));
  raw.send(many(5000, h2.data(3, 'x')));
  assert.deepEqual(await raw.outcome(3), { reset: 11 });
  judge();
  assert.deepEqual(await raw.outcome(1), { status: 200 });
  await eventually(() => origin.sockets[0]?.bytesRead === 4000, 'the other one is carried');
  raw.send(h2.headers(5, getFrom(`127.0.0.1:${page200.port}`)));
  assert.deepEqual(await raw.outcome(5), { status: 200 });
  await eventually(() => edge.tunnels.count() <= 1, 'its place is free again');
});

test('tiny DATA that is read is carried, however much of it (M12)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const raw = await openRaw(t, edge);
  raw.send(h2.headers(1, connectTo(`127.0.0.1:${origin.port}`), FLAG.endHeaders));
  await raw.outcome(1);
  for (let i = 0; i < 10; i += 1) {
    raw.send(many(2000, h2.data(1, 'x')));
    await eventually(() => origin.sockets[0]?.bytesRead === 2000 * (i + 1), 'all of it arrives');
  }
});

test('full frames may wait until the window is full (M14)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  // Time stands still: after the first bytes nothing is read.
  const edge = await runEdge(t, { bytesPerSecond: 1 });
  const raw = await openRaw(t, edge);
  raw.send(h2.headers(1, connectTo(`127.0.0.1:${origin.port}`), FLAG.endHeaders));
  await raw.outcome(1);
  for (let sent = 0; sent < 1024 * 1024; sent += 512) raw.send(h2.data(1, Buffer.alloc(512)));
  await raw.roundTrip();
  const isReset = ({ type }: h2.Frame): boolean => type === FRAME.reset;
  assert.equal(raw.frames.some(isReset), false);
});

test('a window opened byte by byte is answered byte by byte, and holds up nobody (M12)', async (t) => {
  const page200 = await runAnswering(t, page);
  const origin = await runOrigin(t, ({ socket }) => void socket.write(Buffer.alloc(1024 * 1024)));
  const edge = await runEdge(t);
  const raw = await openRaw(t, edge, [[4, 0]]);
  raw.send(h2.headers(1, connectTo(`127.0.0.1:${origin.port}`), FLAG.endHeaders));
  await raw.outcome(1);
  const got = (): number =>
    raw.frames.reduce(
      (sum, { type, payload }) => sum + (type === FRAME.data ? payload.length : 0),
      0,
    );
  raw.send(many(5000, h2.windowUpdate(1, 1)), many(5000, h2.windowUpdate(0, 1)));
  const other = await openRaw(t, edge);
  other.send(h2.headers(1, getFrom(`127.0.0.1:${page200.port}`)));
  assert.deepEqual(await other.outcome(1), { status: 200 });
  await raw.until(() => got() === 5000);
  await still(got);
  assert.equal(got(), 5000);
});

test('a connection whose streams wait is slowed before it holds much, and loses nothing (R07)', async (t) => {
  const size = mebibyte;
  const count = 20;
  const all = Promise.withResolvers<void>();
  let arrived = 0;
  const origin = await runOrigin(t, ({ socket }) => {
    socket.on('data', (chunk: Buffer) => {
      arrived += chunk.length;
      if (arrived === count * size) all.resolve();
    });
  });
  const edge = await runEdge(t);
  const judge = holdBack(edge);
  const { certificatePem: ca } = authority;
  const keys = { cert: device.chainPem, key: device.keyPem };
  const session = http2.connect(`https://localhost:${edge.port}`, { ca, ...keys });
  t.after(() => session.destroy());
  const streams = Array.from({ length: count }, () => {
    const asked = { ':method': 'CONNECT', ':authority': `127.0.0.1:${origin.port}` };
    const stream: ClientHttp2Stream = session.request(asked);
    stream.on('error', () => undefined);
    let left = size;
    const more = (): void => {
      if (left === 0) return;
      left -= 16_384;
      stream.write(Buffer.alloc(16_384), more);
    };
    more();
    return { stream, taken: () => size - left - stream.writableLength };
  });
  const taken = () => streams.reduce((sum, one) => sum + one.taken(), 0);
  await still(taken);
  assert.ok(taken() > 8 * mebibyte && taken() < 16 * mebibyte, `${taken()} bytes wait here`);
  judge();
  await all.promise;
  assert.ok(streams.every(({ stream }) => !stream.destroyed));
});

test('a connection that heeds no window loses its fullest streams, and keeps the others (M12)', async (t) => {
  const origin = await runOrigin(t, ({ socket }) => void socket.resume());
  const edge = await runEdge(t);
  const judge = holdBack(edge);
  const raw = await openRaw(t, edge);
  const to = connectTo(`127.0.0.1:${origin.port}`);
  const streams = Array.from({ length: 24 }, (_, i) => 2 * i + 1);
  // The windows of its first settings hold from here on.
  await raw.roundTrip();
  for (const i of streams) raw.send(h2.headers(i, to, FLAG.endHeaders));
  // All of it is on its way before any setting can be heard.
  const frames = many(60, h2.data(0, Buffer.alloc(16_384)));
  for (const i of streams) raw.send(onStream(i, frames));
  raw.send(h2.headers(99, to, FLAG.endHeaders), h2.data(99, 'ping'));
  await raw.roundTrip();
  const lost = raw.frames.filter(({ type }) => type === FRAME.reset);
  assert.ok(lost.length > 6 && lost.length < 12, `${lost.length} streams are reset`);
  assert.ok(lost.every(({ payload }) => payload.readUInt32BE(0) === 11));
  judge();
  assert.deepEqual(await raw.outcome(99), { status: 200 });
  const arrived = () => origin.sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  await still(arrived);
  assert.ok(arrived() <= 16 * mebibyte, `${arrived()} bytes were kept`);
});

/** The same frames for another stream. */
function onStream(stream: number, frames: Buffer): Buffer {
  const copy = Buffer.from(frames);
  for (let at = 0; at < copy.length; at += 9 + copy.readUIntBE(at, 3)) {
    copy.writeUInt32BE(stream, at + 5);
  }
  return copy;
}
