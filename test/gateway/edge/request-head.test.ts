// Request heads that two parsers could read in two ways, sent as raw bytes: refused, closed, never forwarded.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectDevice, runAnswering, runEdge, send, statusOf } from './running-edge.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const chunked = 'Transfer-Encoding: chunked';
const zero = '0\r\n\r\n';

/** Fields after Host, and the body; `HOST` and `ORIGIN` are filled in. */
const refusedFields: readonly (readonly [name: string, fields: string, body: string])[] = [
  ['H01 both framings', `${chunked}\r\nContent-Length: 5\r\n`, zero],
  ['H01 two equal lengths', 'Content-Length: 2\r\nContent-Length: 2\r\n', 'hi'],
  ['H01 two lengths', 'Content-Length: 2\r\nContent-Length: 3\r\n', 'hi'],
  ['H02 a list of lengths', 'Content-Length: 2, 2\r\n', 'hi'],
  ['H02 a signed length', 'Content-Length: +2\r\n', 'hi'],
  ['H02 a hexadecimal length', 'Content-Length: 0x2\r\n', 'hi'],
  ['H02 a length with a space', 'Content-Length: 2 2\r\n', 'hi'],
  ['H02 an empty length', 'Content-Length: \r\n', 'hi'],
  ['H02 a length beyond 64 bits', `Content-Length: ${'9'.repeat(23)}\r\n`, 'hi'],
  ['H03 a second coding', 'Transfer-Encoding: gzip, chunked\r\n', zero],
  ['H03 chunked not last', 'Transfer-Encoding: chunked, gzip\r\n', zero],
  ['H03 chunked twice', 'Transfer-Encoding: chunked, chunked\r\n', zero],
  ['H03 the field twice', `${chunked}\r\n${chunked}\r\n`, zero],
  ['H03 an unknown coding', 'Transfer-Encoding: xchunked\r\n', zero],
  ['H03 identity', 'Transfer-Encoding: identity\r\n', ''],
  ['H03 an empty coding', 'Transfer-Encoding: \r\n', zero],
  ['H03 a folded coding', 'Transfer-Encoding:\r\n chunked\r\n', zero],
  ['H03 a space before the colon', 'Transfer-Encoding : chunked\r\n', zero],
  ['H04 a chunk size with a prefix', `${chunked}\r\n`, `0x2\r\nhi\r\n${zero}`],
  ['H04 a chunk size with a tail', `${chunked}\r\n`, `2x\r\nhi\r\n${zero}`],
  ['H04 a chunk size beyond 64 bits', `${chunked}\r\n`, `fffffffffffffffff\r\nhi\r\n${zero}`],
  ['H04 chunks of bare LF', `${chunked}\r\n`, '2\nhi\n0\n\n'],
  ['H04 an extension that ends in LF', `${chunked}\r\n`, `2;a\nhi\r\n${zero}`],
  ['H04 a chunk without its end', `${chunked}\r\n`, `2\r\nhixx${zero}`],
  ['H04 NUL in an extension', `${chunked}\r\n`, `2;a=\0\r\nhi\r\n${zero}`],
  ['H05 a huge extension', `${chunked}\r\n`, `2;${'a'.repeat(200_000)}\r\nhi\r\n${zero}`],
  ['H06 folding', 'X: a\r\n b\r\n', ''],
  ['H06 a bare LF', 'X: a\nY: b\r\n', ''],
  ['H06 a bare CR', 'X: a\rb\r\n', ''],
  ['H06 NUL', 'X: a\0b\r\n', ''],
  ['H06 a space before the colon', 'X : a\r\n', ''],
  ['H06 an empty name', ': a\r\n', ''],
  ['H06 a name that is no token', 'X(: a\r\n', ''],
  ['H07 a second Host', 'Host: ORIGIN\r\n', ''],
  ['H20 a second Host behind 2000 fields', `${'a:\r\n'.repeat(2000)}Host: ORIGIN\r\n`, ''],
  ['H26 an expectation nobody knows', 'Expect: tea\r\n', ''],
];

for (const [name, fields, body] of refusedFields) {
  test(`${name}: 400, closed, nothing forwarded`, async (t) => {
    const { edge, origin, head } = await world(t);
    const answer = await send(
      t,
      edge,
      `${head}${fields.replace('ORIGIN', `127.0.0.1:${origin.port}`)}\r\n${body}`,
    );
    assert.equal(statusOf(answer), 400, answer);
    assert.match(answer, /proxy-status: gw-test; error=http_request_error/i);
    assert.equal(origin.requests.length, 0);
    assert.equal(edge.tunnels.count(), 0);
  });
}

const hosts = ['a, b', 'user@ORIGIN', 'ORIGIN/', 'a b', 'a?b', '[::1', '\u00e4.test', '%61'];
for (const host of hosts) {
  test(`H07 the Host \`${host}\` is refused, for CONNECT too`, async (t) => {
    const { edge, origin } = await world(t);
    const target = `127.0.0.1:${origin.port}`;
    for (const line of [`GET http://${target}/`, `CONNECT ${target}`]) {
      const bytes = `${line} HTTP/1.1\r\nHost: ${host.replace('ORIGIN', target)}\r\n\r\n`;
      assert.equal(statusOf(await send(t, edge, Buffer.from(bytes, 'latin1'))), 400, line);
    }
    assert.equal(origin.requests.length, 0);
  });
}

