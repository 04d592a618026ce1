// HTTP/2 from devices that mean harm, frame by frame: what they get, what it costs, and who else notices.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import type tls from 'node:tls';
import * as h2 from '../../support/h2-raw.ts';
import { connectTo, getFrom, method, openRaw } from './open-h2.ts';
import {
  connectDevice,
  type Edge,
  eventually,
  runAnswering,
  runEdge,
  runOrigin,
} from './running-edge.ts';

const { FLAG, FRAME } = h2;

const page = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage';

/** What a device gets that behaves, on a connection of its own. */
async function isServed(t: TestContext, edge: Edge, port: number): Promise<boolean> {
  const other = await openRaw(t, edge);
  other.send(h2.headers(1, getFrom(`127.0.0.1:${port}`)));
  const outcome = await other.outcome(1);
  other.socket.destroy();
  return outcome !== null && 'status' in outcome && outcome.status === 200;
}

function isRefused(outcome: h2.Outcome | null): boolean {
  if (outcome === null) return true;
  return 'reset' in outcome
    ? outcome.reset !== 0
    : outcome.status === 400 || outcome.status === 431;
}

function swapped(fields: readonly h2.Field[], name: string, value: string): h2.Field[] {
  return fields.map((field) => (field[0] === name ? [name, value] : field));
}

function without(fields: readonly h2.Field[], name: string): h2.Field[] {
  return fields.filter((field) => field[0] !== name);
}

test('a head that is malformed is refused, and nothing is dialled (M01-M07)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const to = `127.0.0.1:${origin.port}`;
  const get = getFrom(to);
  const heads: Readonly<Record<string, readonly h2.Field[]>> = {
    'CONNECT with :scheme': [...connectTo(to), [':scheme', 'http']],
    'CONNECT with :path': [...connectTo(to), [':path', '/']],
    'CONNECT with both': [...connectTo(to), [':scheme', 'http'], [':path', '/']],
    'CONNECT without :authority': [method('CONNECT'), ['host', to]],
    'CONNECT to a user': connectTo(`user@${to}`),
    'method twice': [method('GET'), ...get],
    'path twice': [[':path', '/'], ...get],
    'authority twice': [[':authority', to], ...get],
    'late path': [...without(get, ':path'), ['x', 'y'], [':path', '/']],
    'unknown pseudo-field': [[':zone', 'x'], ...get],
    'a response field': [[':status', '200'], ...get],
    'no method': without(get, ':method'),
    'no scheme': without(get, ':scheme'),
    'no path': without(get, ':path'),
    'no authority': without(get, ':authority'),
    'Host alone': [...without(get, ':authority'), ['host', to]],
    'two hosts': getFrom(to, ['host', to], ['host', to]),
    'another Host': getFrom(to, ['host', 'other.test']),
    'user information': getFrom(`user@${to}`),
    'authority with a path': getFrom(`${to}/x`),
    'upper case': getFrom(to, ['X-Upper', 'y']),
    connection: getFrom(to, ['connection', 'close']),
    'keep-alive': getFrom(to, ['keep-alive', 'timeout=5']),
    'proxy-connection': getFrom(to, ['proxy-connection', 'close']),
    'transfer-encoding': getFrom(to, ['transfer-encoding', 'chunked']),
    upgrade: getFrom(to, ['upgrade', 'h2c']),
    'te other than trailers': getFrom(to, ['te', 'gzip']),
    'space in the path': swapped(get, ':path', '/ HTTP/1.1'),
    'CR LF in the path': swapped(get, ':path', '/\r\nx-evil: 1'),
    'absolute path': swapped(get, ':path', 'http://192.0.2.1/'),
    'path without a slash': swapped(get, ':path', 'x'),
    'empty path': swapped(get, ':path', ''),
    'fragment in the path': swapped(get, ':path', '/#x'),
    'scheme with a host': swapped(get, ':scheme', `http://${to}/x?`),
    'method with CR LF': swapped(get, ':method', 'GET / HTTP/1.1\r\nx-evil:'),
    'length without DATA': getFrom(to, ['content-length', '5']),
    'length twice': getFrom(to, ['content-length', '0'], ['content-length', '0']),
    'signed length': getFrom(to, ['content-length', '+0']),
    'empty :protocol': [...connectTo(to), [':protocol', ''], [':scheme', 'http'], [':path', '/']],
    ':protocol alone': [...connectTo(to), [':protocol', 'websocket']],
  };
  const raw = await openRaw(t, edge);
  let stream = -1;
  for (const [name, fields] of Object.entries(heads)) {
    stream += 2;
    raw.send(h2.headers(stream, fields));
    assert.ok(isRefused(await raw.outcome(stream)), name);
    assert.equal(raw.isOver(), false, name);
  }
  assert.equal(origin.sockets.length, 0);
  assert.equal(edge.tunnels.count(), 0);
});

