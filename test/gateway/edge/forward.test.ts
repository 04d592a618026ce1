// Absolute-form requests over real sockets: what reaches the origin, what of its answer reaches the device.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  connectDevice,
  eventually,
  runAnswering,
  runEdge,
  runOrigin,
  send,
  statusOf,
} from './running-edge.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A request head for the origin, closing unless told otherwise. */
function head(port: number, line = 'GET', fields = 'Connection: close\r\n', path = '/'): string {
  return `${line} http://127.0.0.1:${port}${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${fields}\r\n`;
}

async function ask(t: TestContext, answer: string | Buffer, line = 'GET') {
  const origin = await runAnswering(t, answer);
  const edge = await runEdge(t);
  const text = await send(t, edge, head(origin.port, line));
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  if (finalStatusOf(text) < 500) assert.equal(edge.lines.at(-1)?.['zonegate.end'], 'answered');
  return { text, origin, edge, body: text.slice(text.indexOf('\r\n\r\n') + 4) };
}

test('a request arrives without hop-by-hop fields, with the Host of its target (H08, H18)', async (t) => {
  const origin = await runAnswering(t, ok);
  const edge = await runEdge(t);
  const fields = [
    'Host: elsewhere.example',
    'Connection: close, X-Named, Host, Content-Length',
    'X-Named: 1',
    'TE: trailers',
    'Keep-Alive: 5',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABkAAQAAP__',
    'Proxy-Authorization: Basic c2VjcmV0',
    'Proxy-Connection: keep-alive',
    'X-Forwarded-For: 192.0.2.1',
    'Forwarded: for=192.0.2.1',
    'Client-Cert: :AA==:',
    'X-Kept: caf\u00e9',
    'Via: 1.0 other',
  ].join('\r\n');
  const bytes = `GET http://127.0.0.1:${origin.port}/a?b=c HTTP/1.1\r\n${fields}\r\n\r\n`;
  assert.equal(statusOf(await send(t, edge, Buffer.from(bytes, 'latin1'))), 200);
  assert.equal(
    origin.requests[0],
    `GET /a?b=c HTTP/1.1\r\nhost: 127.0.0.1:${origin.port}\r\n` +
      'X-Kept: caf\u00e9\r\nte: trailers\r\nconnection: te\r\n' +
      'via: 1.0 other, 1.1 gw-test\r\n\r\n',
  );
});

test('Via names the version a request came in (RFC 9110 section 7.6.3)', async (t) => {
  const origin = await runAnswering(t, ok);
  const edge = await runEdge(t);
  const bytes = `GET http://127.0.0.1:${origin.port}/ HTTP/1.0\r\nHost: a\r\n\r\n`;
  assert.equal(statusOf(await send(t, edge, bytes)), 200);
  assert.match(origin.requests[0] ?? '', /via: 1\.0 gw-test/);
});

test('Max-Forwards of OPTIONS counts down, that of GET does not', async (t) => {
  const origin = await runAnswering(t, ok);
  const edge = await runEdge(t);
  const fields = 'Max-Forwards: 5\r\nConnection: close\r\n';
  await send(t, edge, head(origin.port, 'OPTIONS', fields));
  await send(t, edge, head(origin.port, 'GET', fields));
  assert.match(origin.requests[0] ?? '', /max-forwards: 4\r\n/i);
  assert.match(origin.requests[1] ?? '', /max-forwards: 5\r\n/i);
});

/** What an origin may not say: each is a 502, and its connection is not used again. */
/** Behind whatever informational answers come first. */
function finalStatusOf(text: string): number {
  return statusOf(text.slice(text.lastIndexOf('HTTP/1.1 ')));
}

