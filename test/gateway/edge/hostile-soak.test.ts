// Hostile devices and origins in random order: whatever they do to each other, everything is given back.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type net from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { authority, device, type Edge, eventually, runEdge, runOrigin } from './running-edge.ts';

const seeds = [61, 67, 20_261_123];
const rounds = 80;

/** The same every time (mulberry32). */
function createRandom(state: number): (below: number) => number {
  let a = state;
  return (below) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const ok = 'HTTP/1.1 200 OK\r\n';

/** What an origin does once it has heard something. */
const origins: readonly ((socket: net.Socket) => void)[] = [
  (socket) => socket.resetAndDestroy(),
  (socket) => socket.end(),
  (socket) => socket.write(`${ok}Content-Length: 2\r\n\r\nok`),
  (socket) => socket.write(`${ok}Content-Length: 2\r\n\r\nok${ok}Content-Length: 4\r\n\r\nevil`),
  (socket) => socket.end(`${ok}Content-Length: 20\r\n\r\nshort`),
  (socket) => socket.write(`${ok}Transfer-Encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(9000)}`),
  (socket) =>
    socket.write(`${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nEtag: a\r\nEtag: b\r\n\r\n`),
  (socket) =>
    socket.write('HTTP/1.1 101 No\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello'),
  (socket) => socket.write('HTTP/1.1 103 Hints\r\n\r\n'.repeat(40)),
  (socket) => socket.write(`HTTP/1.1 999 \xff\r\nContent-Length: 0\r\n\r\n`, 'latin1'),
  (socket) => socket.write(Buffer.alloc(300_000, 'y')),
  (socket) =>
    socket.write(`HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`),
];

type Random = ReturnType<typeof createRandom>;

/** What a device says; it leaves at any moment. */
function requests(port: number): readonly string[] {
  const host = `127.0.0.1:${port}`;
  const to = (line: string, fields = '', body = ''): string =>
    `${line} HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`;
  return [
    to(`CONNECT ${host}`, '', 'early bytes'),
    to(`CONNECT ${host}`),
    to(`GET http://${host}/`),
    to(`GET http://${host}/`, 'TE: trailers\r\n').repeat(3),
    to(`POST http://${host}/`, 'Content-Length: 10\r\n', 'half'),
    to(`POST http://${host}/`, 'Transfer-Encoding: chunked\r\n', '4\r\nfour\r\n0\r\nX: 1\r\n\r\n'),
    to(`POST http://${host}/`, 'Transfer-Encoding: chunked\r\n', '4\r\nfour\r\nnonsense\r\n'),
    to(`GET http://${host}/`, 'Connection: Upgrade\r\nUpgrade: websocket\r\n', 'frames'),
    to(`CONNECT ${host}`) + to(`GET http://${host}/`),
    to(`GET http://elsewhere.test/`),
  ];
}

const common = { ca: authority.certificatePem, cert: device.chainPem, key: device.keyPem };

function leave(socket: net.Socket, random: Random): void {
  const ways = [() => socket.destroy(), () => socket.end(), () => socket.pause()];
  ways[random(ways.length)]?.();
}

async function overHttp1(edge: Edge, port: number, random: Random, sockets: Set<net.Socket>) {
  const socket = tls.connect({
    host: '127.0.0.1',
    port: edge.port,
    servername: 'localhost',
    ...common,
  });
  sockets.add(socket);
  socket.on('error', () => undefined).resume();
  await once(socket, 'secureConnect');
  const all = requests(port);
  socket.write(all[random(all.length)] ?? '');
  for (let turns = random(30); turns > 0; turns -= 1) await turn();
  leave(socket, random);
}

async function overHttp2(
  edge: Edge,
  port: number,
  random: Random,
  sessions: Set<http2.ClientHttp2Session>,
) {
  const session = http2.connect(`https://localhost:${edge.port}`, {
    ...common,
    settings: { initialWindowSize: random(2) * 65_535 },
  });
  sessions.add(session);
  session.on('error', () => undefined);
  await once(session, 'remoteSettings');
  for (let i = 0; i < 4; i += 1) {
    const isTunnel = random(2) === 0;
    const stream = session.request(
      isTunnel
        ? { ':method': 'CONNECT', ':authority': `127.0.0.1:${port}` }
        : {
            ':method': random(2) === 0 ? 'GET' : 'POST',
            ':scheme': 'http',
            ':authority': `127.0.0.1:${port}`,
            ':path': '/',
            te: 'trailers',
            ...(random(2) === 0 && { expect: '100-continue' }),
          },
      { endStream: false },
    );
    stream.on('error', () => undefined).resume();
    stream.write('some bytes');
    for (let turns = random(20); turns > 0; turns -= 1) await turn();
    const ways = [
      () => stream.close(http2.constants.NGHTTP2_NO_ERROR),
      () => stream.close(http2.constants.NGHTTP2_CANCEL),
      () => stream.end(),
      () => stream.pause(),
    ];
    ways[random(ways.length)]?.();
  }
  for (let turns = random(20); turns > 0; turns -= 1) await turn();
  if (random(2) === 0) session.destroy();
  else session.close();
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function abuse(t: TestContext, edge: Edge, seed: number): Promise<void> {
  const random = createRandom(seed);
  const origin = await runOrigin(t, ({ socket }) => {
    const act = origins[random(origins.length)];
    socket.once('data', () => act?.(socket));
  });
  const sockets = new Set<net.Socket>();
  const sessions = new Set<http2.ClientHttp2Session>();
  let left = rounds;
  const worker = async (): Promise<void> => {
    for (; left > 0; ) {
      left -= 1;
      if (random(2) === 0) await overHttp1(edge, origin.port, random, sockets);
      else await overHttp2(edge, origin.port, random, sessions);
      if (random(10) === 0) edge.tunnels.rejudge(null, () => 'rules.changed');
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  for (const socket of sockets) socket.destroy();
  for (const session of sessions) session.destroy();
  await eventually(() => edge.tunnels.count() === 0, 'every place is free');
  await eventually(
    () => origin.sockets.every((one) => one.closed || one.readableEnded || one.destroyed),
    'no origin is left',
  );
}

test('after hostile peers in random order nothing is left, and each was logged once (R06, R10)', async (t) => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on('unhandledRejection', note).on('uncaughtExceptionMonitor', note);
  t.after(() => void process.off('unhandledRejection', note).off('uncaughtExceptionMonitor', note));
  const edge = await runEdge(t, {
    tunnelsPerDevice: 60,
    idleMs: 500,
    firstByteMs: 500,
    limits: { idleConnectionMs: 500 },
  });
  for (const seed of seeds) await abuse(t, edge, seed);
  assert.deepEqual(unhandled, []);
  const ids = (event: string) =>
    edge.lines
      .filter((line) => line['event.name'] === event)
      .map((line) => line['zonegate.tunnel.id']);
  const ended = ids('zonegate.tunnel.end');
  const admitted = edge.lines
    .filter(
      (line) => line['event.name'] === 'zonegate.admit' && line['zonegate.action'] === 'tunnel',
    )
    .map((line) => line['zonegate.tunnel.id']);
  assert.equal(new Set(ids('zonegate.admit')).size, ids('zonegate.admit').length);
  assert.deepEqual(new Set(ended), new Set(admitted));
  assert.equal(ended.length, admitted.length);
  assert.ok(admitted.length > 100);
  assert.deepEqual(edge.tunnels.list(), []);
});
