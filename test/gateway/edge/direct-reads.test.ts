// A dialled socket is like any other until its reads are taken, and loses no byte and no order then.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { connectDirect, directReadsOf } from '../../../gateway/edge/direct-reads.ts';
import { authority, eventually } from './running-edge.ts';

/** A TLS connection; `near` is the server's end of it. */
async function acceptedTls(t: TestContext) {
  const sans = { dns: ['localhost'] };
  const issued = await authority.issue({ commonName: 'gw', sans, usage: 'server', days: 2 });
  const { keyPem: key, chainPem: cert } = issued;
  const server = tls.createServer({ key, cert, allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const far = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  const [near] = (await once(server, 'secureConnection')) as [tls.TLSSocket];
  server.close();
  t.after(() => {
    far.destroy();
    near.destroy();
  });
  return { far, near };
}

async function connected(t: TestContext) {
  const server = net.createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const near = connectDirect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [[far]] = await Promise.all([
    once(server, 'connection') as Promise<[net.Socket]>,
    once(near, 'connect'),
  ]);
  server.close();
  t.after(() => {
    far.destroy();
    near.destroy();
  });
  return { far, near };
}

test('until somebody takes its reads it is read like any socket', async (t) => {
  const { far, near } = await connected(t);
  const sent = Buffer.alloc(3_000_000, 'abc');
  far.end(sent);
  const received: Buffer[] = [];
  for await (const chunk of near) received.push(chunk);
  assert.ok(Buffer.concat(received).equals(sent));
});

test('a socket that nobody reads holds no more than any other', async (t) => {
  const { far, near } = await connected(t);
  far.write(Buffer.alloc(16 * 1024 * 1024));
  await eventually(() => near.readableLength >= near.readableHighWaterMark, 'it is full');
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(near.readableLength < near.readableHighWaterMark + 65_537);
});

test('what comes while something is still to be read does not overtake it', async (t) => {
  const { far, near } = await connected(t);
  near.pause();
  near.read(0);
  far.write('first ');
  await eventually(() => near.readableLength === 6, 'something is to be read');
  const taken: string[] = [];
  directReadsOf(near)?.into((chunk) => {
    taken.push(chunk.toString());
    return true;
  });
  far.write('second');
  await eventually(() => near.readableLength === 12, 'the next waits behind it');
  let read = '';
  for (let chunk = near.read(); chunk !== null; chunk = near.read()) read += chunk;
  assert.equal(read, 'first second');
  far.write('third');
  await eventually(() => taken.length === 1, 'the reads are taken');
  assert.deepEqual(taken, ['third']);
});

test('an accepted TLS socket is read in the same way, and its end is told', async (t) => {
  const { near, far } = await acceptedTls(t);
  const sent = Buffer.alloc(1_000_000, 'abcdefg');
  const data: Buffer[] = [];
  near.on('data', (chunk: Buffer) => data.push(chunk));
  far.write('first');
  await eventually(() => data.length === 1, 'before, what comes is data');
  const taken: Buffer[] = [];
  const memory = new Set<ArrayBufferLike>();
  directReadsOf(near)?.into((read) => {
    taken.push(Buffer.from(read));
    memory.add(read.buffer);
    return true;
  });
  far.end(sent);
  await once(near, 'end');
  assert.ok(Buffer.concat(taken).equals(sent));
  assert.equal(Buffer.concat(data).toString(), 'first');
  assert.equal(memory.size, 1);
});

test('an accepted TLS socket whose reads are refused waits until it is resumed', async (t) => {
  const { near, far } = await acceptedTls(t);
  let taken = 0;
  near.pause();
  directReadsOf(near)?.into((read) => {
    taken += read.length;
    return false;
  });
  const sent = Buffer.alloc(4_000_000, 'x');
  far.end(sent);
  const ended = once(near, 'end');
  near.resume();
  await eventually(() => taken > 0, 'something is read');
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(taken < 1_000_000);
  while (!near.readableEnded) {
    near.resume();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await ended;
  assert.equal(taken, sent.length);
});

test('where Node has other names than we know, reads stay data', async (t) => {
  const { near } = await acceptedTls(t);
  const { _handle: handle } = near as unknown as { _handle: { useUserBuffer: unknown } };
  handle.useUserBuffer = undefined;
  assert.equal(directReadsOf(near), null);
});

test('streams that are no open sockets have no direct reads', () => {
  assert.equal(directReadsOf(new net.Socket()), null);
  assert.equal(directReadsOf(new PassThrough()), null);
});
