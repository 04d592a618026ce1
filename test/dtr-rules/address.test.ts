// Owns the tests of addresses, ranges and address tables.

import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Address,
  compileAddressTable,
  inRange,
  parseAddress,
  parseAddressRange,
  readAddressRange,
  unmapped,
} from '../../dtr-rules/address.ts';

function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed, text);
  return parsed;
}

function range(text: string) {
  const parsed = parseAddressRange(text);
  assert.ok(parsed, text);
  return parsed;
}

function problem(text: string): readonly [string, string | null] {
  const reading = readAddressRange(text);
  assert.ok(!reading.ok, text);
  return [reading.message, reading.hint];
}

test('an IPv4 address is four decimal parts and nothing else', () => {
  assert.deepEqual(parseAddress('192.0.2.1'), { family: 4, value: 0xc0000201n, text: '192.0.2.1' });
  const others = [
    '127.1',
    '2130706433',
    '0x7f.0.0.1',
    '0177.0.0.1',
    '01.2.3.4',
    '1.2.3.256',
    '1.2.3',
    '1.2.3.4.',
  ];
  for (const text of [...others, '1.2.3.4.5', ' 1.2.3.4', '1.2.3.4\n', '1.2.3.٤', '１.2.3.4', '']) {
    assert.equal(parseAddress(text), null, text);
  }
});

test('every spelling of an IPv6 address gives the one text of RFC 5952', () => {
  const spellings: readonly (readonly [string, string])[] = [
    ['2001:0DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::ffff:102:304', '::ffff:1.2.3.4'],
    ['::FFFF:1.2.3.4', '::ffff:1.2.3.4'],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
  ];
  for (const [text, canonical] of spellings) assert.equal(address(text).text, canonical);
});

test('an IPv4-compatible address stays what it is and is not taken for a mapped one', () => {
  assert.equal(address('::1.2.3.4').value, 0x01020304n);
  assert.equal(address('::1.2.3.4').text, '::102:304');
});

test('zones, brackets and malformed groups are no IPv6 address', () => {
  const malformed = [
    'fe80::1%eth0',
    '[::1]',
    '00001::',
    '1:2:3:4:5:6:7:8:9',
    ':::',
    '1:::2',
    ':1::',
    '1::2::3',
  ];
  for (const text of [
    ...malformed,
    '::ffff:1.2.3',
    '::ffff:01.2.3.4',
    '1.2.3.4::',
    '::1.2.3.4:1',
    '::g',
    ':',
    '::1 ',
  ]) {
    assert.equal(parseAddress(text), null, text);
  }
});

test('what is an address is what the operating system takes for one, and its text reads back the same', () => {
  const odd = fc.string({ unit: fc.constantFrom(...'0123456789abcfF:.'.split('')), maxLength: 24 });
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), odd), (text) => {
      const parsed = parseAddress(text);
      assert.equal(parsed?.family ?? 0, net.isIP(text));
      if (parsed !== null) assert.deepEqual(parseAddress(parsed.text), parsed);
    }),
    { numRuns: 3_000 },
  );
});

test('a range is one address, a block or a span, and holds its ends', () => {
  assert.deepEqual(range('10.0.0.0/8'), {
    family: 4,
    first: 0x0a000000n,
    last: 0x0affffffn,
    text: '10.0.0.0/8',
  });
  assert.equal(range('0.0.0.0/0').last, 0xffffffffn);
  assert.equal(range('2001:DB8::/32').text, '2001:db8::/32');
  assert.equal(range('2001:db8::1').text, '2001:db8::1');
  const span = range('10.0.0.9-10.0.0.11');
  assert.equal(span.text, '10.0.0.9-10.0.0.11');
  const inside = ['10.0.0.8', '10.0.0.9', '10.0.0.11', '10.0.0.12'].map((text) =>
    inRange(address(text), span),
  );
  assert.deepEqual(inside, [false, true, true, false]);
  assert.ok(!inRange(address('::a00:a'), span));
});

