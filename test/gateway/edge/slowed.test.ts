// A device that moves more bytes than it may, in every way there is: slowed, counted, and nothing lost.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import * as h2 from '../../support/h2-raw.ts';
import { connectTo, openRaw } from './open-h2.ts';
import {
  connectDevice,
  type Edge,
  eventually,
  runAnswering,
  runEdge,
  runOrigin,
} from './running-edge.ts';

const { FLAG, FRAME } = h2;

const perSecond = 1_000_000;
/** A tenth more than what may move at once. */
const size = 1_100_000;
const bytes = Buffer.alloc(size, 'x');

async function slowedSeconds(edge: Edge, direction: string): Promise<number> {
  return Number(
    await edge.metric(
      `zonegate_tunnel_slowed_seconds_total{direction="${direction}",limit="device"}`,
    ),
  );
}

async function checkSlowed(edge: Edge, slowed: 'sent' | 'received'): Promise<void> {
  const free = slowed === 'sent' ? 'received' : 'sent';
  assert.ok((await slowedSeconds(edge, slowed)) > 0);
  assert.equal(await slowedSeconds(edge, free), 0);
}

/** Says all that it has as soon as it is connected, or counts what it hears. */
async function source(t: TestContext) {
  return await runOrigin(t, ({ socket }) => void socket.write(bytes));
}

async function sink(t: TestContext) {
  const heard = { bytes: 0 };
  const origin = await runOrigin(t, ({ socket }) => {
    socket.on('data', (chunk: Buffer) => {
      heard.bytes += chunk.length;
    });
  });
  return { ...origin, heard };
}

const connect = (port: number): string =>
  `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;

test('a tunnel over HTTP/1.1 is slowed down', async (t) => {
  const edge = await runEdge(t, { bytesPerSecond: perSecond });
  const [from, to] = [await source(t), await sink(t)];
  const down = await connectDevice(t, edge);
  down.write(connect(from.port));
  await down.until((text) => text.length > size);
  await checkSlowed(edge, 'received');
  const up = await connectDevice(t, edge);
  up.write(connect(to.port));
  await up.until(/200/);
  up.write(bytes);
  await eventually(() => to.heard.bytes === size, 'all of it arrives');
  assert.ok((await slowedSeconds(edge, 'sent')) > 0);
});

test('a tunnel over HTTP/2 is slowed down', async (t) => {
  const edge = await runEdge(t, { bytesPerSecond: perSecond });
  const [from, to] = [await source(t), await sink(t)];
  const raw = await openRaw(t, edge, [[4, 0x7f_ff_ff_ff]]);
  raw.send(h2.windowUpdate(0, 0x70_00_00_00));
  raw.send(h2.headers(1, connectTo(`127.0.0.1:${from.port}`), FLAG.endHeaders));
  let got = 0;
  await raw.until((one) => {
    if (one.type === FRAME.data) got = raw.frames.reduce((sum, f) => sum + lengthOf(f), 0);
    return got === size;
  });
  await checkSlowed(edge, 'received');
  raw.send(h2.headers(3, connectTo(`127.0.0.1:${to.port}`), FLAG.endHeaders));
  await raw.outcome(3);
  // As much as the gateway's window holds, then the rest as it opens.
  for (let at = 0; at < size; at += 10_000) {
    raw.send(h2.data(3, bytes.subarray(at, at + 10_000)));
    if (at === 1_000_000) await eventually(() => to.heard.bytes > 100_000, 'the window opens');
  }
  await eventually(() => to.heard.bytes === size, 'all of it arrives');
  assert.ok((await slowedSeconds(edge, 'sent')) > 0);
});

function lengthOf({ type, payload }: h2.Frame): number {
  return type === FRAME.data ? payload.length : 0;
}

test('the answer to a plain request is slowed down', async (t) => {
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`;
  const origin = await runAnswering(t, Buffer.concat([Buffer.from(head), bytes]));
  const edge = await runEdge(t, { bytesPerSecond: perSecond });
  const client = await connectDevice(t, edge);
  client.write(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
  const text = await client.until((all) => all.length > size);
  assert.ok(text.endsWith('x'));
  await checkSlowed(edge, 'received');
});

test('the body of a plain request is slowed down', async (t) => {
  const to = await sink(t);
  const edge = await runEdge(t, { bytesPerSecond: perSecond });
  const client = await connectDevice(t, edge);
  const target = `127.0.0.1:${to.port}`;
  client.write(
    `POST http://${target}/ HTTP/1.1\r\nHost: ${target}\r\nContent-Length: ${size}\r\n\r\n`,
  );
  client.write(bytes);
  await eventually(() => to.heard.bytes > size, 'all of it arrives, and a head');
  await checkSlowed(edge, 'sent');
});

test('a slowed body that is cut short never looks complete to the origin (H04)', async (t) => {
  const uploads: { text(): string; closed(): Promise<string> }[] = [];
  const origin = await runOrigin(t, (client) => void uploads.push(client));
  const edge = await runEdge(t, { bytesPerSecond: perSecond });
  const client = await connectDevice(t, edge);
  const target = `127.0.0.1:${origin.port}`;
  client.write(
    `POST http://${target}/ HTTP/1.1\r\nHost: ${target}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
  );
  await eventually(() => uploads[0]?.text().includes('hello') === true, 'it has begun');
  client.socket.destroy();
  assert.doesNotMatch((await uploads[0]?.closed()) ?? '', /\r\n0\r\n/);
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
});
