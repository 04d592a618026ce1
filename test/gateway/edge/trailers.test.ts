// Trailer sections of requests and answers, over both versions of HTTP; and answers of HTTP/1.0 origins.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { type TestContext, test } from 'node:test';
import {
  authority,
  connectDevice,
  device,
  type Edge,
  eventually,
  runAnswering,
  runEdge,
  runOrigin,
  send,
  statusOf,
} from './running-edge.ts';

const evil =
  'Host: evil\r\nAuthorization: evil\r\nContent-Length: 99\r\nTransfer-Encoding: evil\r\n';
const answer =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Host\r\n\r\n' +
  `2\r\nok\r\n0\r\nX-Sum: 1\r\n${evil}X-Sum: 2\r\n\r\n`;
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

const get = (port: number, fields: string, version = '1.1'): string =>
  `GET http://127.0.0.1:${port}/ HTTP/${version}\r\nHost: a\r\n${fields}\r\n`;

const close = 'Connection: close\r\n';

async function openSession(t: TestContext, edge: Edge) {
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

const asking = (port: number, more: http2.OutgoingHttpHeaders = {}): http2.OutgoingHttpHeaders => ({
  ':method': 'GET',
  ':scheme': 'http',
  ':authority': `127.0.0.1:${port}`,
  ':path': '/',
  ...more,
});

async function hear(stream: http2.ClientHttp2Stream) {
  let trailers: http2.IncomingHttpHeaders | null = null;
  stream.on('trailers', (received: http2.IncomingHttpHeaders) => {
    trailers = received;
  });
  const [head] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  let body = '';
  for await (const chunk of stream) body += String(chunk);
  return { head, body, trailers: trailers as http2.IncomingHttpHeaders | null };
}

test('trailers of an answer reach a device that accepts them, without those that may not trail (H27)', async (t) => {
  const origin = await runAnswering(t, answer);
  const text = await send(t, await runEdge(t), get(origin.port, `${close}TE: trailers\r\n`));
  assert.match(text, /\r\ntrailer: X-Sum\r\n/i);
  assert.match(text, /\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n$/);
  assert.doesNotMatch(text, /evil/);
});

test('a device that does not accept trailers gets the answer without', async (t) => {
  const origin = await runAnswering(t, answer);
  const edge = await runEdge(t);
  const text = await send(t, edge, get(origin.port, close));
  assert.match(text, /\r\n\r\n2\r\nok\r\n0\r\n\r\n$/);
  assert.doesNotMatch(text, /x-sum|evil/i);
  assert.doesNotMatch(origin.requests.join(), /te: /i);
  const old = await send(t, edge, get(origin.port, 'TE: trailers\r\n', '1.0'));
  assert.match(old, /\r\n\r\nok$/);
  assert.doesNotMatch(old, /x-sum/i);
});

test('a HEAD has no trailers, whatever is announced', async (t) => {
  const origin = await runAnswering(
    t,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n',
  );
  const head = get(origin.port, `${close}TE: trailers\r\n`).replace('GET', 'HEAD');
  const text = await send(t, await runEdge(t), head);
  assert.equal(statusOf(text), 200);
  assert.doesNotMatch(text, /trailer/i);
});

test('trailers of an answer reach an HTTP/2 device that accepts them, and no other', async (t) => {
  const origin = await runOrigin(t, (client) => {
    client.socket.on('data', () => client.write(answer));
  });
  const session = await openSession(t, await runEdge(t));
  const heard = await hear(session.request(asking(origin.port, { te: 'trailers' })));
  assert.equal(heard.head['trailer'], 'X-Sum');
  assert.equal(heard.body, 'ok');
  assert.deepEqual(Object.entries(heard.trailers ?? {}), [['x-sum', '1, 2']]);
  const without = await hear(session.request(asking(origin.port)));
  assert.equal(without.body, 'ok');
  assert.equal(without.trailers, null);
});

test('an HTTP/2 device that accepts trailers gets answers that have none', async (t) => {
  const origin = await runAnswering(t, answer.replace(/0\r\n.*$/s, '0\r\n\r\n'));
  const edge = await runEdge(t);
  const session = await openSession(t, edge);
  const heard = await hear(session.request(asking(origin.port, { te: 'trailers' })));
  assert.equal(heard.body, 'ok');
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  assert.equal(edge.lines.at(-1)?.['zonegate.end'], 'answered');
});

test('trailers that break off never make an answer look complete (H23)', async (t) => {
  const origin = await runOrigin(t, (client) => {
    client.until(/\r\n\r\n/).then(
      () => client.socket.end(answer.replace(/X-Sum: 2.*$/s, '')),
      () => undefined,
    );
  });
  const edge = await runEdge(t);
  const text = await send(t, edge, get(origin.port, 'TE: trailers\r\n'));
  assert.match(text, /2\r\nok\r\n$/);
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  assert.equal(edge.lines.at(-1)?.['zonegate.reason'], 'origin.incomplete');
});

test('trailers of a request reach the origin, without those that may not trail (H27)', async (t) => {
  const origin = await runOrigin(t, (client) => {
    client.until(/\r\n0\r\n.*\r\n\r\n$/s).then(
      () => client.write(ok),
      () => undefined,
    );
    heard = client.text;
  });
  let heard = (): string => '';
  const fields = `${close}Transfer-Encoding: chunked\r\nTrailer: X-Sum, Authorization\r\n`;
  const trailers = 'X-Sum: 1\r\nHost: evil\r\nAuthorization: evil\r\n';
  const bytes = `${get(origin.port, fields).replace('GET', 'POST')}2\r\nhi\r\n0\r\n${trailers}\r\n`;
  assert.equal(statusOf(await send(t, await runEdge(t), bytes)), 200);
  assert.match(heard(), /\r\ntrailer: X-Sum\r\n/);
  assert.match(heard(), /\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n$/);
  assert.doesNotMatch(heard(), /evil/);
});

test('trailers of an HTTP/2 request reach the origin, without those that may not trail (H27)', async (t) => {
  let heard = (): string => '';
  const origin = await runOrigin(t, (client) => {
    client.until(/\r\n0\r\n.*\r\n\r\n$/s).then(
      () => client.write(ok),
      () => undefined,
    );
    heard = client.text;
  });
  const session = await openSession(t, await runEdge(t));
  const head = asking(origin.port, { ':method': 'POST', trailer: 'x-sum' });
  const stream = session.request(head, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1', authorization: 'evil' }));
  stream.end('hi');
  assert.equal((await hear(stream)).body, 'ok');
  assert.match(heard(), /\r\ntrailer: x-sum\r\n/);
  assert.match(heard(), /\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n$/);
});

test('trailers of a request have the limit of its head, and nothing is completed upstream (H20)', async (t) => {
  let received = '';
  const origin = await runOrigin(t, (client) => {
    client.socket.on('data', (chunk) => {
      received += chunk;
    });
  });
  const edge = await runEdge(t);
  const fields = 'Transfer-Encoding: chunked\r\n';
  const bytes = get(origin.port, fields).replace('GET', 'POST');
  const text = await send(t, edge, `${bytes}2\r\nhi\r\n0\r\nX: ${'a'.repeat(40_000)}\r\n\r\n`);
  assert.ok(['', 400, 431].includes(text === '' ? '' : statusOf(text)), text);
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
  assert.doesNotMatch(received, /\r\n0\r\n/);
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
});

test('Via names the version the origin speaks (RFC 9110 section 7.6.3)', async (t) => {
  const origin = await runOrigin(t, (client) => {
    client.until(/\r\n\r\n/).then(
      () => client.socket.end('HTTP/1.0 200 OK\r\nVia: 1.1 cdn\r\n\r\nuntil the end'),
      () => undefined,
    );
  });
  const edge = await runEdge(t);
  const text = await send(t, edge, get(origin.port, close));
  assert.match(text, /^HTTP\/1\.1 200 OK\r\nvia: 1\.1 cdn, 1\.0 gw-test\r\n/);
  assert.match(text, /\r\nd\r\nuntil the end\r\n0\r\n\r\n$/);
  const old = await send(t, edge, get(origin.port, '', '1.0'));
  assert.match(old, /\r\n\r\nuntil the end$/);
  const heard = await hear((await openSession(t, edge)).request(asking(origin.port)));
  assert.deepEqual([heard.head['via'], heard.body], ['1.1 cdn, 1.0 gw-test', 'until the end']);
});

test('an HTTP/1.0 origin is asked on a new connection each time', async (t) => {
  const origin = await runAnswering(t, 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok');
  const client = await connectDevice(t, await runEdge(t));
  for (let i = 1; i <= 2; i += 1) {
    client.write(get(origin.port, ''));
    await client.until((text) => text.split('\r\n\r\nok').length > i);
  }
  assert.equal(origin.sockets.length, 2);
});

for (const [name, head] of [
  ['without a length', 'HTTP/1.0 200 OK\r\n\r\nhalf'],
  ['with a length', 'HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhalf'],
  ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
] as const) {
  test(`an answer ${name} whose connection is reset never looks complete (H23)`, async (t) => {
    const origin = await runAnswering(t, head);
    const edge = await runEdge(t);
    const client = await connectDevice(t, edge);
    client.write(get(origin.port, ''));
    await client.until(/half/);
    origin.sockets[0]?.resetAndDestroy();
    const text = await client.closed();
    assert.doesNotMatch(text, /0\r\n\r\n$/);
    const session = await openSession(t, edge);
    const stream = session.request(asking(origin.port));
    stream.once('data', () => origin.sockets[1]?.resetAndDestroy());
    stream.on('error', () => undefined);
    await new Promise((resolve) => stream.once('close', resolve));
    assert.notEqual(stream.rstCode, 0);
  });
}

test('OPTIONS without a path asks the server as a whole, in both versions (RFC 9112 section 3.2.4)', async (t) => {
  const origin = await runAnswering(t, ok);
  const edge = await runEdge(t);
  const target = `127.0.0.1:${origin.port}`;
  for (const [method, path, line] of [
    ['OPTIONS', '', 'OPTIONS * HTTP/1.1'],
    ['OPTIONS', '/', 'OPTIONS / HTTP/1.1'],
    ['OPTIONS', '?a', 'OPTIONS /?a HTTP/1.1'],
    ['GET', '', 'GET / HTTP/1.1'],
  ] as const) {
    await send(t, edge, `${method} http://${target}${path} HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    assert.equal(origin.requests.at(-1)?.split('\r\n')[0], line);
  }
  const session = await openSession(t, edge);
  await hear(session.request(asking(origin.port, { ':method': 'OPTIONS', ':path': '*' })));
  assert.match(origin.requests.at(-1) ?? '', /^OPTIONS \* HTTP\/1\.1\r\nhost: 127\.0\.0\.1:/);
});
