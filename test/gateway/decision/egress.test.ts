// The choice of egress addresses: one per family, the same every time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Address, formatAddress } from '../../../dtr-rules/address.ts';
import { chooseSources } from '../../../gateway/decision/egress.ts';

const device = fc.stringMatching(/^[a-z0-9][a-z0-9-]{2,38}[a-z0-9]$/);
const address = fc
  .oneof(
    fc.tuple(fc.constant(4 as const), fc.bigInt({ min: 0n, max: (1n << 32n) - 1n })),
    fc.tuple(fc.constant(6 as const), fc.bigInt({ min: 0n, max: (1n << 128n) - 1n })),
  )
  .map(([family, value]): Address => ({ family, value, text: formatAddress(family, value) }));
const some = fc.uniqueArray(address, { maxLength: 8, selector: ({ text }) => text });

function order(deviceId: string, addresses: readonly Address[], unfit: readonly string[] = []) {
  const { v4, v6 } = chooseSources(deviceId, { name: 'pool', addresses }, new Set(unfit));
  return { v4: v4.map(({ text }) => text), v6: v6.map(({ text }) => text) };
}

function choose(deviceId: string, addresses: readonly Address[], unfit: readonly string[] = []) {
  const { v4, v6 } = order(deviceId, addresses, unfit);
  return { v4: v4[0] ?? null, v6: v6[0] ?? null };
}

test('a source is of its family and from the pool, and missing only when the pool has none', () => {
  fc.assert(
    fc.property(device, some, (id, addresses) => {
      const { v4, v6 } = choose(id, addresses);
      const texts = (family: number) =>
        addresses.filter((one) => one.family === family).map(({ text }) => text);
      assert.ok(v4 === null ? texts(4).length === 0 : texts(4).includes(v4));
      assert.ok(v6 === null ? texts(6).length === 0 : texts(6).includes(v6));
    }),
  );
});

test('a device keeps its sources, whatever the order of the pool', () => {
  fc.assert(
    fc.property(device, some, fc.nat(), (id, addresses, by) => {
      const turned = [...addresses.slice(by % 8), ...addresses.slice(0, by % 8)];
      assert.deepEqual(choose(id, turned.toReversed()), choose(id, addresses));
    }),
  );
});

test('removing an address moves only the devices that used it', () => {
  fc.assert(
    fc.property(device, some, fc.nat(), (id, addresses, which) => {
      const gone = addresses[which % 8]?.text;
      const before = choose(id, addresses);
      const after = choose(
        id,
        addresses.filter(({ text }) => text !== gone),
      );
      if (before.v4 !== gone) assert.equal(after.v4, before.v4);
      if (before.v6 !== gone) assert.equal(after.v6, before.v6);
    }),
  );
});

test('an address that cannot be used moves its own devices to neighbours, and back when it can', () => {
  fc.assert(
    fc.property(device, some, fc.nat(), (id, addresses, which) => {
      const unfit = addresses[which % 8]?.text ?? '';
      const before = choose(id, addresses);
      const during = choose(id, addresses, [unfit]);
      const without = choose(
        id,
        addresses.filter(({ text }) => text !== unfit),
      );
      for (const family of ['v4', 'v6'] as const) {
        if (before[family] !== unfit) assert.equal(during[family], before[family]);
        else assert.equal(during[family], without[family] ?? unfit);
      }
      assert.deepEqual(choose(id, addresses), before);
    }),
  );
});

test('an address that cannot be used is the last choice, and no other family or address takes its place', () => {
  fc.assert(
    fc.property(device, some, fc.nat(), (id, addresses, which) => {
      const unfit = addresses[which % 8]?.text ?? '';
      const { v4, v6 } = order(id, addresses, [unfit]);
      const all = addresses.map(({ text }) => text);
      assert.deepEqual([...v4, ...v6].toSorted(), all.toSorted());
      for (const texts of [v4, v6]) assert.ok(!texts.slice(0, -1).includes(unfit));
    }),
  );
});

// Neighbouring addresses and counted device ids: the worst that a weak hash meets in practice.
test('devices spread evenly over the pool', () => {
  const pool = Array.from({ length: 4 }, (_, i) => {
    const value = 0xc6336400n + BigInt(i);
    return { family: 4 as const, value, text: formatAddress(4, value) };
  });
  const counts = new Map<string | null, number>();
  for (let i = 0; i < 4_000; i += 1) {
    const { v4 } = choose(`00008110-${i.toString(16).padStart(16, '0')}`, pool);
    counts.set(v4, (counts.get(v4) ?? 0) + 1);
  }
  assert.equal(counts.size, 4);
  // Four standard deviations around 1000 is 110.
  for (const [text, count] of counts) assert.ok(Math.abs(count - 1_000) < 110, `${text}: ${count}`);
});
