// Copying both ways over real sockets: half-close, back-pressure, every way to end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { connectDirect } from '../../../gateway/edge/direct-reads.ts';
import { type SpliceOptions, splice } from '../../../gateway/edge/splice.ts';
import { collect, eventually } from './running-edge.ts';

/** Two connected sockets; `near` is the gateway's end. */
async function pair(t: TestContext) {
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
  far.on('error', () => undefined);
  near.on('error', () => undefined);
  t.after(() => {
    far.destroy();
    near.destroy();
  });
  return { far, near };
}

/** The same with an accepted socket at the gateway's end, as devices have it. */
async function accepted(t: TestContext) {
  const { far, near } = await pair(t);
  return { far: near, near: far };
}

/** Origins are dialled; what a tunnel of HTTP/2 is made of is not. */
const kinds = { dialled: pair, other: accepted };

async function spliced(
  t: TestContext,
  options: Partial<SpliceOptions> = {},
  kind: keyof typeof kinds = 'dialled',
) {
  const device = await accepted(t);
  const origin = await kinds[kind](t);
  const early = Buffer.alloc(0);
  const pumped = splice(device.near, origin.near, { idleMs: 10_000, early, ...options });
  return { device, origin, pumped };
}

test('bytes go both ways and are counted as the device sees them', async (t) => {
  const { device, origin, pumped } = await spliced(t);
  const [atDevice, atOrigin] = [collect(t, device.far), collect(t, origin.far)];
  atDevice.write('hello');
  await atOrigin.until(/^hello$/);
  atOrigin.write('hi');
  await atDevice.until(/^hi$/);
  device.far.end();
  assert.equal(await pumped.ended, 'closed');
  assert.deepEqual(pumped.bytes, { sent: 5, received: 2 });
});

test('bytes that came with the CONNECT arrive first, once (H11)', async (t) => {
  const { device, origin, pumped } = await spliced(t, { early: Buffer.from('early ') });
  const atOrigin = collect(t, origin.far);
  device.far.write('late');
  await atOrigin.until(/^early late$/);
  pumped.cut();
  await pumped.ended;
  assert.equal(pumped.bytes.sent, 10);
});

for (const first of ['device', 'origin'] as const) {
  test(`the ${first} may close its half and still receive (R06)`, async (t) => {
    const both = await spliced(t);
    const second = first === 'device' ? 'origin' : 'device';
    const closing = both[first].far;
    const other = both[second].far;
    let received = '';
    closing.on('data', (chunk) => {
      received += chunk;
    });
    other.resume();
    closing.end('question');
    await once(other, 'end');
    assert.equal(both[first].near.destroyed, false);
    other.write('answer');
    await eventually(() => received === 'answer', 'the late answer is there');
    other.end();
    assert.equal(await both.pumped.ended, 'closed');
  });

  test(`a reset of the ${first} ends both sides (R06)`, async (t) => {
    const both = await spliced(t);
    const other = first === 'device' ? both.origin.far : both.device.far;
    other.resume();
    both[first].far.resetAndDestroy();
    assert.equal(await both.pumped.ended, `${first}_error`);
    await eventually(() => other.readableEnded || other.closed, 'the other side is over');
    assert.ok(both.device.near.destroyed && both.origin.near.destroyed);
  });

  test(`a ${first} that has gone already takes the other side with it (R06)`, async (t) => {
    const device = await accepted(t);
    const origin = await pair(t);
    const gone = first === 'device' ? device : origin;
    gone.near.destroy();
    await once(gone.near, 'close');
    const pumped = splice(device.near, origin.near, { idleMs: 10_000, early: Buffer.from('x') });
    await pumped.ended;
    assert.ok(device.near.destroyed && origin.near.destroyed);
  });
}

test('both gone already is an end like any other', async (t) => {
  const device = await accepted(t);
  const origin = await pair(t);
  device.near.destroy();
  origin.near.destroy();
  await Promise.all([once(device.near, 'close'), once(origin.near, 'close')]);
  await splice(device.near, origin.near, { idleMs: 10_000, early: Buffer.alloc(0) }).ended;
});

test('silence ends both sides (R05)', async (t) => {
  const { device, pumped } = await spliced(t, { idleMs: 20 });
  assert.equal(await pumped.ended, 'idle');
  device.far.resume();
  await eventually(() => device.far.readableEnded || device.far.closed, 'the device is let go');
});

test('a cut ends both sides at once (P03)', async (t) => {
  const { device, origin, pumped } = await spliced(t);
  pumped.cut();
  assert.ok(device.near.destroyed && origin.near.destroyed);
  assert.equal(await pumped.ended, 'cut');
});

for (const kind of ['dialled', 'other'] as const) {
  test(`a reader that stops makes the writer (${kind}) stop, and gets everything later (R07)`, async (t) => {
    const { device, origin, pumped } = await spliced(t, {}, kind);
    const size = 48 * 1024 * 1024;
    const chunk = Buffer.alloc(64 * 1024, 'x');
    let sent = 0;
    const pump = (): void => {
      while (sent < size) {
        sent += chunk.length;
        if (!origin.far.write(chunk)) return;
      }
      origin.far.end();
    };
    origin.far.on('drain', pump);
    device.far.pause();
    pump();
    await still(() => sent);
    assert.ok(sent < size, `the origin could send all ${sent} bytes to a reader that reads none`);
    // What is held here itself, besides the kernel's buffers: bounded by the streams' own marks.
    assert.ok(device.near.writableLength + origin.near.readableLength < 1024 * 1024);
    let received = 0;
    device.far.on('data', (data: Buffer) => {
      received += data.length;
    });
    device.far.resume();
    await once(device.far, 'end');
    assert.equal(received, size);
    device.far.end();
    assert.equal(await pumped.ended, 'closed');
  });
}

