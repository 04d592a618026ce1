// Somebody who does not read, at either end, in either version of HTTP: the writer stops after bounded bytes, and nothing is lost.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import {
  authority,
  connectDevice,
  device,
  type Edge,
  eventually,
  runEdge,
  runOrigin,
} from './running-edge.ts';
import { still } from './still.ts';

const size = 64 * 1024 * 1024;

/** What the kernel buffers on the way, four sockets' worth, and what the gateway holds besides. */
const maxTaken = 24 * 1024 * 1024;

/** Writes as long as somebody takes it. */
function pour(into: Duplex): { readonly taken: () => number } {
  const chunk = Buffer.alloc(65_536, 'x');
  let written = 0;
  const more = (): void => {
    while (written < size) {
      written += chunk.length;
      if (!into.write(chunk)) return;
    }
    into.end();
  };
  into.on('drain', more);
  more();
  return { taken: () => written - into.writableLength };
}

async function amount(from: Duplex): Promise<number> {
  let got = 0;
  from.on('data', (chunk: Buffer) => {
    got += chunk.length;
  });
  from.resume();
  await once(from, 'end');
  return got;
}

/** A tunnel as the device sees it, paused. */
const versions: Readonly<
  Record<string, (t: TestContext, edge: Edge, target: string) => Promise<Duplex>>
> = {
  'HTTP/1.1': async (t, edge, target) => {
    const client = await connectDevice(t, edge);
    client.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
    await client.until(/\r\n\r\n/);
    client.socket.removeAllListeners('data');
    client.socket.removeAllListeners('end');
    return client.socket.pause();
  },
  'HTTP/2': async (t, edge, target) => {
    const { certificatePem: ca } = authority;
    const keys = { cert: device.chainPem, key: device.keyPem };
    const session = http2.connect(`https://localhost:${edge.port}`, { ca, ...keys });
    t.after(() => session.destroy());
    session.on('error', () => undefined);
    const stream = session.request({ ':method': 'CONNECT', ':authority': target });
    stream.on('error', () => undefined);
    await once(stream, 'response');
    return stream.pause();
  },
};

for (const [version, open] of Object.entries(versions)) {
  test(`over ${version} a device that does not read stops the origin (R07)`, async (t) => {
    const origin = await runOrigin(t, () => undefined);
    const edge = await runEdge(t);
    const stream = await open(t, edge, `127.0.0.1:${origin.port}`);
    const [socket] = origin.sockets;
    assert.ok(socket);
    const poured = pour(socket);
    await still(poured.taken);
    assert.ok(poured.taken() < maxTaken, `${poured.taken()} bytes were taken`);
    assert.equal(await amount(stream), size);
  });

  test(`over ${version} an origin that does not read stops the device (R07)`, async (t) => {
    const origin = await runOrigin(t, ({ socket }) => {
      socket.removeAllListeners('data');
      socket.pause();
    });
    const edge = await runEdge(t);
    const stream = await open(t, edge, `127.0.0.1:${origin.port}`);
    const poured = pour(stream);
    await still(poured.taken);
    assert.ok(poured.taken() < maxTaken, `${poured.taken()} bytes were taken`);
    const [socket] = origin.sockets;
    assert.ok(socket);
    assert.equal(await amount(socket), size);
  });
}

test('parts of one byte of an answer wait in bounded number (R07)', async (t) => {
  const edge = await runEdge(t);
  const parts = 6000;
  const origin = await runOrigin(t, ({ socket, until }) => {
    void until(/\r\n\r\n/).then(async () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      // One turn of the event loop each: none comes together with another.
      for (let i = 0; i < parts; i += 1) {
        socket.write('x');
        await new Promise((resolve) => setImmediate(resolve));
      }
      socket.end();
    });
  });
  const session = http2.connect(`https://localhost:${edge.port}`, {
    ca: authority.certificatePem,
    cert: device.chainPem,
    key: device.keyPem,
    settings: { initialWindowSize: 0 },
  });
  t.after(() => session.destroy());
  const stream = session.request({
    ':method': 'GET',
    ':scheme': 'http',
    ':authority': `127.0.0.1:${origin.port}`,
    ':path': '/',
  });
  await once(stream, 'response');
  await once(origin.sockets[0] as Duplex, 'finish');
  // Node 24 tells of a RST_STREAM(NO_ERROR) only when what waits for the stream has left it.
  stream.close(http2.constants.NGHTTP2_CANCEL);
  await eventually(() => edge.tunnels.count() === 0, 'it is over');
  const received = edge.lines.map((line) => Number(line['zonegate.bytes.received'] ?? 0));
  assert.ok(Math.max(...received) < parts / 2);
});