test('an illegal field is never written into an HTTP/1 message (M04)', async (t) => {
  const origin = await runAnswering(t, page);
  const edge = await runEdge(t);
  const raw = await openRaw(t, edge);
  const evil: readonly h2.Field[] = [
    ['x-a', 'b\r\nx-evil: 1'],
    ['x-a', 'b\nx-evil: 1'],
    ['x-a', 'evil\0'],
    ['x:evil', 'b'],
    ['x evil', 'b'],
    ['', 'evil'],
    ['x\r\nx-evil', 'b'],
  ];
  raw.send(h2.headers(1, getFrom(`127.0.0.1:${origin.port}`, ...evil)));
  await raw.outcome(1);
  assert.doesNotMatch(origin.requests.join(), /evil/);
});

test('a head over the limit is refused before the limit is acknowledged too (M13)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const big: h2.Field = ['x-big', 'y'.repeat(16_000)];
  const head = h2.block(getFrom(`127.0.0.1:${origin.port}`, big, ['x', 'y'.repeat(400)]));
  const raw = await openRaw(t, edge);
  raw.send(
    h2.frame(FRAME.headers, FLAG.endStream, 1, head.subarray(0, 16_000)),
    h2.frame(FRAME.continuation, FLAG.endHeaders, 1, head.subarray(16_000)),
  );
  assert.deepEqual(await raw.outcome(1), { reset: 11 });
  assert.equal(origin.sockets.length, 0);
});

test('trailers over the limit never complete a request (M13, H27)', async (t) => {
  const heard: string[] = [];
  const origin = await runOrigin(t, (client) => {
    client.socket.on('data', (chunk: Buffer) => void heard.push(chunk.toString('latin1')));
  });
  const edge = await runEdge(t);
  const raw = await openRaw(t, edge);
  const post = swapped(getFrom(`127.0.0.1:${origin.port}`), ':method', 'POST');
  raw.send(h2.headers(1, post, FLAG.endHeaders), h2.data(1, 'hi'));
  await eventually(() => heard.join('').includes('2\r\nhi\r\n'), 'the body is there');
  const trailers = h2.block([
    ['x-big', 'y'.repeat(16_000)],
    ['x', 'y'.repeat(400)],
  ]);
  raw.send(
    h2.frame(FRAME.headers, FLAG.endStream, 1, trailers.subarray(0, 16_000)),
    h2.frame(FRAME.continuation, FLAG.endHeaders, 1, trailers.subarray(16_000)),
  );
  assert.deepEqual(await raw.outcome(1), { reset: 11 });
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
  assert.doesNotMatch(heard.join(''), /y{400}|\r\n0\r\n/);
});

test('compressed fields that unfold, or cannot be unfolded, cost a stream or the connection (M13)', async (t) => {
  const origin = await runAnswering(t, page);
  const edge = await runEdge(t);
  for (const name of ['cookie', 'host', 'x-any', ':authority']) {
    const raw = await openRaw(t, edge);
    const entry = [Buffer.from([0x40]), h2.literal(name), h2.literal('v'.repeat(3000))];
    const repeated = Buffer.alloc(10_000, 0x80 | 62);
    const bomb = Buffer.concat([h2.block(getFrom('127.0.0.1:1')), ...entry, repeated]);
    raw.send(h2.frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, bomb));
    assert.ok(isRefused(await raw.outcome(1)), name);
  }
  for (const bytes of ['80', 'ffffffffffffffff', '3fffffff7f', '0085ffffffffff', 'f2', '007f']) {
    const raw = await openRaw(t, edge);
    raw.send(h2.frame(FRAME.headers, FLAG.endHeaders, 1, Buffer.from(bytes, 'hex')));
    await raw.ended();
  }
  assert.ok(await isServed(t, edge, origin.port));
});

