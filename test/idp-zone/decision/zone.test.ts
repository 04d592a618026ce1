// Zones: the truth table of the field, row by row, and what the rules are told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress, parseAddressRange } from '../../../dtr-rules/address.ts';
import { compileZone, judgeZone, zonesOf } from '../../../idp-zone/decision/zone.ts';
import cases from '../../cases/zones.json' with { type: 'json' };

const addresses: Readonly<Record<string, string>> = {
  A: '203.0.113.8',
  B: '198.51.100.1',
  C: '198.51.100.2',
  D: '2001:db8::4',
  E: '192.0.2.5',
  F: '192.0.2.6',
};

const address = (text: string) => {
  const parsed = parseAddress(addresses[text] ?? text);
  assert.ok(parsed, text);
  return parsed;
};
const range = (text: string) => {
  const parsed = parseAddressRange(addresses[text] ?? text);
  assert.ok(parsed, text);
  return parsed;
};
const zone = (name: string, gateways: readonly string[], proxies: readonly string[] = []) =>
  compileZone({
    name,
    gateways: gateways.map(range),
    proxies: proxies.map(range),
    pending: false,
  });

for (const row of cases) {
  test(`zone: ${row.name}`, () => {
    const verdict = judgeZone(zone('z', row.gateways, row.proxies), row.chain.map(address));
    assert.equal(verdict.inZone, row.inZone);
    assert.equal(verdict.inZone ? undefined : verdict.why, row.why);
  });
}

test('a verdict names the address the walk stopped at', () => {
  const chain = [address('A'), address('B'), address('C')];
  const stopped = judgeZone(zone('z', ['A'], ['C']), chain);
  assert.equal(stopped.address?.text, addresses['B']);
});

test('a gateway and a proxy of two different zones do not add up to a zone', () => {
  const zones = [zone('gateways', ['A']), zone('proxies', [], ['B'])];
  assert.deepEqual(zonesOf(zones, [address('A'), address('B')]).zones, []);
});

test('blocks and ranges hold their addresses and no neighbour', () => {
  const zones = [
    zone('block', ['203.0.113.8/29']),
    zone('range', ['203.0.113.16-203.0.113.19']),
    zone('six', ['2001:db8:8::/64']),
  ];
  const held = (text: string) => zonesOf(zones, [address(text)]).zones;
  assert.deepEqual(held('203.0.113.15'), ['block']);
  assert.deepEqual(held('203.0.113.16'), ['range']);
  assert.deepEqual(held('203.0.113.20'), []);
  assert.deepEqual(held('2001:db8:8::1'), ['six']);
});

test('an address may lie in several zones', () => {
  const zones = [zone('one', ['A']), zone('two', ['203.0.113.0/24']), zone('three', ['B'])];
  assert.deepEqual(zonesOf(zones, [address('A')]), { zones: ['one', 'two'], unknownZones: [] });
});

test('a zone whose feed has not been read may hold anybody it does not hold already', () => {
  const pending = compileZone({ name: 'fed', gateways: [range('A')], proxies: [], pending: true });
  assert.deepEqual(zonesOf([pending], [address('A')]), { zones: ['fed'], unknownZones: [] });
  assert.deepEqual(zonesOf([pending], [address('B')]), { zones: [], unknownZones: ['fed'] });
});

test('without a readable address every zone is unknown', () => {
  assert.deepEqual(zonesOf([zone('z', ['A'])], []), { zones: [], unknownZones: ['z'] });
});
