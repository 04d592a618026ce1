// HTTP/2 on the device listener: tunnels and plain requests per stream, with a client of Node's own.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import {
  authority,
  connectDevice,
  device,
  type Edge,
  eventually,
  runAnswering,
  runEdge,
  runOrigin,
} from './running-edge.ts';

const { NGHTTP2_CONNECT_ERROR, NGHTTP2_CANCEL } = http2.constants;

/** A session as a browser opens it. */
async function openSession(t: TestContext, edge: Edge): Promise<ClientHttp2Session> {
  const session = http2.connect(`https://localhost:${edge.port}`, {
    ca: authority.certificatePem,
    cert: device.chainPem,
    key: device.keyPem,
  });
  t.after(() => session.destroy());
  session.on('error', () => undefined);
  await once(session, 'remoteSettings');
  return session;
}

function tunnel(session: ClientHttp2Session, target: string): ClientHttp2Stream {
  const stream = session.request({ ':method': 'CONNECT', ':authority': target });
  stream.on('error', () => undefined);
  return stream;
}

/** Whether it ended well or not. */
function closed(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => stream.once('close', () => resolve()));
}

type Head = http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;

async function answerOf(stream: ClientHttp2Stream): Promise<Head> {
  const [head] = (await once(stream, 'response')) as [Head];
  return head;
}

async function bodyOf(stream: ClientHttp2Stream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

function get(
  session: ClientHttp2Session,
  authorityText: string,
  more: http2.OutgoingHttpHeaders = {},
) {
  return session.request({
    ':method': 'GET',
    ':scheme': 'http',
    ':authority': authorityText,
    ':path': '/',
    ...more,
  });
}

const page = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\npage';

test('a tunnel carries bytes both ways and half-closes both ways (M00, M16)', async (t) => {
  const origin = await runOrigin(t, (client) => {
    // Answers only after the device's half has ended.
    client.socket.removeAllListeners('end');
    client.socket.once('end', () => client.socket.end(`heard ${client.text()}`));
  });
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const stream = tunnel(session, `127.0.0.1:${origin.port}`);
  stream.end('hello');
  assert.equal((await answerOf(stream))[':status'], 200);
  assert.equal(await bodyOf(stream), 'heard hello');
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
});

test('a refusal is a whole answer on its stream, and the session goes on (D01, M18)', async (t) => {
  const origin = await runAnswering(t, page);
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const refused = tunnel(session, '192.0.2.1:443');
  const head = await answerOf(refused);
  assert.equal(head[':status'], 403);
  assert.match(String(head['proxy-status']), /error=http_request_denied; details="rules.block"/);
  assert.equal(JSON.parse(await bodyOf(refused)).reason, 'rules.block');
  const next = get(session, `127.0.0.1:${origin.port}`);
  assert.equal((await answerOf(next))[':status'], 200);
  assert.equal(await bodyOf(next), 'page');
});

test('a tunnel whose lifetime is over is reset, and the session goes on (R05, M17)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t, { lifetimeMs: 50 });
  const session = await openSession(t, edge);
  const stream = tunnel(session, `127.0.0.1:${origin.port}`);
  await closed(stream);
  assert.equal(stream.rstCode, NGHTTP2_CONNECT_ERROR);
  await eventually(() => edge.lines.at(-1)?.['zonegate.end'] === 'lifetime', 'the log says why');
  assert.equal(session.closed, false);
});

test('a connection too many serves no stream, and is closed (R08)', async (t) => {
  const origin = await runAnswering(t, page);
  const edge = await runEdge(t, { connectionsPerDevice: 1 });
  const target = `127.0.0.1:${origin.port}`;
  const first = await openSession(t, edge);
  assert.equal((await answerOf(get(first, target)))[':status'], 200);
  const second = await openSession(t, edge);
  const refused = tunnel(second, target);
  assert.equal((await answerOf(refused))[':status'], 429);
  assert.equal(JSON.parse(await bodyOf(refused)).reason, 'limits.device_connections');
  await eventually(() => second.closed, 'it says that it goes');
  assert.equal((await answerOf(get(first, target)))[':status'], 200);
});

test('a malformed authority is told (M01)', async (t) => {
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  for (const target of ['127.0.0.1', '127.0.0.1:0', 'user@127.0.0.1:80', '[127.0.0.1]:80']) {
    const stream = tunnel(session, target);
    // Some are refused by the parser below, as an error of their stream.
    const told = await Promise.race([answerOf(stream), closed(stream)]);
    assert.ok(told === undefined ? stream.rstCode !== 0 : told[':status'] === 400, target);
    stream.resume();
  }
});

test('extended CONNECT is announced, and a protocol nobody knows is answered 501 (M07)', async (t) => {
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  assert.equal(session.remoteSettings.enableConnectProtocol, true);
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'connect-udp',
    ':scheme': 'https',
    ':authority': 'localhost',
    ':path': '/.well-known/masque/udp/192.0.2.1/443/',
  });
  assert.equal((await answerOf(stream))[':status'], 501);
  assert.equal(JSON.parse(await bodyOf(stream)).reason, 'request.protocol');
});