for (const how of [
  'reset',
  'end of file',
  'close',
  'more than its length',
  'less than its length',
]) {
  test(`an upload cut short by ${how} never looks complete to the origin (M06, H04)`, async (t) => {
    const uploads: { text(): string; closed(): Promise<string> }[] = [];
    const origin = await runOrigin(t, (client) => void uploads.push(client));
    const edge = await runEdge(t);
    const raw = await openRaw(t, edge);
    const length: h2.Field[] = how.endsWith('length') ? [['content-length', '10']] : [];
    const post = swapped(getFrom(`127.0.0.1:${origin.port}`, ...length), ':method', 'POST');
    raw.send(h2.headers(1, post, FLAG.endHeaders), h2.data(1, 'hello'));
    await eventually(() => uploads[0]?.text().includes('hello') === true, 'it has begun');
    if (how === 'reset') raw.send(h2.reset(1));
    else if (how === 'end of file') raw.socket.end();
    else if (how === 'close') raw.socket.destroy();
    else raw.send(h2.data(1, how.startsWith('more') ? 'hello hello' : '', FLAG.endStream));
    const text = await uploads[0]?.closed();
    assert.match(text ?? '', /\r\nhello$|\r\n5\r\nhello\r\n$/);
    await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
    const ends = edge.lines.filter(({ msg }) => /^tunnel (?:ended|failed)/.test(String(msg)));
    assert.equal(ends.length, 1, 'it ended once');
  });
}

test('streams beyond the limit are refused without work, acknowledged or not (M08)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t, { limits: { streamsPerConnection: 10 } });
  const raw = await openRaw(t, edge);
  for (let i = 1; i < 100; i += 2) {
    raw.send(h2.headers(i, connectTo(`127.0.0.1:${origin.port}`), FLAG.endHeaders));
  }
  for (let i = 21; i < 100; i += 2) assert.deepEqual(await raw.outcome(i), { reset: 7 });
  await eventually(() => origin.sockets.length === 10, 'the others are dialled');
  assert.equal(edge.tunnels.count(), 10);
});

const provocations: Readonly<Record<string, (stream: number) => Buffer>> = {
  'a reset': (stream) => h2.reset(stream),
  'a window of zero': (stream) => h2.windowUpdate(stream, 0),
  'a window that overflows': (stream) => h2.windowUpdate(stream, 0x7f_ff_ff_ff),
  'a second head': (stream) => h2.headers(stream, [['x', 'y']], FLAG.endHeaders),
  'DATA after the end': (stream) =>
    Buffer.concat([h2.data(stream, 'x', FLAG.endStream), h2.data(stream, 'x')]),
};

for (const [name, provoke] of Object.entries(provocations)) {
  test(`${name} on thousands of streams ends the connection after few dials (M09, M10)`, async (t) => {
    const origin = await runOrigin(t, () => undefined);
    const edge = await runEdge(t);
    const raw = await openRaw(t, edge);
    for (let i = 1; i < 10_000 && !raw.isOver(); i += 2) {
      const open = h2.headers(i, connectTo(`127.0.0.1:${origin.port}`), FLAG.endHeaders);
      raw.send(open, provoke(i));
      if (i % 101 === 0) await raw.roundTrip();
    }
    await raw.ended();
    await eventually(() => edge.tunnels.count() === 0, 'nothing is left');
    assert.ok(origin.sockets.length < 1500, `${origin.sockets.length} dials`);
  });
}

const floods: Readonly<Record<string, Buffer>> = {
  SETTINGS: h2.settings(),
  PING: h2.ping(),
  'empty DATA': h2.data(1, ''),
  'padded DATA': h2.data(1, '\0', FLAG.padded),
  PRIORITY: h2.frame(FRAME.priority, 0, 3, Buffer.from([0, 0, 0, 0, 1])),
  'unknown frames': h2.frame(0x77, 0, 0, 'x'),
};

for (const [name, one] of Object.entries(floods)) {
  test(`a flood of ${name} nobody reads the answers to ends the connection (M12)`, async (t) => {
    const origin = await runAnswering(t, page);
    const edge = await runEdge(t);
    const raw = await openRaw(t, edge);
    raw.send(h2.headers(1, connectTo(`127.0.0.1:${origin.port}`), FLAG.endHeaders));
    await raw.outcome(1);
    raw.socket.pause();
    const thousand = Buffer.concat(Array.from({ length: 1000 }, () => one));
    for (let i = 0; i < 30; i += 1) raw.send(thousand);
    assert.ok(await isServed(t, edge, origin.port), 'others are served meanwhile');
    raw.socket.resume();
    await raw.ended();
    await eventually(() => edge.tunnels.count() === 0, 'nothing is left');
  });
}