test('a side that was read from and paused before flows again', async (t) => {
  const device = await accepted(t);
  const origin = await pair(t);
  origin.near.pause();
  const pumped = splice(device.near, origin.near, { idleMs: 10_000, early: Buffer.alloc(0) });
  const atDevice = collect(t, device.far);
  origin.far.write('hello');
  await atDevice.until(/^hello$/);
  pumped.cut();
  await pumped.ended;
});

test('what was read before the tunnel began comes first, in order', async (t) => {
  const device = await accepted(t);
  const origin = await pair(t);
  const size = 3 * 1024 * 1024;
  const sent = numbered(size);
  origin.far.end(sent);
  await eventually(() => origin.near.readableLength >= 64 * 1024, 'something is read');
  const pumped = splice(device.near, origin.near, { idleMs: 10_000, early: Buffer.alloc(0) });
  const received: Buffer[] = [];
  device.far.on('data', (chunk: Buffer) => received.push(chunk));
  await once(device.far, 'end');
  assert.ok(Buffer.concat(received).equals(sent));
  device.far.end();
  assert.equal(await pumped.ended, 'closed');
});

/** A device whose connection takes nothing for now: what it was given stays with it. */
function stuck(t: TestContext) {
  const held: Buffer[] = [];
  const done: ((error?: Error) => void)[] = [];
  const device = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _, callback) {
      held.push(chunk);
      done.push(callback);
    },
    destroy(error, callback) {
      for (const cut of done) cut(new Error('cut'));
      callback(error);
    },
  });
  t.after(() => device.destroy());
  return { device, held, writeOn: () => done.shift()?.() };
}

const onlyOf = (letter: string, chunks: readonly Buffer[]) =>
  chunks.every((chunk) => chunk.equals(Buffer.alloc(chunk.length, letter)));

test('bytes that wait for one device are not overwritten by those for another', async (t) => {
  const begin = async (letter: string) => {
    const slow = stuck(t);
    const origin = await pair(t);
    const pumped = splice(slow.device, origin.near, { idleMs: 10_000, early: Buffer.alloc(0) });
    origin.far.write(Buffer.alloc(1024 * 1024, letter));
    await eventually(() => slow.held.length === 1, 'something waits');
    await still(() => pumped.bytes.received);
    return { ...slow, pumped };
  };
  const first = await begin('a');
  // What the kernel had at once, and no more than two reads of it.
  assert.ok(first.pumped.bytes.received <= 2 * 65_536);
  const second = await begin('b');
  // Written: that memory may be used again. Cut in the middle: that memory may still be read.
  second.writeOn();
  await eventually(() => second.held.length === 2, 'the next one waits');
  first.device.destroy();
  await first.pumped.ended;
  const third = await begin('c');
  assert.ok(onlyOf('a', first.held));
  assert.ok(onlyOf('b', second.held.slice(1)));
  assert.ok(onlyOf('c', third.held));
  assert.notEqual(third.held[0]?.buffer, first.held[0]?.buffer);
});

test('a slow reader keeps no more than two buffers busy, however little is in them', async (t) => {
  const { device } = stuck(t);
  const origin = await pair(t);
  const pumped = splice(device, origin.near, { idleMs: 10_000, early: Buffer.alloc(0) });
  for (let i = 0; i < 5; i += 1) {
    origin.far.write(Buffer.alloc(8192));
    await still(() => pumped.bytes.received);
  }
  assert.equal(pumped.bytes.received, 2 * 8192);
  pumped.cut();
});

test('full records that come together leave together, and nothing waits for more', async (t) => {
  const writes: number[] = [];
  const origin = new Duplex({
    read: () => undefined,
    writev(chunks, callback) {
      writes.push(chunks.length);
      callback();
    },
    write(_chunk, _encoding, callback) {
      writes.push(1);
      callback();
    },
  });
  const device = new Duplex({ read: () => undefined, write: (_a, _b, callback) => callback() });
  const pumped = splice(device, origin, { idleMs: 10_000, early: Buffer.alloc(0) });
  t.after(() => pumped.cut());
  await new Promise((resolve) => setImmediate(resolve));
  device.push('hello');
  await eventually(() => writes.length === 1, 'a small write leaves at once');
  for (const letter of 'abc') device.push(Buffer.alloc(16_384, letter));
  device.push('rest');
  await eventually(() => writes.length === 2, 'the records leave');
  assert.deepEqual(writes, [1, 4]);
  device.push(Buffer.alloc(16_384, 'd'));
  device.push(null);
  await once(origin, 'finish');
  assert.equal(pumped.bytes.sent, 5 + 4 * 16_384 + 4);
});

/** No two places look alike, so that nothing can be swapped. */
function numbered(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i + 4 <= size; i += 4) bytes.writeUInt32BE(i, i);
  return bytes;
}

/** Resolves when a number has stopped changing. */
async function still(read: () => number): Promise<void> {
  let last = -1;
  for (let turns = 0; turns < 200; ) {
    const current = read();
    turns = current === last ? turns + 1 : 0;
    last = current;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
