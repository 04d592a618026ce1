// Copying both ways over real sockets: half-close, back-pressure, every way to end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type SpliceOptions, splice } from '../../../gateway/edge/splice.ts';
import { collect, eventually } from './running-edge.ts';

/** Two connected sockets; the second is the gateway's end. */
async function pair(t: TestContext) {
  const server = net.createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const far = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [near] = (await once(server, 'connection')) as [net.Socket];
  server.close();
  far.on('error', () => undefined);
  t.after(() => {
    far.destroy();
    near.destroy();
  });
  return { far, near };
}

async function spliced(t: TestContext, options: Partial<SpliceOptions> = {}) {
  const device = await pair(t);
  const origin = await pair(t);
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
    const device = await pair(t);
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
  const device = await pair(t);
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

test('a reader that stops makes the writer stop, and gets everything later (R07)', async (t) => {
  const { device, origin, pumped } = await spliced(t);
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

test('a side that was read from and paused before flows again', async (t) => {
  const device = await pair(t);
  const origin = await pair(t);
  origin.near.pause();
  const pumped = splice(device.near, origin.near, { idleMs: 10_000, early: Buffer.alloc(0) });
  const atDevice = collect(t, device.far);
  origin.far.write('hello');
  await atDevice.until(/^hello$/);
  pumped.cut();
  await pumped.ended;
});

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