for (const [name, part] of [
  ['empty', Buffer.alloc(0)],
  ['full', h2.block([['cookie', 'a=1']])],
] as const) {
  test(`a flood of ${name} CONTINUATION frames ends the connection (M11)`, async (t) => {
    const edge = await runEdge(t);
    const raw = await openRaw(t, edge);
    raw.send(h2.frame(FRAME.headers, 0, 1, h2.block(getFrom('127.0.0.1:1'))));
    for (let i = 0; i < 1000; i += 1) raw.send(h2.frame(FRAME.continuation, 0, 1, part));
    await raw.ended();
    assert.equal(edge.lines.length, 0);
  });
}

test('invalid frames of every kind, over and over, crash nothing and leave nothing (M15)', async (t) => {
  const origin = await runAnswering(t, page);
  const edge = await runEdge(t);
  const four = Buffer.alloc(4);
  const invalid = [
    ...Array.from({ length: 12 }, (_, type) => h2.frame(type, 0xff, 0, 'abc')),
    ...Array.from({ length: 12 }, (_, type) => h2.frame(type, 0, 2, 'abcde')),
    ...Array.from({ length: 12 }, (_, type) => h2.frame(type, 0x29, 1, '\xff')),
    h2.frame(FRAME.push, FLAG.endHeaders, 1, four),
    h2.frame(FRAME.goaway, 0, 0, Buffer.alloc(8)),
    h2.settings([4, 0x80_00_00_00]),
    h2.settings([5, 1]),
    h2.settings([2, 7]),
    h2.windowUpdate(0, 0),
    h2.headers(1, connectTo('127.0.0.1:1')),
    Buffer.from('ffffff000000000001', 'hex'),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  ];
  for (let round = 0; round < 2; round += 1) {
    for (const bytes of invalid) {
      const raw = await openRaw(t, edge);
      raw.send(h2.headers(1, connectTo(`127.0.0.1:${origin.port}`), FLAG.endHeaders), bytes);
      await raw.roundTrip();
      raw.socket.destroy();
    }
  }
  await eventually(() => edge.tunnels.count() === 0, 'nothing is left');
  assert.ok(await isServed(t, edge, origin.port));
});

test('windows of zero stop the origin, and open ones let all of it through (M14)', async (t) => {
  let sent = 0;
  const origin = await runOrigin(t, ({ socket }) => {
    const more = (): void => {
      while (!socket.destroyed && sent < 64 * 1024 * 1024) {
        sent += 65_536;
        if (!socket.write(Buffer.alloc(65_536))) return;
      }
      socket.end();
    };
    socket.on('drain', more);
    more();
  });
  const edge = await runEdge(t);
  const raw = await openRaw(t, edge, [[4, 0]]);
  raw.send(h2.headers(1, connectTo(`127.0.0.1:${origin.port}`), FLAG.endHeaders));
  await raw.outcome(1);
  let before = -1;
  while (before !== sent) {
    before = sent;
    for (let i = 0; i < 50; i += 1) await raw.roundTrip();
  }
  assert.ok(sent < 16 * 1024 * 1024, `${sent} bytes taken`);
  raw.send(h2.windowUpdate(0, 0x70_00_00_00), h2.windowUpdate(1, 0x70_00_00_00));
  await raw.until((one) => one.type === FRAME.data && (one.flags & FLAG.endStream) !== 0);
  const got = raw.frames.reduce((n, { type, payload }) => n + (type === 0 ? payload.length : 0), 0);
  assert.equal(got, 64 * 1024 * 1024);
});

test('stalled uploads fill their own windows and nobody else waits (M17)', async (t) => {
  const origin = await runOrigin(t, ({ socket, write }) => {
    socket.once('data', (first: Buffer) => {
      if (first.toString('latin1').startsWith('ping')) write('pong');
      else socket.removeAllListeners('data').pause();
    });
  });
  const edge = await runEdge(t);
  const raw = await openRaw(t, edge);
  const streams = Array.from({ length: 24 }, (_, i) => 2 * i + 1);
  const to = connectTo(`127.0.0.1:${origin.port}`);
  for (const i of streams) raw.send(h2.headers(i, to, FLAG.endHeaders), h2.data(i, 'stall'));
  for (const i of streams) await raw.outcome(i);
  for (let sent = 0; sent < 60; sent += 1) {
    for (const i of streams) raw.send(h2.data(i, Buffer.alloc(16_384)));
    await raw.drained();
  }
  raw.send(h2.headers(99, to, FLAG.endHeaders), h2.data(99, 'ping'));
  const answer = await raw.until(({ type, stream }) => type === FRAME.data && stream === 99);
  assert.equal(answer?.payload.toString(), 'pong');
});

