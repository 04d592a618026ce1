// A dialled socket is like any other until its reads are taken, and loses no byte and no order then.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connectDirect, directReadsOf } from '../../../gateway/edge/direct-reads.ts';
import { eventually } from './running-edge.ts';

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

test('small reads are buffers of their own, large ones are lent', async (t) => {
  const { far, near } = await connected(t);
  const taken: { readonly chunk: Buffer; readonly lent: Buffer | null }[] = [];
  const sizes = (): number => taken.reduce((sum, { chunk }) => sum + chunk.length, 0);
  directReadsOf(near)?.into((chunk, lent) => {
    taken.push({ chunk, lent });
    return true;
  });
  far.write('small');
  await eventually(() => sizes() === 5, 'the small one is there');
  far.write(Buffer.alloc(300_000, 'x'));
  await eventually(() => sizes() === 300_005, 'the large ones are there');
  for (const { chunk, lent } of taken) {
    if (chunk.length < 4096) assert.equal(lent, null);
    else assert.equal(chunk.buffer, lent?.buffer);
  }
  const lentOut = taken.flatMap(({ lent }) => lent ?? []);
  assert.equal(new Set(lentOut).size, lentOut.length);
});

test('other sockets have no direct reads', () => {
  assert.equal(directReadsOf(new net.Socket()), null);
});