const senseless: readonly (readonly [name: string, answer: string])[] = [
  [
    'both framings',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc'],
  ['a list of lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nabc'],
  ['a bare CR', 'HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n'],
  ['a control byte in its phrase', 'HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n'],
  ['NUL', 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n'],
  ['a status of letters', 'HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n'],
  ['something that is not HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['a head of 800 kB', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(800_000)}\r\n\r\n`],
  [
    'an unasked 101',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n',
  ],
  [
    'a thousand early hints',
    `${'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n'.repeat(1000)}${ok}`,
  ],
];
for (const [name, answer] of senseless) {
  test(`an origin that answers with ${name} is a 502 (H22, H26)`, async (t) => {
    const { text, origin, edge } = await ask(t, answer);
    assert.equal(finalStatusOf(text), 502, text);
    assert.ok(text.split('103 Early Hints').length <= 17);
    assert.match(text, /error=http_protocol_error; details="origin.malformed"/);
    await eventually(() => origin.sockets.every((one) => one.closed), 'the connection is gone');
    assert.equal(await edge.metric('zonegate_refusals_total{reason="origin.malformed"}'), '1');
    assert.equal(edge.lines.at(-1)?.['zonegate.reason'], 'origin.malformed');
  });
}

const hints =
  'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n' +
  'Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 3\r\n\r\n';

test('informational answers come before the final one, without fields of their hop (H26)', async (t) => {
  const { text } = await ask(t, hints + ok);
  const [processing = '', early = '', final = ''] = text.split('\r\n\r\n');
  assert.equal(processing, 'HTTP/1.1 102 Processing\r\nvia: 1.1 gw-test');
  assert.equal(early, 'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\nvia: 1.1 gw-test');
  assert.match(final, /^HTTP\/1\.1 200 OK\r\n/);
});

test('an HTTP/1.0 client gets the final answer only (RFC 9110 section 15.2)', async (t) => {
  const origin = await runAnswering(t, hints + ok);
  const request = `GET http://127.0.0.1:${origin.port}/ HTTP/1.0\r\nHost: a\r\n\r\n`;
  const text = await send(t, await runEdge(t), request);
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.doesNotMatch(text, /103/);
});

test('bytes behind an answer belong to nobody (H22, H24)', async (t) => {
  const { text, body, origin } = await ask(t, `${ok}HTTP/1.1 200 OK\r\nX: evil\r\n\r\n`);
  assert.equal(body, 'ok', text);
  await eventually(() => origin.sockets.every((one) => one.closed), 'the connection is gone');
});

for (const [name, answer, how] of [
  ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', 'end'],
  ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', 'resetAndDestroy'],
  ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf', 'end'],
  [
    'chunks',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
    'resetAndDestroy',
  ],
  ['an end of its connection', 'HTTP/1.1 200 OK\r\n\r\nhalf', 'resetAndDestroy'],
] as const) {
  test(`an answer with ${name} that breaks off never looks complete (H23, ${how})`, async (t) => {
    const origin = await runAnswering(t, answer);
    const edge = await runEdge(t);
    const client = await connectDevice(t, edge);
    client.write(head(origin.port, 'GET', ''));
    await client.until(/half/);
    origin.sockets[0]?.[how]();
    const text = await client.closed();
    const whole = /content-length: 4\r|\r\n0\r\n\r\n$/i;
    assert.doesNotMatch(text, whole);
    assert.match(text, /content-length: 100\r|transfer-encoding: chunked\r/i);
    await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
    assert.equal(edge.lines.at(-1)?.['zonegate.reason'], 'origin.incomplete');
  });
}

test('an origin that closes without a word is a 502 that says so', async (t) => {
  const origin = await runOrigin(t, (client) => {
    client.until(/\r\n\r\n/).then(
      () => client.socket.end(),
      () => undefined,
    );
  });
  const text = await send(t, await runEdge(t), head(origin.port));
  assert.match(text, /^HTTP\/1\.1 502 .*details="origin.incomplete"/s);
});

test('an origin that says nothing is a 504 within the limit (R09)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t, { firstByteMs: 50 });
  const text = await send(t, edge, head(origin.port));
  assert.match(text, /^HTTP\/1\.1 504 .*details="origin.timeout"/s);
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
});

test('an answer that stops in the middle is cut at the idle limit (R05)', async (t) => {
  const origin = await runAnswering(t, 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
  const edge = await runEdge(t, { idleMs: 50 });
  assert.match(await send(t, edge, head(origin.port)), /half$/);
  assert.equal(edge.tunnels.count(), 0);
});

test('a body that stops in the middle is refused at the idle limit (R03)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t, { idleMs: 50 });
  const client = await connectDevice(t, edge);
  client.write(`${head(origin.port, 'POST', 'Content-Length: 100\r\n')}half`);
  await client.until(/^HTTP\/1\.1 400 .*details="request.abandoned"/s);
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
  assert.equal(edge.tunnels.count(), 0);
});

test('a body that becomes unreadable is never completed upstream (H04)', async (t) => {
  let received = '';
  const origin = await runOrigin(t, (client) => {
    client.socket.on('data', (chunk) => {
      received += chunk;
    });
  });
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(`${head(origin.port, 'POST', 'Transfer-Encoding: chunked\r\n')}2\r\nhi\r\n`);
  await eventually(() => received.endsWith('2\r\nhi\r\n'), 'the first chunk is there');
  client.write('nonsense\r\n');
  assert.equal(statusOf(await client.closed()), 400);
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
  assert.doesNotMatch(received, /0\r\n\r\n$/);
  assert.equal(edge.tunnels.count(), 0);
});

test('a device that leaves in the middle of its body takes the origin with it (R06)', async (t) => {
  let received = '';
  const origin = await runOrigin(t, (client) => {
    client.socket.on('data', (chunk) => {
      received += chunk;
    });
  });
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(`${head(origin.port, 'POST', 'Content-Length: 100\r\n')}half`);
  await eventually(() => received.endsWith('half'), 'the request is there');
  client.socket.destroy();
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  assert.equal(edge.lines.at(-1)?.['zonegate.end'], 'device_error');
});

test('a device that closes its half after the request still gets the answer (R06)', async (t) => {
  let answer = (): void => undefined;
  const origin = await runOrigin(t, (client) => {
    answer = () => client.write(ok);
  });
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.socket.end(head(origin.port));
  await eventually(() => origin.sockets.length === 1, 'the request is there');
  answer();
  assert.match(await client.closed(), /^HTTP\/1\.1 200 .*ok$/s);
});

test('a body is asked for after admission only, and a refusal does without (H26)', async (t) => {
  // One 100 is enough.
  const origin = await runAnswering(t, `HTTP/1.1 100 Continue\r\n\r\n${ok}`);
  const edge = await runEdge(t);
  const expecting = 'Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n';
  const client = await connectDevice(t, edge);
  client.write(head(origin.port, 'POST', expecting));
  await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
  client.write('hi');
  assert.match(await client.closed(), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
  assert.doesNotMatch(origin.requests[0] ?? '', /expect/i);
  const refused = await connectDevice(t, edge);
  refused.write(`POST http://10.0.0.1/ HTTP/1.1\r\nHost: a\r\n${expecting}\r\n`);
  await refused.until(/^HTTP\/1\.1 403 .*rules\.block/s);
});

test('the head of a HEAD keeps its length and has no body (H24)', async (t) => {
  const { text, body } = await ask(t, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 'HEAD');
  assert.match(text, /content-length: 5\r\n/i);
  assert.equal(body, '');
});

for (const status of [204, 304]) {
  test(`a ${status} with a body is carried without it (H24)`, async (t) => {
    const { text, body } = await ask(t, `HTTP/1.1 ${status} X\r\nContent-Length: 4\r\n\r\nevil`);
    assert.equal(statusOf(text), status);
    assert.equal(body, '');
  });
}

test('bytes above ASCII and repeated fields come through as they were sent', async (t) => {
  const fields =
    'X: caf\u00c3\u00a9\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nLocation: http://other/\r\n';
  const answer = `HTTP/1.1 302 Trouv\u00e9\r\n${fields}Content-Length: 0\r\n\r\n`;
  const { text } = await ask(t, Buffer.from(answer, 'latin1'));
  assert.match(text, /^HTTP\/1\.1 302 Found\r\n/); // of a phrase only plain text is passed on
  assert.match(text, /x: caf\u00c3\u00a9\r\n/i);
  assert.match(text, /set-cookie: a=1\r\nset-cookie: b=2\r\n/i);
  assert.match(text, /location: http:\/\/other\/\r\n/i); // H25: followed by the device, if at all
});

test('an answer loses the fields of its own hop', async (t) => {
  const own =
    'Connection: close, X-Named\r\nX-Named: 1\r\nProxy-Authenticate: Basic\r\nKeep-Alive: 9\r\n';
  const { text } = await ask(t, `HTTP/1.1 200 OK\r\n${own}Content-Length: 2\r\n\r\nok`);
  assert.doesNotMatch(text, /x-named|proxy-authenticate|keep-alive: 9/i);
  assert.match(text, /via: 1\.1 gw-test/);
});

test('pipelined requests are answered in order, each judged (H28)', async (t) => {
  const paths: string[] = [];
  const origin = await runOrigin(t, (client) => {
    client.socket.on('data', (chunk: Buffer) => {
      const path = /^GET (\S+)/.exec(chunk.toString())?.[1] ?? '?';
      paths.push(path);
      client.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
    });
  });
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(
    head(origin.port, 'GET', '', '/1') +
      head(origin.port, 'GET', '', '/2') +
      'GET http://10.0.0.1/ HTTP/1.1\r\nHost: a\r\n\r\n' +
      head(origin.port, 'GET', '', '/4'),
  );
  const text = await client.closed();
  assert.deepEqual(text.match(/HTTP\/1\.1 \d{3}|\/\d$|(?<=\r\n\r\n)\/\d/g), [
    'HTTP/1.1 200',
    '/1',
    'HTTP/1.1 200',
    '/2',
    'HTTP/1.1 403',
  ]);
  assert.deepEqual(paths, ['/1', '/2']);
  assert.equal(origin.sockets.length, 1);
});

test('a flood of pipelined requests ends the connection (H28)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  assert.equal(await send(t, edge, head(origin.port, 'GET', '').repeat(500)), '');
  await eventually(() => edge.tunnels.count() === 0, 'every place is free again');
  assert.ok(origin.sockets.length <= 1);
});

test('garbage behind a request is not answered in its place (H24, H28)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(head(origin.port, 'GET', ''));
  await eventually(() => origin.sockets.length === 1, 'the request is there');
  client.write('\x01\x02 nonsense\r\n\r\n');
  assert.equal(await client.closed(), '');
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
});

test('a CONNECT behind an unanswered request ends the connection (H10, H24)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const edge = await runEdge(t);
  const target = `127.0.0.1:${origin.port}`;
  const connect = `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
  assert.equal(await send(t, edge, head(origin.port, 'GET', '') + connect), '');
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
});

test('the rest of a refused body does not lose the answer, and is not waited for', async (t) => {
  const edge = await runEdge(t);
  const refused = 'POST http://10.0.0.1/ HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n';
  const client = await connectDevice(t, edge);
  client.write(refused + 'a'.repeat(200_000));
  assert.equal(statusOf(await client.until(/"reason":"rules.block"/)), 403);
  client.write('a'.repeat(100_000));
  await client.closed();
});

test('an early answer ends the connection instead of waiting for the body (R03)', async (t) => {
  const origin = await runAnswering(t, 'HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno');
  const edge = await runEdge(t);
  const text = await send(t, edge, `${head(origin.port, 'POST', 'Content-Length: 100\r\n')}half`);
  assert.equal(statusOf(text), 413);
  assert.match(text, /connection: close/i);
});

test('a reader that stops makes the origin stop, and loses nothing (R07)', async (t) => {
  const size = 64 * 1024 * 1024;
  let sent = 0;
  const origin = await runOrigin(t, (client) => {
    const chunk = Buffer.alloc(256 * 1024, 'x');
    const pump = (): void => {
      while (sent < size) {
        sent += chunk.length;
        if (!client.socket.write(chunk)) return;
      }
      client.socket.end();
    };
    client.socket.on('drain', pump);
    client.until(/\r\n\r\n/).then(
      () => {
        client.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        pump();
      },
      () => undefined,
    );
  });
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.socket.removeAllListeners('data').pause();
  client.write(head(origin.port));
  await settled(() => sent);
  assert.ok(sent < size / 2, `the origin sent ${sent} bytes to a reader that reads none`);
  let received = 0;
  client.socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  client.socket.resume();
  // It may take its time on a busy machine, but it must not stand still.
  for (let seen = 0; received < size; seen = received)
    await eventually(() => received > seen, 'more of it comes');
  await client.closed();
  assert.ok(received > size && received < size + 1000);
});

test('a reader that stops for good loses its place at the idle limit (R05, R07)', async (t) => {
  const origin = await runAnswering(
    t,
    `HTTP/1.1 200 OK\r\nContent-Length: 99000000\r\n\r\n${'x'.repeat(20_000_000)}`,
  );
  const edge = await runEdge(t, { idleMs: 100 });
  const client = await connectDevice(t, edge);
  client.socket.removeAllListeners('data').pause();
  client.write(head(origin.port));
  await eventually(() => edge.tunnels.count() === 1, 'it is open');
  await eventually(() => edge.tunnels.count() === 0, 'it is over');
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
});

test('requests on one connection leave nothing behind', async (t) => {
  const warnings: Error[] = [];
  const warn = (warning: Error): void => void warnings.push(warning);
  process.on('warning', warn);
  t.after(() => process.off('warning', warn));
  const origin = await runOrigin(t, (client) => {
    client.socket.on('data', () => client.write(ok));
  });
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  for (let i = 1; i <= 40; i += 1) {
    client.write(head(origin.port, 'GET', ''));
    await client.until((text) => text.split('\r\n\r\nok').length > i);
  }
  assert.equal(origin.sockets.length, 1);
  await eventually(() => edge.tunnels.count() === 0, 'every place is free again');
  assert.deepEqual(warnings, []);
});

test('a tunnel cut by a posture change takes the unfinished answer with it (P03)', async (t) => {
  const origin = await runAnswering(t, 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
  const edge = await runEdge(t);
  const client = await connectDevice(t, edge);
  client.write(head(origin.port));
  await client.until(/half$/);
  assert.equal(
    edge.tunnels.rejudge(null, () => 'posture.non_compliant'),
    1,
  );
  assert.match(await client.closed(), /half$/);
  assert.equal(edge.tunnels.count(), 0);
  assert.equal(edge.lines.at(-1)?.['zonegate.reason'], 'posture.non_compliant');
  await eventually(() => origin.sockets.every((one) => one.closed), 'the origin is let go');
});

test('neither query strings nor credentials are ever logged, and one event is one line (A05, A09)', async (t) => {
  const origin = await runAnswering(t, ok);
  const edge = await runEdge(t);
  const secret = 'Authorization: s3cret\r\nProxy-Authorization: s3cret\r\nCookie: s3cret\r\n';
  const lines = [
    `GET http://127.0.0.1:${origin.port}/?token=s3cret HTTP/1.1`,
    'GET http://user:s3cret@origin.test/ HTTP/1.1',
    'GET http://10.0.0.1/s3cret HTTP/1.1',
    'GET http://nowhere.origin.invalid/?s3cret HTTP/1.1',
    'CONNECT user:s3cret@origin.test:443 HTTP/1.1',
    'CONNECT s3cret"\u001b[31m:443 HTTP/1.1',
  ];
  for (const line of lines) {
    await send(t, edge, `${line}\r\nHost: a\r\nConnection: close\r\n${secret}\r\n`);
  }
  await eventually(() => edge.tunnels.count() === 0, 'all is over');
  const admissions = edge.lines.filter((line) => line['event.name'] === 'zonegate.admit');
  assert.equal(admissions.length, lines.length);
  assert.doesNotMatch(JSON.stringify(edge.lines), /s3cret/);
});

/** Resolves when a number has not changed for a while of turns of the event loop. */
async function settled(read: () => number): Promise<void> {
  let last = -1;
  for (let still = 0; still < 300; ) {
    const current = read();
    still = current === last && current > 0 ? still + 1 : 0;
    last = current;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