test('a plain request is forwarded as HTTP/1.1 with its own Via (M00, M04)', async (t) => {
  const origin = await runAnswering(t, page);
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const stream = get(session, `127.0.0.1:${origin.port}`, {
    cookie: 'a=1; b=2',
    te: 'trailers',
    'x-forwarded-for': '192.0.2.1',
    accept: '*/*',
  });
  const head = await answerOf(stream);
  assert.equal(head['x-hop'], undefined);
  assert.equal(head.via, '1.1 gw-test');
  assert.equal(await bodyOf(stream), 'page');
  const [request = ''] = origin.requests;
  assert.match(request, /^GET \/ HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\n/);
  assert.match(request, /\r\nvia: 2 gw-test\r\n/);
  assert.match(request, /\r\ncookie: a=1; b=2\r\n/);
  assert.match(request, /\r\nte: trailers\r\nconnection: te\r\n/);
  assert.doesNotMatch(request, /x-forwarded-for/i);
});

test('informational answers come before the final one, in its own words only (RFC 9113 section 8.1)', async (t) => {
  const origin = await runAnswering(
    t,
    'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\nKeep-Alive: timeout=5\r\n\r\n' +
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  );
  const session = await openSession(t, await runEdge(t));
  const stream = get(session, `127.0.0.1:${origin.port}`);
  const informed: http2.IncomingHttpHeaders[] = [];
  stream.on('headers', (fields: http2.IncomingHttpHeaders) => void informed.push(fields));
  assert.equal((await answerOf(stream))[':status'], 200);
  const [{ link, via, 'keep-alive': hop } = {}, ...more] = informed;
  assert.deepEqual([link, via, hop, more], ['<a>', '1.1 gw-test', undefined, []]);
});

test('a body goes up, and HEAD has none coming down (M06)', async (t) => {
  const origin = await runAnswering(t, 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n');
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const post = get(session, `127.0.0.1:${origin.port}`, { ':method': 'POST' });
  post.end('some body');
  post.on('error', () => undefined);
  await eventually(() => origin.requests.length === 1, 'the request arrived');
  assert.match(origin.requests[0] ?? '', /\r\n(content-length: 9|transfer-encoding: chunked)\r\n/i);
  const head = get(session, `127.0.0.1:${origin.port}`, { ':method': 'HEAD' });
  assert.equal((await answerOf(head))['content-length'], '7');
  assert.equal(await bodyOf(head), '');
});

test('an answer that went out whole is told so, and its origin serves the next stream', async (t) => {
  const origin = await runOrigin(t, (client) => {
    client.socket.on('data', () => client.write(page));
  });
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  for (let i = 0; i < 2; i += 1) {
    assert.equal(await bodyOf(get(session, `127.0.0.1:${origin.port}`)), 'page');
    await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
    assert.equal(edge.lines.at(-1)?.['zonegate.end'], 'answered');
  }
  assert.equal(origin.sockets.length, 1);
});

test('an answer before the end of an upload ends the stream, and nothing waits for the rest', async (t) => {
  const origin = await runAnswering(t, page);
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const stream = get(session, `127.0.0.1:${origin.port}`, { ':method': 'POST' });
  stream.on('error', () => undefined);
  stream.write('the first of many');
  assert.equal(await bodyOf(stream), 'page');
  await closed(stream);
  assert.equal(stream.rstCode, 0);
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
});

test('requests to the gateway itself, and https in the clear, are not proxied (M05, H15)', async (t) => {
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const own = get(session, 'localhost', { ':scheme': 'https' });
  assert.equal((await answerOf(own))[':status'], 404);
  own.resume();
  const odd = get(session, '127.0.0.1', { ':scheme': 'ftp' });
  assert.equal((await answerOf(odd))[':status'], 400);
  odd.resume();
});

test('an authority and a Host that disagree are refused (M02)', async (t) => {
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const stream = get(session, '127.0.0.1:80', { host: 'other.test' });
  assert.equal((await answerOf(stream))[':status'], 400);
  stream.resume();
});

test('streams to one origin do not wait for each other (M17)', async (t) => {
  const held: (() => void)[] = [];
  const origin = await runOrigin(t, (client) => {
    client.until(/\r\n\r\n/).then(
      () => held.push(() => client.write(page)),
      () => undefined,
    );
  });
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const streams = [0, 1, 2].map(() => get(session, `127.0.0.1:${origin.port}`));
  await eventually(() => held.length === 3, 'all three arrived');
  for (const answer of held) answer();
  for (const stream of streams) assert.equal(await bodyOf(stream), 'page');
});

test('an origin that resets is a stream error of type CONNECT_ERROR (M16)', async (t) => {
  const origin = await runOrigin(t, ({ socket }) => {
    socket.once('data', () => socket.resetAndDestroy());
  });
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const stream = tunnel(session, `127.0.0.1:${origin.port}`);
  await answerOf(stream);
  stream.write('x');
  await closed(stream);
  assert.equal(stream.rstCode, NGHTTP2_CONNECT_ERROR);
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
});

test('a stream the device resets is closed at the origin, and no other (M16, M17)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const [one, other] = [0, 1].map(() => tunnel(session, `127.0.0.1:${origin.port}`));
  assert.ok(one !== undefined && other !== undefined);
  await Promise.all([answerOf(one), answerOf(other)]);
  one.close(NGHTTP2_CANCEL);
  await eventually(() => edge.tunnels.count() === 1, 'one tunnel is left');
  await eventually(() => origin.sockets.filter((socket) => socket.destroyed).length === 1, 'reset');
  assert.equal(other.destroyed, false);
});

