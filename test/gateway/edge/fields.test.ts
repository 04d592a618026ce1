// Which fields a forwarded message keeps, as a table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  fieldValues,
  isLoop,
  requestFields,
  responseFields,
  trailerFields,
} from '../../../gateway/edge/fields.ts';

const hop = {
  method: 'GET',
  authority: 'a.test',
  app: 'x-app',
  via: '1.1 gw',
  upgrade: null,
  trailers: false,
};
const own = ['host', 'a.test'];
const via = ['via', '1.1 gw'];

const table: readonly (readonly [name: string, raw: readonly string[], kept: readonly string[]])[] =
  [
    ['nothing but Host', ['Host', 'other'], []],
    [
      'ordinary fields in their order and spelling',
      ['X-B', '1', 'x-a', '2'],
      ['X-B', '1', 'x-a', '2'],
    ],
    ['repeated fields', ['Cookie', 'a', 'Cookie', 'b'], ['Cookie', 'a', 'Cookie', 'b']],
    [
      'no field of this hop',
      ['Connection', 'close', 'Keep-Alive', '5', 'TE', 'gzip', 'Upgrade', 'h2c'],
      [],
    ],
    ['no framing', ['Transfer-Encoding', 'chunked', 'Trailer', 'X'], []],
    ['nothing for proxies', ['Proxy-Authorization', 'a', 'Proxy-Connection', 'b'], []],
    ['no nominated field, in any case', ['X-A', '1', 'CONNECTION', ' x-a , X-B', 'x-b', '2'], []],
    [
      'what nobody may nominate',
      [
        'Connection',
        'authorization, Content-Length, cookie',
        'Authorization',
        'a',
        'Content-Length',
        '1',
      ],
      ['Authorization', 'a', 'Content-Length', '1'],
    ],
    ['no claims about the way', ['Forwarded', 'a', 'X-Forwarded-Proto', 'b', 'X-Real-IP', 'c'], []],
    ['no client certificate', ['Client-Cert', ':AA==:', 'Client-Cert-Chain', ':AA==:'], []],
    ['no word on the application', ['X-App', 'com.example.mail', 'X-Apps', '1'], ['X-Apps', '1']],
    ['no expectation', ['Expect', '100-continue'], []],
  ];
for (const [name, raw, kept] of table) {
  test(`a request keeps ${name} (H18, H29)`, () => {
    assert.deepEqual(requestFields(raw, hop), [...own, ...kept, ...via]);
  });
}

test('Via grows by this hop', () => {
  const fields = requestFields(['Via', '1.0 a', 'VIA', '2 b'], hop);
  assert.deepEqual(fields, [...own, 'via', '1.0 a, 2 b, 1.1 gw']);
});

for (const [hops, left] of [
  ['5', '4'],
  ['1', '0'],
  ['x', 'x'],
  ['-1', '-1'],
  ['9999999999', '9999999999'],
] as const) {
  test(`Max-Forwards ${hops} of OPTIONS goes on as ${left}`, () => {
    const fields = requestFields(['Max-Forwards', hops], { ...hop, method: 'OPTIONS' });
    assert.deepEqual(fieldValues(fields, 'max-forwards'), [left]);
  });
}

test('an answer loses hop-by-hop and nominated fields and gains Via', () => {
  const raw = [
    ['Connection', 'X-A'],
    ['X-a', '1'],
    ['Transfer-Encoding', 'chunked'],
    ['Proxy-Authenticate', 'Basic'],
    ['Trailer', 'X'],
    ['Set-Cookie', 'a'],
    ['Set-Cookie', 'b'],
    ['Via', '1.1 cdn'],
  ].flat();
  assert.deepEqual(responseFields(raw, { status: 200, via: '1.0 gw', trailers: false }), [
    'Set-Cookie',
    'a',
    'Set-Cookie',
    'b',
    'via',
    '1.1 cdn, 1.0 gw',
  ]);
});

test('an answer without content has no length (RFC 9110 section 8.6)', () => {
  for (const [status, kept] of [
    [101, []],
    [204, []],
    [304, ['Content-Length', '4']],
  ] as const) {
    const fields = responseFields(['Content-Length', '4'], { status, ...hop });
    assert.deepEqual(fields, [...kept, ...via]);
  }
});

test('trailers are asked for when the device asks for them, and only for this hop', () => {
  for (const te of ['trailers', 'gzip;q=0.5, Trailers', 'trailers ,x']) {
    const fields = requestFields(['TE', te, 'Connection', 'te'], hop);
    assert.deepEqual(fields, [...own, 'te', 'trailers', 'connection', 'te', ...via]);
  }
});

test('a change of protocol is asked for beside other options of this hop', () => {
  const fields = requestFields(['TE', 'trailers'], { ...hop, upgrade: 'websocket' });
  const asked = ['te', 'trailers', 'upgrade', 'websocket', 'connection', 'te, upgrade'];
  assert.deepEqual(fields, [...own, ...asked, ...via]);
});

test('trailers are announced where they may follow, without those that may not (H27)', () => {
  const raw = ['Trailer', 'Host, X-Sum,, Content-Length', 'Trailer', 'Authorization'];
  const announced = ['trailer', 'X-Sum'];
  assert.deepEqual(requestFields(raw, { ...hop, trailers: true }), [...own, ...announced, ...via]);
  assert.deepEqual(requestFields(raw, hop), [...own, ...via]);
  const answered = responseFields(raw, { status: 200, via: '1.1 gw', trailers: true });
  assert.deepEqual(answered, [...announced, ...via]);
});

test('no trailer decides framing, routing, rights or reading (H27)', () => {
  const forbidden = (
    'Transfer-Encoding Content-Length Host Authorization Cookie Set-Cookie Proxy-Authorization ' +
    'WWW-Authenticate Content-Type Content-Encoding Trailer TE Connection If-Match Cache-Control ' +
    'Location X-Forwarded-For Via'
  )
    .split(' ')
    .flatMap((name) => [name, 'evil']);
  const kept = ['X-Sum', '1', 'Server-Timing', 'a', 'ETag', '"b"'];
  assert.deepEqual(trailerFields([...forbidden, ...kept], null), kept);
});

test('the field that names the application ends here as a trailer too, and is not announced', () => {
  const raw = ['X-App', 'com.example.mail', 'X-Sum', '1'];
  assert.deepEqual(trailerFields(raw, 'x-app'), ['X-Sum', '1']);
  assert.deepEqual(trailerFields(raw, null), raw);
  const fields = ['Trailer', 'X-App, X-Sum'];
  const sent = requestFields(fields, { ...hop, app: 'x-app', trailers: true });
  assert.deepEqual(sent, [...own, 'trailer', 'X-Sum', ...via]);
});

test('a request that passed here before is recognised (H21)', () => {
  assert.ok(isLoop(['Via', '1.0 a, 1.1 gw (comment)'], 'gw'));
  assert.ok(isLoop(['Via', 'a', 'via', 'HTTP/2 gw'], 'gw'));
  assert.ok(!isLoop(['Via', '1.1 gw2, 1.1 other', 'X', '1.1 gw'], 'gw'));
});