/** One and a half times the limit the tests set, and as much again for a busy machine. */
const inTimeMs = 1200;

/** How long until the gateway has let go of the connection, whose device never closes it. */
async function lifeOf(socket: tls.TLSSocket): Promise<number> {
  const began = Date.now();
  socket.on('error', () => undefined);
  // Bytes to a connection that nobody has any more come back as a reset.
  const poke = setInterval(() => socket.writable && socket.write(h2.ping()), 20);
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  clearInterval(poke);
  return Date.now() - began;
}

for (const [name, first] of [
  ['no stream', null],
  ['GOAWAY', h2.frame(FRAME.goaway, 0, 0, Buffer.alloc(8))],
] as const) {
  test(`a connection with ${name} is closed in time, and its PINGs put nothing off (R02-R04)`, async (t) => {
    const edge = await runEdge(t, { limits: { idleConnectionMs: 400 } });
    const raw = await openRaw(t, edge);
    if (first !== null) raw.send(first);
    assert.ok((await lifeOf(raw.socket)) < inTimeMs);
  });
}

test('a connection that says nothing at all after TLS is closed in time (R02)', async (t) => {
  const edge = await runEdge(t, { limits: { idleConnectionMs: 400 } });
  const { socket } = await connectDevice(t, edge, { ALPNProtocols: ['h2'] });
  const began = Date.now();
  await once(socket, 'end');
  assert.ok(Date.now() - began < inTimeMs);
});

test('a head without an end is not waited for (R03)', async (t) => {
  const edge = await runEdge(t, { limits: { idleConnectionMs: 400 } });
  const raw = await openRaw(t, edge);
  await raw.roundTrip();
  const began = Date.now();
  raw.send(h2.headers(1, getFrom('127.0.0.1:1'), 0));
  await raw.ended();
  assert.ok(Date.now() - began < inTimeMs);
});

test('an origin that resets a tunnel is a reset, not an end before it (M16)', async (t) => {
  const origin = await runOrigin(t, ({ socket }) => {
    socket.once('data', () => socket.resetAndDestroy());
  });
  const edge = await runEdge(t);
  const raw = await openRaw(t, edge);
  const to = connectTo(`127.0.0.1:${origin.port}`);
  raw.send(h2.headers(1, to, FLAG.endHeaders), h2.data(1, 'x'));
  const end = await raw.until(({ type }) => type === FRAME.reset);
  assert.equal(end?.payload.readUInt32BE(0), 10);
  assert.ok(!raw.frames.some(({ flags, type }) => type === FRAME.data && flags & FLAG.endStream));
});

test('a connection whose tunnels are silent outlives its idle limit and takes new streams', async (t) => {
  const origin = await runAnswering(t, page);
  const edge = await runEdge(t, { limits: { idleConnectionMs: 50 }, idleMs: 300 });
  const to = `127.0.0.1:${origin.port}`;
  // Its idle tunnel ends before that of the next: five times the limit have passed by then.
  const other = await openRaw(t, edge);
  other.send(h2.headers(1, connectTo(to), FLAG.endHeaders));
  await other.outcome(1);
  const raw = await openRaw(t, edge);
  raw.send(h2.headers(1, connectTo(to), FLAG.endHeaders));
  await raw.outcome(1);
  const isReset = ({ type }: h2.Frame): boolean => type === FRAME.reset || type === FRAME.data;
  await Promise.race([other.until(isReset), other.ended()]);
  assert.ok(!raw.frames.some(({ type }) => type === FRAME.goaway));
  raw.send(h2.headers(3, getFrom(to)));
  assert.deepEqual(await raw.outcome(3), { status: 200 });
});

