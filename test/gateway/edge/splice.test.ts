// Copying both ways over real sockets: half-close, back-pressure, every way to end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { connectDirect } from '../../../gateway/edge/direct-reads.ts';
import type { Pace } from '../../../gateway/edge/pace.ts';
import { type SpliceOptions, splice } from '../../../gateway/edge/splice.ts';
import { collect, eventually } from './running-edge.ts';
import { still } from './still.ts';

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

const plain: SpliceOptions = { idleMs: 10_000, early: Buffer.alloc(0), pace: null };

/** Origins are dialled; what a tunnel of HTTP/2 is made of is not. */
const kinds = { dialled: pair, other: accepted };

async function spliced(
  t: TestContext,
  options: Partial<SpliceOptions> = {},
  kind: keyof typeof kinds = 'dialled',
) {
  const device = await accepted(t);
  const origin = await kinds[kind](t);
  const pumped = splice(device.near, origin.near, { ...plain, ...options });
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
  pumped.cut('cut');
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
    const pumped = splice(device.near, origin.near, { ...plain, early: Buffer.from('x') });
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
  await splice(device.near, origin.near, plain).ended;
});

/** A device to which each write is under way until it is let through. */
function slowDevice() {
  const heard: Buffer[] = [];
  const under: (() => void)[] = [];
  const device = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _, done) {
      heard.push(chunk);
      under.push(done);
    },
  });
  device.on('error', () => undefined);
  const bytes = () => heard.reduce((sum, chunk) => sum + chunk.length, 0);
  const letThrough = (): void => {
    under.shift()?.();
  };
  return { device, bytes, letThrough };
}

/** An origin that resets while what it has said waits for the device. */
async function resetBehind(t: TestContext) {
  const slow = slowDevice();
  const { near, far } = await pair(t);
  const pumped = splice(slow.device, near, plain);
  // The second is as long as a record, and waits a moment for others.
  for (const [size, received] of [
    [1000, 1000],
    [16_384, 17_384],
  ] as const) {
    far.write(Buffer.alloc(size, 'x'));
    await eventually(() => pumped.bytes.received === received, 'it is here');
  }
  t.mock.timers.enable({ apis: ['setInterval'] });
  far.resetAndDestroy();
  await new Promise<void>((resolve) => near.once('close', () => resolve()));
  assert.equal(slow.device.destroyed, false);
  return { ...slow, pumped };
}

test('what an origin said before it reset reaches the device, then the tunnel breaks (R06)', async (t) => {
  const { device, bytes, letThrough, pumped } = await resetBehind(t);
  letThrough();
  await eventually(() => bytes() === 17_384, 'the rest is on its way');
  t.mock.timers.tick(100);
  assert.equal(device.destroyed, false);
  letThrough();
  await eventually(() => device.writableLength === 0, 'it is written');
  t.mock.timers.tick(100);
  assert.equal(device.destroyed, true);
  assert.equal(device.writableEnded, false, 'it does not look complete');
  assert.equal(await pumped.ended, 'origin_error');
});

test('a device that takes nothing is not waited for when its origin has reset (R06)', async (t) => {
  const { device, pumped } = await resetBehind(t);
  t.mock.timers.tick(1900);
  assert.equal(device.destroyed, false);
  t.mock.timers.tick(100);
  assert.equal(await pumped.ended, 'origin_error');
});

test('a cut does not wait for what an origin that reset had said (P03)', async (t) => {
  const { device, pumped } = await resetBehind(t);
  pumped.cut('cut');
  assert.equal(device.destroyed, true);
  await pumped.ended;
});

test('silence ends both sides (R05)', async (t) => {
  const { device, pumped } = await spliced(t, { idleMs: 20 });
  assert.equal(await pumped.ended, 'idle');
  device.far.resume();
  await eventually(() => device.far.readableEnded || device.far.closed, 'the device is let go');
});

test('a cut ends both sides at once (P03)', async (t) => {
  const { device, origin, pumped } = await spliced(t);
  pumped.cut('cut');
  assert.ok(device.near.destroyed && origin.near.destroyed);
  assert.equal(await pumped.ended, 'cut');
});

