// Special-purpose addresses: our table beside that of ipaddr.js, which was made from the same registries.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { type Address, formatAddress } from '../../../dtr-rules/address.ts';
import {
  embeddedAddress,
  isMetadataName,
  judgeSpecial,
} from '../../../gateway/decision/special.ts';
import { addressOf } from './policy-for.ts';

function at(family: 4 | 6, value: bigint): Address {
  return { family, value, text: formatAddress(family, value) };
}

function rangeIn(ours: Address): string {
  const size = ours.family === 4 ? 4 : 16;
  const bytes = Array.from({ length: size }, (_, i) =>
    Number((ours.value >> BigInt(8 * (size - 1 - i))) & 255n),
  );
  return ipaddr.fromByteArray(bytes).range();
}

/** Any address, and often one at the edge of a block: a short prefix followed by zeros or ones. */
function addresses(family: 4 | 6): fc.Arbitrary<Address> {
  const width = family === 4 ? 32 : 128;
  const all = (1n << BigInt(width)) - 1n;
  const bits = fc.bigInt({ min: 0n, max: all });
  const edge = fc
    .tuple(bits, fc.integer({ min: 0, max: width }), fc.boolean())
    .map(([value, length, ones]) => {
      const host = (1n << BigInt(width - length)) - 1n;
      return ones ? value | host : value & ~host & all;
    });
  return fc.oneof(bits, edge).map((value) => at(family, value));
}

const v4 = addresses(4);
const v6 = addresses(6);

/** Every block of the table of ipaddr.js, as its first and last value. */
function* blocksOfIpaddr(): Generator<readonly [Address, Address]> {
  const tables = [
    [4, new ipaddr.IPv4([0, 0, 0, 0])],
    [6, new ipaddr.IPv6(Array(8).fill(0))],
  ] as const;
  for (const [family, zero] of tables) {
    const table: unknown = Reflect.get(zero, 'SpecialRanges');
    assert.ok(typeof table === 'object' && table !== null);
    for (const entry of Object.values(table)) {
      const blocks = Array.isArray(entry[0]) ? entry : [entry];
      for (const [network, length] of blocks) {
        const bytes: readonly number[] = network.toByteArray();
        const first = bytes.reduce((sum, byte) => (sum << 8n) + BigInt(byte), 0n);
        const size = 1n << BigInt(bytes.length * 8 - length);
        yield [at(family, first), at(family, first + size - 1n)];
      }
    }
  }
}

test('whatever ipaddr.js does not call unicast is special', () => {
  fc.assert(
    fc.property(fc.oneof(v4, v6), (address) => {
      if (rangeIn(address) !== 'unicast') assert.ok(judgeSpecial(address), address.text);
    }),
    { numRuns: 5_000 },
  );
});

test('both ends of every block of ipaddr.js are special', () => {
  const ends = [...blocksOfIpaddr()].flat();
  assert.ok(ends.length > 60, `${ends.length} ends`);
  for (const address of ends) assert.ok(judgeSpecial(address), address.text);
});

// Where our table is wider on purpose. IPv4: addresses inside public blocks that only clouds know. IPv6:
// what is not global unicast, and the embeddings ipaddr.js has no name for.
const wider = (address: Address): boolean =>
  address.family === 4
    ? address.text === '168.63.129.16'
    : address.value >> 125n !== 1n || ((address.value >> 32n) & 0xfdffffffn) === 0x5efen;

test('what ipaddr.js calls unicast is not special, but for what we know better', () => {
  fc.assert(
    fc.property(fc.oneof(v4, v6), (address) => {
      if (rangeIn(address) !== 'unicast' || wider(address)) return;
      assert.equal(judgeSpecial(address), null, address.text);
    }),
    { numRuns: 5_000 },
  );
});

test('nothing outside 2000::/3 is ordinary', () => {
  fc.assert(
    fc.property(v6, (address) => {
      if (address.value >> 125n !== 1n) assert.ok(judgeSpecial(address), address.text);
    }),
  );
  assert.ok(judgeSpecial(addressOf('200::1')));
  assert.ok(judgeSpecial(addressOf('4000::1')));
  assert.equal(judgeSpecial(addressOf('2606:2800:21f::1')), null);
});

test('an IPv4 address is hidden in no known embedding (S03)', () => {
  fc.assert(
    fc.property(v4, ({ value }) => {
      const low = [0n, 0xffffn << 32n, 0xffffn << 48n, 0x64ff9bn << 96n].map(
        (high) => high | value,
      );
      const teredo = (0x20010000n << 96n) | (value ^ 0xffff_ffffn);
      const sixToFour = (0x2002n << 112n) | (value << 80n) | 1n;
      const isatap = [0x5efen, 0x2005efen].map(
        (marker) => (0x2606n << 112n) | (marker << 32n) | value,
      );
      for (const hidden of [...low, teredo, sixToFour, ...isatap]) {
        assert.ok(judgeSpecial(at(6, hidden)), at(6, hidden).text);
      }
    }),
  );
});

test('a metadata address says so, though it lies in a block of another name (S06)', () => {
  for (const text of [
    '169.254.169.254',
    '169.254.170.2',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    'fd00:ec2::254',
    'fd00:ec2::23',
    'fd20:ce::254',
  ]) {
    assert.equal(judgeSpecial(addressOf(text))?.kind, 'metadata', text);
  }
  assert.deepEqual(judgeSpecial(addressOf('100.100.100.201')), {
    kind: 'special',
    name: 'carrier-grade NAT',
  });
});

test('the most telling name of an address is given', () => {
  const nameOf = (text: string) => judgeSpecial(addressOf(text))?.name;
  assert.equal(nameOf('fe80::1'), 'link-local');
  assert.equal(nameOf('::ffff:192.0.2.1'), 'IPv4-mapped');
  assert.equal(nameOf('2606:2800::200:5efe:7f00:1'), 'ISATAP');
  assert.equal(nameOf('200::1'), 'not global unicast');
});

test('a mapped and a NAT64 address are dialled as the address inside them', () => {
  assert.deepEqual(embeddedAddress(addressOf('::ffff:10.0.0.1')), addressOf('10.0.0.1'));
  assert.deepEqual(embeddedAddress(addressOf('64:ff9b::a00:1')), addressOf('10.0.0.1'));
  assert.equal(embeddedAddress(addressOf('2606:2800:21f::1')), null);
  assert.equal(embeddedAddress(addressOf('10.0.0.1')), null);
});

test('metadata names are known by their canonical form, and only they', () => {
  assert.ok(isMetadataName('metadata.google.internal'));
  assert.ok(!isMetadataName('metadata.google.internal.example.com'));
  assert.ok(!isMetadataName('my-metadata.goog'));
});