test('a device refused while its stream connects is cut on that stream', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const stream = tunnel(session, `127.0.0.1:${origin.port}`);
  await answerOf(stream);
  edge.tunnels.rejudge(null, () => 'posture.non_compliant');
  await closed(stream);
  assert.equal(stream.rstCode, NGHTTP2_CONNECT_ERROR);
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
});

test('a device that closes its connection takes all its streams with it (R06)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const streams = [0, 1, 2].map(() => tunnel(session, `127.0.0.1:${origin.port}`));
  await Promise.all(streams.map(answerOf));
  assert.equal(edge.tunnels.count(), 3);
  session.destroy();
  await eventually(() => edge.tunnels.count() === 0, 'all places are free again');
  await eventually(() => origin.sockets.every((socket) => socket.destroyed), 'all are closed');
});

test('end of file on the connection ends it, streams and all (threats section 6)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const socket = tls.connect({
    port: edge.port,
    host: '127.0.0.1',
    servername: 'localhost',
    ALPNProtocols: ['h2'],
    ca: authority.certificatePem,
    cert: device.chainPem,
    key: device.keyPem,
    allowHalfOpen: true,
  } as tls.ConnectionOptions);
  await once(socket, 'secureConnect');
  const session = http2.connect('https://localhost', { createConnection: () => socket });
  session.on('error', () => undefined);
  const stream = tunnel(session, `127.0.0.1:${origin.port}`);
  await answerOf(stream);
  socket.end();
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  session.destroy();
});

test('megabytes arrive whole in both directions through 1 MiB windows (M14, R07)', async (t) => {
  const size = 8 * 1024 * 1024;
  const origin = await runOrigin(t, ({ socket }) => {
    socket.removeAllListeners('data');
    socket.pipe(socket);
  });
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const stream = tunnel(session, `127.0.0.1:${origin.port}`);
  await answerOf(stream);
  const sent = Buffer.alloc(size, 'zonegate');
  stream.end(sent);
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  assert.ok(Buffer.concat(chunks).equals(sent));
});

test('draining says GOAWAY and lets the open streams go on (R12)', async (t) => {
  const origin = await runOrigin(t, (client) => {
    client.until(/late$/).then(
      () => client.socket.end('still here'),
      () => undefined,
    );
  });
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const stream = tunnel(session, `127.0.0.1:${origin.port}`);
  await answerOf(stream);
  const goaway = once(session, 'goaway');
  edge.listener.stop();
  await goaway;
  stream.end('late');
  assert.equal(await bodyOf(stream), 'still here');
});

test('streams beyond the announced limit are refused without work behind them (M08)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t, { limits: { streamsPerConnection: 2 } });
  const session = await openSession(t, edge);
  assert.equal(session.remoteSettings.maxConcurrentStreams, 2);
  const streams = [0, 1].map(() => tunnel(session, `127.0.0.1:${origin.port}`));
  await Promise.all(streams.map(answerOf));
  tunnel(session, `127.0.0.1:${origin.port}`);
  // The client holds it back itself; a ping comes back after everything before it was handled.
  await new Promise<void>((resolve) => session.ping(() => resolve()));
  assert.equal(origin.sockets.length, 2);
});

test('rapid reset ends the connection after far fewer dials than streams (M09)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  for (let i = 0; i < 5000 && !session.destroyed; i += 1) {
    const stream = tunnel(session, `127.0.0.1:${origin.port}`);
    stream.close(NGHTTP2_CANCEL);
  }
  if (!session.closed) await once(session, 'close');
  await eventually(() => edge.tunnels.count() === 0, 'nothing is left');
  assert.ok(origin.sockets.length < 2500, `${origin.sockets.length} dials`);
});

test('the listener for others offers no h2', async (t) => {
  const edge = await runEdge(t, { limits: { h2: false } });
  const client = await connectDevice(t, edge, { ALPNProtocols: ['http/1.1'] });
  assert.equal(client.socket.alpnProtocol, 'http/1.1');
  await assert.rejects(connectDevice(t, edge, { ALPNProtocols: ['h2'] }));
});