test('a side that breaks while its FIN is on its way is closed like any other (R06)', async (t) => {
  const { device, origin, pumped } = await spliced(t);
  device.far.end();
  await once(device.near, 'end');
  // Now the FIN has been asked for, and one turn later the system would have answered.
  await new Promise((resolve) => process.nextTick(resolve));
  assert.ok(origin.near.writableEnded && !origin.near.writableFinished);
  pumped.cut('cut');
  assert.equal(await pumped.ended, 'cut');
  assert.ok(origin.near.closed);
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

/** Lets each chunk wait, and notes one that did not. */
function waiting(ms: number) {
  const until = { sent: 0, received: 0 };
  let early = 0;
  const pace: Pace = {
    spend(direction) {
      // A timer may be a moment early.
      if (performance.now() < until[direction] - 2) early += 1;
      until[direction] = performance.now() + ms;
      return ms;
    },
  };
  return { pace, early: () => early };
}

for (const kind of ['dialled', 'other'] as const) {
  test(`slowed down, everything arrives in order, and nothing before its time (${kind})`, async (t) => {
    const slowed = waiting(5);
    const { device, origin, pumped } = await spliced(t, { pace: slowed.pace }, kind);
    const sent = numbered(1024 * 1024);
    const received = async (socket: net.Socket) => {
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      await once(socket, 'end');
      return Buffer.concat(chunks);
    };
    device.far.end(sent);
    origin.far.end(sent);
    const [atDevice, atOrigin] = await Promise.all([received(device.far), received(origin.far)]);
    assert.ok(atDevice.equals(sent) && atOrigin.equals(sent));
    assert.equal(await pumped.ended, 'closed');
    assert.equal(slowed.early(), 0);
  });

  test(`while slowed down nothing more is read, and a cut ends it at once (${kind})`, async (t) => {
    const { pace } = waiting(600_000);
    const { device, origin, pumped } = await spliced(t, { pace }, kind);
    device.far.resume();
    for (const side of [device.far, origin.far]) side.write(Buffer.alloc(16 * 1024 * 1024));
    await eventually(() => pumped.bytes.sent > 0 && pumped.bytes.received > 0, 'it has begun');
    await still(() => pumped.bytes.sent + pumped.bytes.received);
    assert.ok(pumped.bytes.sent <= 65_536 && pumped.bytes.received <= 65_536);
    for (const { near } of [device, origin]) {
      assert.ok(near.readableLength + near.writableLength <= 2 * 65_536);
    }
    pumped.cut('cut');
    assert.equal(await pumped.ended, 'cut');
  });
}

test('a tunnel that waits for its turn is not idle (R05)', async (t) => {
  // In memory: what waits there comes at once, however busy the machine is.
  const [device, origin] = [inMemory(), inMemory()];
  t.after(() => [device, origin].map((side) => side.stream.destroy()));
  origin.stream.push('first ');
  origin.stream.push('second');
  const pace = waiting(100).pace;
  const pumped = splice(device.stream, origin.stream, { ...plain, idleMs: 30, pace });
  await eventually(() => device.written() === 'first second', 'both have come');
  pumped.cut('cut');
  assert.equal(await pumped.ended, 'cut');
});

function inMemory() {
  let text = '';
  const stream = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _, callback) {
      text += chunk.toString('latin1');
      callback();
    },
  });
  return { stream, written: () => text };
}

test('a side that was read from and paused before flows again', async (t) => {
  const device = await accepted(t);
  const origin = await pair(t);
  origin.near.pause();
  const pumped = splice(device.near, origin.near, plain);
  const atDevice = collect(t, device.far);
  origin.far.write('hello');
  await atDevice.until(/^hello$/);
  pumped.cut('cut');
  await pumped.ended;
});

test('what was read before the tunnel began comes first, in order', async (t) => {
  const device = await accepted(t);
  const origin = await pair(t);
  const size = 3 * 1024 * 1024;
  const sent = numbered(size);
  origin.far.end(sent);
  await eventually(() => origin.near.readableLength >= 64 * 1024, 'something is read');
  const pumped = splice(device.near, origin.near, plain);
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
    const pumped = splice(slow.device, origin.near, plain);
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
  const pumped = splice(device, origin.near, plain);
  for (let i = 0; i < 5; i += 1) {
    origin.far.write(Buffer.alloc(8192));
    await still(() => pumped.bytes.received);
  }
  assert.equal(pumped.bytes.received, 2 * 8192);
  pumped.cut('cut');
});

test('chunks of one byte do not wait by the hundred thousand', async (t) => {
  const { device } = stuck(t);
  const origin = new Duplex({ read: () => undefined, write: (_a, _b, callback) => callback() });
  const pumped = splice(device, origin, plain);
  for (let i = 0; i < 100_000 && !origin.isPaused(); i += 1) {
    origin.push('x');
    if (origin.readableLength > 0) await once(origin, 'data');
  }
  assert.ok(pumped.bytes.received < 20_000);
  pumped.cut('cut');
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
  const pumped = splice(device, origin, plain);
  t.after(() => pumped.cut('cut'));
  await new Promise((resolve) => setImmediate(resolve));
  device.push('hello');
  await eventually(() => writes.length === 1, 'a small write leaves at once');
  for (const letter of 'abc') device.push(Buffer.alloc(16_384, letter));
  device.push('rest');
  await eventually(() => writes.length === 2, 'the records leave');
  assert.deepEqual(writes, [1, 1]);
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