/** Whole requests that are not HTTP/1.0 or HTTP/1.1, or ask for what is not carried. */
const refusedLines: readonly (readonly [name: string, status: number, bytes: string])[] = [
  ['H07 no Host', 400, 'GET http://ORIGIN/ HTTP/1.1\r\n\r\n'],
  ['H07 no Host in CONNECT', 400, 'CONNECT ORIGIN HTTP/1.1\r\n\r\n'],
  [
    'H12 CONNECT with a length',
    400,
    'CONNECT ORIGIN HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd',
  ],
  ['H12 chunked CONNECT', 400, `CONNECT ORIGIN HTTP/1.1\r\nHost: a\r\n${chunked}\r\n\r\n${zero}`],
  ['H14 origin form', 404, 'GET / HTTP/1.1\r\nHost: ORIGIN\r\n\r\n'],
  ['H14 asterisk form', 404, 'OPTIONS * HTTP/1.1\r\nHost: ORIGIN\r\n\r\n'],
  ['H14 two slashes', 404, 'GET //ORIGIN/ HTTP/1.1\r\nHost: ORIGIN\r\n\r\n'],
  ['H14 authority form without CONNECT', 400, 'GET ORIGIN HTTP/1.1\r\nHost: ORIGIN\r\n\r\n'],
  ['H15 https', 501, 'GET https://ORIGIN/ HTTP/1.1\r\nHost: ORIGIN\r\n\r\n'],
  ['H15 ws', 501, 'GET ws://ORIGIN/ HTTP/1.1\r\nHost: ORIGIN\r\n\r\n'],
  ['H16 user information', 400, 'GET http://a:b@ORIGIN/ HTTP/1.1\r\nHost: ORIGIN\r\n\r\n'],
  ['H16 a backslash', 400, 'GET http://ORIGIN\\@evil/ HTTP/1.1\r\nHost: ORIGIN\r\n\r\n'],
  ['H17 HTTP/0.9', 400, 'GET http://ORIGIN/\r\n\r\n'],
  ['H17 HTTP/0.9 by name', 400, 'GET http://ORIGIN/ HTTP/0.9\r\nHost: ORIGIN\r\n\r\n'],
  ['H17 HTTP/1.2', 400, 'GET http://ORIGIN/ HTTP/1.2\r\nHost: ORIGIN\r\n\r\n'],
  ['H17 HTTP/2.0', 400, 'GET http://ORIGIN/ HTTP/2.0\r\nHost: ORIGIN\r\n\r\n'],
  ['H17 CONNECT in HTTP/2.0', 400, 'CONNECT ORIGIN HTTP/2.0\r\nHost: ORIGIN\r\n\r\n'],
  [
    'H03 chunked in HTTP/1.0',
    400,
    `POST http://ORIGIN/ HTTP/1.0\r\nHost: a\r\n${chunked}\r\n\r\n${zero}`,
  ],
  ['H19 TRACE', 405, 'TRACE http://ORIGIN/ HTTP/1.1\r\nHost: ORIGIN\r\nX-Secret: s\r\n\r\n'],
  ['H19 TRACK', 400, 'TRACK http://ORIGIN/ HTTP/1.1\r\nHost: ORIGIN\r\nX-Secret: s\r\n\r\n'],
  ['T18 the preface of HTTP/2', 400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  [
    'H20 a head of 20 kB',
    431,
    `GET http://ORIGIN/ HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`,
  ],
  ['H20 a name of 20 kB', 431, `GET http://ORIGIN/ HTTP/1.1\r\n${'a'.repeat(20_000)}: a\r\n\r\n`],
  [
    'H20 a target of 20 kB',
    431,
    `GET http://ORIGIN/${'a'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  ],
  [
    'H26 OPTIONS that may go no further',
    405,
    'OPTIONS http://ORIGIN/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n',
  ],
];

for (const [name, status, bytes] of refusedLines) {
  test(`${name}: ${status}, closed, nothing forwarded or reflected`, async (t) => {
    const { edge, origin } = await world(t);
    const answer = await send(t, edge, bytes.replaceAll('ORIGIN', `127.0.0.1:${origin.port}`));
    assert.equal(statusOf(answer), status, answer);
    assert.doesNotMatch(answer, /x-secret/i);
    assert.equal(origin.requests.length, 0);
  });
}

test('a field behind 2000 others is obeyed and seen alike (H20)', async (t) => {
  const { edge, origin, head } = await world(t);
  const fields = `${'a:\r\n'.repeat(2000)}${chunked}\r\nConnection: close\r\n`;
  const answer = await send(t, edge, `${head}${fields}\r\n2\r\nhi\r\n${zero}`);
  assert.equal(statusOf(answer), 200, answer);
  assert.match(origin.requests[0] ?? '', /\r\n\r\n(hi$|2\r\nhi)/);
});

test('a CONNECT that says it has no content is one like any other (H12)', async (t) => {
  const { edge, origin } = await world(t);
  const target = `127.0.0.1:${origin.port}`;
  const client = await connectDevice(t, edge);
  client.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nContent-Length: 0\r\n\r\n`);
  await client.until(/^HTTP\/1\.1 200 Connection Established\r\n\r\n$/);
});

async function world(t: Parameters<typeof runEdge>[0]) {
  const origin = await runAnswering(t, ok);
  const edge = await runEdge(t);
  const target = `127.0.0.1:${origin.port}`;
  return { edge, origin, head: `POST http://${target}/ HTTP/1.1\r\nHost: ${target}\r\n` };
}