test('hundreds of requests on one connection leave no listeners behind', async (t) => {
  const origin = await runOrigin(t, (client) => {
    client.socket.on('data', () => client.write(page));
  });
  const edge = await runEdge(t);
  const warnings: Error[] = [];
  const warn = (warning: Error): void => void warnings.push(warning);
  process.on('warning', warn);
  t.after(() => void process.off('warning', warn));
  const raw = await openRaw(t, edge);
  for (let i = 1; i < 400; i += 2) {
    raw.send(h2.headers(i, getFrom(`127.0.0.1:${origin.port}`)));
    assert.ok((await raw.outcome(i)) !== null);
  }
  assert.deepEqual(warnings, []);
  await eventually(() => edge.tunnels.count() === 0, 'all places are free again');
});

test('posture lost between streams refuses the next; re-judged, the live ones are cut and the connection stays (P02, P03)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const healthy = edge.posture;
  const raw = await openRaw(t, edge);
  const open = (stream: number): void =>
    raw.send(h2.headers(stream, connectTo(`127.0.0.1:${origin.port}`), FLAG.endHeaders));
  open(1);
  assert.deepEqual(await raw.outcome(1), { status: 200 });
  edge.posture = () => Promise.resolve({ report: null, known: false });
  open(3);
  assert.notDeepEqual(await raw.outcome(3), { status: 200 });
  edge.tunnels.rejudge(null, () => 'posture.non_compliant');
  await raw.until(({ type, stream }) => type === FRAME.reset && stream === 1);
  await eventually(() => edge.tunnels.count() === 0, 'it is cut');
  edge.posture = healthy;
  open(5);
  assert.deepEqual(await raw.outcome(5), { status: 200 });
});

test('draining while a stream is being admitted: that one is served, the next is not (R12)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const healthy = edge.posture;
  const { promise, resolve } = Promise.withResolvers<void>();
  let asked = 0;
  edge.posture = async () => {
    asked += 1;
    await promise;
    return await healthy();
  };
  const raw = await openRaw(t, edge);
  const to = connectTo(`127.0.0.1:${origin.port}`);
  raw.send(h2.headers(1, to, FLAG.endHeaders));
  await eventually(() => asked === 1, 'it is being judged');
  edge.listener.stop();
  await raw.until(({ type }) => type === FRAME.goaway);
  raw.send(h2.headers(3, to, FLAG.endHeaders));
  resolve();
  assert.deepEqual(await raw.outcome(1), { status: 200 });
  await raw.roundTrip();
  assert.equal(origin.sockets.length, 1);
});

// The first head that comes.
for (const [name, answer, status] of [
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n', 204],
  ['304', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n', 304],
  ['1xx before it', `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${page}`, 103],
  ['a field twice that stands once', page.replace('\r\n', '\r\nETag: "a"\r\nETag: "b"\r\n'), 200],
] as const) {
  test(`an answer with ${name} ends its stream, and the next is answered too`, async (t) => {
    const origin = await runAnswering(t, answer);
    const edge = await runEdge(t);
    const raw = await openRaw(t, edge);
    for (const stream of [1, 3]) {
      raw.send(h2.headers(stream, getFrom(`127.0.0.1:${origin.port}`)));
      assert.deepEqual(await raw.outcome(stream), { status });
      await raw.until((one) => one.stream === stream && (one.flags & FLAG.endStream) !== 0);
      if (stream === 1) await eventually(() => edge.tunnels.count() === 0, 'it has ended');
      for (const socket of origin.sockets) socket.destroy();
      await eventually(() => origin.sockets.every(({ closed }) => closed), 'a new one is needed');
    }
  });
}

test('an origin that dies within its answer is a reset, not an end (H23)', async (t) => {
  const origin = await runOrigin(t, ({ socket }) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart'));
  });
  const edge = await runEdge(t);
  const raw = await openRaw(t, edge);
  raw.send(h2.headers(1, getFrom(`127.0.0.1:${origin.port}`)));
  await raw.until(({ type }) => type === FRAME.reset);
  assert.ok(!raw.frames.some(({ flags, type }) => type === FRAME.data && flags & FLAG.endStream));
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
});

test('a reset while the origin is still thinking closes the connection to it (R06)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const raw = await openRaw(t, edge);
  raw.send(h2.headers(1, getFrom(`127.0.0.1:${origin.port}`)));
  await eventually(() => (origin.sockets[0]?.bytesRead ?? 0) > 0, 'it is asked');
  raw.send(h2.reset(1));
  await eventually(() => origin.sockets[0]?.destroyed === true, 'it is told');
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
});
