// The table of all zone entries says what reading every entry with ipaddr.js says, and says it fast.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { formatAddress, parseAddress, parseAddressRange } from '../../../dtr-rules/address.ts';
import { compileZoneTable, type Hit } from '../../../idp-zone/decision/zone-table.ts';

const hitOf = (text: string, zone: number, role: Hit['role'] = 'gateway'): Hit => {
  const range = parseAddressRange(text);
  assert.ok(range, text);
  return { zone, role, entry: { range, item: null, row: 0 } };
};
const find = (hits: readonly Hit[], text: string) => {
  const address = parseAddress(text);
  assert.ok(address, text);
  return compileZoneTable(hits).find(address);
};

// Close together, so that entries overlap, touch and repeat; IPv6 also across the part that is compared first.
const four = fc.integer({ min: 0, max: 40 }).map((n) => formatAddress(4, 0xcb00_7100n + BigInt(n)));
const six = fc
  .tuple(fc.constantFrom(0n, 1n << 64n, 1n << 76n, 1n << 100n), fc.bigInt(0n, 40n))
  .map(([high, low]) => formatAddress(6, (0x2001_0db8n << 96n) + high + low));
const prefix = { 4: [32, 31, 29, 27, 24, 8, 0], 6: [128, 126, 122, 64, 52, 32, 0] } as const;

function entryOf(address: fc.Arbitrary<string>, bits: readonly number[]) {
  const single = address;
  const block = fc.tuple(address, fc.constantFrom(...bits)).map(([text, length]) => {
    const network = ipaddr.parse(text);
    const cidr = `${network.toString()}/${length}`;
    const first =
      network.kind() === 'ipv4'
        ? ipaddr.IPv4.networkAddressFromCIDR(cidr)
        : ipaddr.IPv6.networkAddressFromCIDR(cidr);
    return `${first.toString()}/${length}`;
  });
  const span = fc
    .tuple(address, address)
    .map((pair) => pair.toSorted((a, b) => (numberOf(a) < numberOf(b) ? -1 : 1)).join('-'));
  return fc.oneof(single, block, span);
}

const entry = fc.oneof(entryOf(four, prefix[4]), entryOf(six, prefix[6]));

function numberOf(text: string): bigint {
  return BigInt(`0x${Buffer.from(ipaddr.parse(text).toByteArray()).toString('hex')}`);
}

// The plain reading: every entry in turn, by ipaddr.js alone.
function holds(text: string, probe: string): boolean {
  const address = ipaddr.parse(probe);
  const [from = '', to = ''] = text.split('-');
  const [network = ''] = from.split('/');
  if (ipaddr.parse(network).kind() !== address.kind()) return false;
  if (text.includes('/')) return address.match(ipaddr.parseCIDR(text));
  if (to === '') return numberOf(from) === numberOf(probe);
  return numberOf(from) <= numberOf(probe) && numberOf(probe) <= numberOf(to);
}

test('the table finds what a plain reading of every entry finds', () => {
  const zoned = fc.record({
    text: entry,
    zone: fc.nat(3),
    role: fc.constantFrom('gateway' as const, 'proxy' as const),
  });
  fc.assert(
    fc.property(fc.array(zoned, { maxLength: 30 }), fc.oneof(four, six), (written, probe) => {
      const hits = written.map(({ text, zone, role }) => hitOf(text, zone, role));
      const expected = written.flatMap(({ text, zone, role }, index) => {
        const isFirst = !written
          .slice(0, index)
          .some((one) => one.zone === zone && one.role === role && holds(one.text, probe));
        return holds(text, probe) && isFirst ? [hits[index]] : [];
      });
      assert.deepEqual(find(hits, probe), expected);
    }),
    { numRuns: 500 },
  );
});

test('the ends of the address space are addresses like others', () => {
  const all = [hitOf('0.0.0.0/0', 0), hitOf('::/0', 1)];
  for (const text of ['0.0.0.0', '255.255.255.255']) assert.equal(find(all, text)[0]?.zone, 0);
  const last = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff';
  for (const text of ['::', last]) assert.equal(find(all, text)[0]?.zone, 1);
  assert.deepEqual(find([], '0.0.0.0'), []);
  assert.deepEqual(find([hitOf('10.0.0.1', 0)], '10.0.0.0'), []);
});