test('a block with host bits set is refused with the right one as a hint', () => {
  assert.deepEqual(problem('10.1.2.3/8'), ['`10.1.2.3/8` has host bits set', 'write `10.0.0.0/8`']);
  assert.equal(problem('2001:db8::1/32')[1], 'write `2001:db8::/32`');
});

test('a span that runs backwards is refused with the right one as a hint', () => {
  const [message, hint] = problem('10.0.0.9-10.0.0.1');
  assert.equal(message, '`10.0.0.9-10.0.0.1` runs backwards');
  assert.equal(hint, 'write `10.0.0.1-10.0.0.9`');
});

test('what is no range says which part of it is wrong', () => {
  assert.equal(problem('10.0.0/8')[0], '`10.0.0` in `10.0.0/8` is not an IP address');
  assert.equal(problem('10.0.0.0/33')[0], '`10.0.0.0/33` needs a prefix length from 0 to 32');
  assert.equal(problem('::/129')[0], '`::/129` needs a prefix length from 0 to 128');
  assert.equal(problem('10.0.0.0/08')[0], '`10.0.0.0/08` needs a prefix length from 0 to 32');
  assert.equal(problem('x-10.0.0.1')[0], '`x` in `x-10.0.0.1` is not an IP address');
  assert.equal(problem('10.0.0.1-')[0], '`` in `10.0.0.1-` is not an IP address');
  assert.equal(problem('10.0.0.1-::1')[0], '`10.0.0.1-::1` mixes IPv4 and IPv6');
  assert.equal(parseAddressRange('1.2.3.4/8/8'), null);
  assert.equal(parseAddressRange('1.2.3.4-1.2.3.5-1.2.3.6'), null);
});

test('a mapped address becomes the IPv4 address inside it, and no other address changes', () => {
  assert.deepEqual(unmapped(address('::ffff:192.0.2.1')), address('192.0.2.1'));
  for (const text of ['192.0.2.1', '::192.0.2.1', '64:ff9b::192.0.2.1', '2002:c000:201::']) {
    assert.deepEqual(unmapped(address(text)), address(text));
  }
});

test('a table gives the values of all ranges that hold an address, in the order given', () => {
  const table = compileAddressTable(
    ['10.0.0.5-10.0.1.9', '::/0', '10.0.0.0/8', '10.0.1.0', '0.0.0.0/0'].map((text) => ({
      range: range(text),
      value: text,
    })),
  );
  assert.deepEqual(table.find(address('10.0.1.0')), [
    '10.0.0.5-10.0.1.9',
    '10.0.0.0/8',
    '10.0.1.0',
    '0.0.0.0/0',
  ]);
  assert.deepEqual(table.find(address('192.0.2.1')), ['0.0.0.0/0']);
  assert.deepEqual(table.find(address('::ffff:10.0.1.0')), ['::/0']);
  assert.deepEqual(compileAddressTable([]).find(address('::1')), []);
});

const small = fc.bigInt({ min: 0n, max: 40n });
const ranges = fc
  .record({
    family: fc.constantFrom(4 as const, 6 as const),
    a: small,
    b: small,
    high: fc.boolean(),
  })
  .map(
    // Around both ends of the address space, where carrying over would show.
    ({ family, a, b, high }) => {
      const top = high ? (1n << (family === 4 ? 32n : 128n)) - 41n : 0n;
      const [first, last] = a < b ? [a, b] : [b, a];
      return { family, first: top + first, last: top + last, text: '' };
    },
  );

test('a table agrees with asking every range in turn', () => {
  fc.assert(
    fc.property(fc.array(ranges, { maxLength: 12 }), (list) => {
      const table = compileAddressTable(list.map((one, value) => ({ range: one, value })));
      for (const { family, first, last } of list) {
        for (const value of [first, last, last + 1n, (first + last) / 2n]) {
          const asked: Address = { family, value, text: '' };
          const holding = list.flatMap((one, index) => (inRange(asked, one) ? [index] : []));
          assert.deepEqual(table.find(asked), holding);
        }
      }
    }),
    { numRuns: 500 },
  );
});
