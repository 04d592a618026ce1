// Which fields a forwarded message keeps, as a table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  fieldValues,
  isLoop,
  requestFields,
  responseFields,
} from '../../../gateway/edge/fields.ts';

const hop = { method: 'GET', authority: 'a.test', via: '1.1 gw' };
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
      ['Connection', 'close', 'Keep-Alive', '5', 'TE', 'x', 'Upgrade', 'h2c'],
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
  const headers = {
    connection: 'x-a',
    'x-a': '1',
    'transfer-encoding': 'chunked',
    'proxy-authenticate': 'Basic',
    trailer: 'x',
    'set-cookie': ['a', 'b'],
    via: '1.1 cdn',
    absent: undefined,
  };
  assert.deepEqual(responseFields(headers, 'gw'), {
    'set-cookie': ['a', 'b'],
    via: '1.1 cdn, 1.1 gw',
  });
});

test('a request that passed here before is recognised (H21)', () => {
  assert.ok(isLoop(['Via', '1.0 a, 1.1 gw (comment)'], 'gw'));
  assert.ok(isLoop(['Via', 'a', 'via', 'HTTP/2 gw'], 'gw'));
  assert.ok(!isLoop(['Via', '1.1 gw2, 1.1 other', 'X', '1.1 gw'], 'gw'));
});
