// Zones: the truth tables of the field, row by row, and what the rules are told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, parseAddress } from '../../../dtr-rules/address.ts';
import { parseZones } from '../../../idp-zone/config/parse.ts';
import type { Locate } from '../../../idp-zone/decision/place.ts';
import {
  arrivalOf,
  blockOf,
  compileZones,
  judgeZone,
  standingOf,
  type Zone,
} from '../../../idp-zone/decision/zone.ts';
import { joined } from '../../../idp-zone/edge/live-zones.ts';
import blocklistCases from '../../cases/blocklist.json' with { type: 'json' };
import places from '../../cases/places.json' with { type: 'json' };
import cases from '../../cases/zones.json' with { type: 'json' };

const addresses: Readonly<Record<string, string>> = {
  A: '203.0.113.8',
  B: '198.51.100.1',
  C: '198.51.100.2',
  D: '2001:db8::4',
  E: '192.0.2.5',
  F: '192.0.2.6',
};

const textOf = (name: string) => addresses[name] ?? name;
const address = (name: string) => {
  const parsed = parseAddress(textOf(name));
  assert.ok(parsed, name);
  return parsed;
};
const arrival = (chain: readonly string[], locate: Locate | null = null) => {
  const hops = chain.map(address);
  return arrivalOf(hops, hops[0] ?? null, locate);
};

// The reader is part of it: every row goes through the file.
function zonesOf(zones: readonly object[]): readonly Zone[] {
  const parsed = parseZones({ zones, places: { countries: 'c.mmdb', asns: 'a.mmdb' } });
  assert.ok(parsed.ok, parsed.ok ? '' : JSON.stringify(parsed.issues));
  return parsed.value.zones.map((zone) => joined(zone));
}
// A zone of proxies alone cannot be written down; the table has it all the same.
function zone(name: string, gateways: readonly string[], proxies: readonly string[] = []): Zone {
  const filler = 'fdff::ffff';
  const [read] = zonesOf([
    { name, gateways: [filler, ...gateways.map(textOf)], proxies: proxies.map(textOf) },
  ]);
  assert.ok(read?.kind === 'addresses');
  return { ...read, gateways: read.gateways.slice(1) };
}
const held = (zones: readonly Zone[], chain: readonly string[]) =>
  standingOf(compileZones(zones), arrival(chain)).zones;

for (const row of cases) {
  test(`zone: ${row.name}`, () => {
    const compiled = compileZones([zone('z', row.gateways, row.proxies)]);
    const verdict = judgeZone(compiled, 0, arrival(row.chain));
    assert.equal(verdict.state, row.state);
    assert.equal(verdict.state === 'in' ? undefined : verdict.why, row.why);
    const standing = standingOf(compiled, arrival(row.chain));
    assert.deepEqual(standing.zones, row.state === 'in' ? ['z'] : []);
    assert.deepEqual(standing.unknownZones, row.state === 'unknown' ? ['z'] : []);
  });
}

test('a verdict names the address the walk stopped at, or the entry that holds it', () => {
  const stopped = judgeZone(compileZones([zone('z', ['A'], ['C'])]), 0, arrival(['A', 'B', 'C']));
  assert.ok(stopped.state === 'out');
  assert.equal(stopped.address.text, addresses['B']);
  const inside = judgeZone(compileZones([zone('z', ['203.0.113.0/24'])]), 0, arrival(['A']));
  assert.ok(inside.state === 'in');
  assert.equal(inside.entry?.range.text, '203.0.113.0/24');
});

test('there is no verdict on a zone that is not there', () => {
  assert.throws(() => judgeZone(compileZones([]), 0, arrival(['A'])), /no zone 0/);
});

test('a gateway and a proxy of two different zones do not add up to a zone', () => {
  assert.deepEqual(held([zone('gateways', ['A']), zone('proxies', [], ['B'])], ['A', 'B']), []);
});

test('blocks and ranges hold their addresses and no neighbour', () => {
  const zones = [
    zone('block', ['203.0.113.8/29']),
    zone('range', ['203.0.113.16-203.0.113.19']),
    zone('six', ['2001:db8:8::/64']),
  ];
  assert.deepEqual(held(zones, ['203.0.113.7']), []);
  assert.deepEqual(held(zones, ['203.0.113.15']), ['block']);
  assert.deepEqual(held(zones, ['203.0.113.16']), ['range']);
  assert.deepEqual(held(zones, ['203.0.113.20']), []);
  assert.deepEqual(held(zones, ['2001:db8:8::1']), ['six']);
  assert.deepEqual(held(zones, ['2001:db8:8:1::']), []);
});

test('an address may lie in several zones', () => {
  const zones = [zone('one', ['A']), zone('two', ['203.0.113.0/24']), zone('three', ['B'])];
  assert.deepEqual(held(zones, ['A']), ['one', 'two']);
});

test('a zone whose feed has not been read may hold anybody it does not hold already', () => {
  const [source] = zonesOf([{ name: 'fed', gateways: ['203.0.113.8'] }]);
  assert.ok(source?.kind === 'addresses');
  const compiled = compileZones([{ ...source, pending: true }]);
  const at = (name: string) => standingOf(compiled, arrival([name]));
  assert.deepEqual(at('A'), { blocked: null, zones: ['fed'], unknownZones: [] });
  assert.deepEqual(at('B'), { blocked: null, zones: [], unknownZones: ['fed'] });
});

for (const row of blocklistCases) {
  test(`blocklist: ${row.name}`, () => {
    const written = [
      { name: 'bad', usage: 'BLOCKLIST', gateways: row.blocklist.map(textOf) },
      { name: 'ours', usage: 'EXEMPT', gateways: row.exempt.map(textOf) },
      { name: 'office', gateways: [textOf('C')] },
    ];
    const zones = zonesOf(written.filter(({ gateways }) => gateways.length > 0));
    const standing = standingOf(compileZones(zones), arrival(['A', 'B', 'C']));
    const text = row.blocked === null ? undefined : textOf(row.blocked);
    assert.equal(standing.blocked?.address?.text, text);
    // Neither list is a zone for rules.
    assert.deepEqual(standing.zones, ['office']);
  });
}

test('a blocklist looks at hops beyond the five that zones look at', () => {
  const zones = compileZones(
    zonesOf([{ name: 'bad', usage: 'BLOCKLIST', gateways: [textOf('A')] }]),
  );
  const blocked = blockOf(zones, arrival(['A', 'B', 'B', 'B', 'B', 'B', 'C']));
  assert.equal(blocked?.address?.text, textOf('A'));
  assert.equal(blocked?.entry?.range.text, textOf('A'));
});

test('with a blocklist somebody without an address is not let in', () => {
  const bad = { name: 'bad', usage: 'BLOCKLIST', gateways: [textOf('A')] };
  const blocked = blockOf(compileZones(zonesOf([bad])), arrival([]));
  assert.deepEqual(blocked, { zone: 'bad', address: null, entry: null });
  assert.equal(blockOf(compileZones([zone('z', ['A'])]), arrival([])), null);
});

const located =
  ([country = null, region = null, asn = null]: readonly (string | number | null)[]): Locate =>
  () => ({
    country: country === null ? null : String(country),
    region: region === null ? null : String(region),
    asn: asn === null ? null : Number(asn),
  });

for (const row of places.cases) {
  test(`places: ${row.zone} and ${JSON.stringify(row.place)}`, () => {
    const written = new Map<string, object>(Object.entries(places.zones)).get(row.zone);
    const compiledAs = (usage: string) => compileZones(zonesOf([{ name: 'z', usage, ...written }]));
    const at = arrival(['A'], located(row.place));
    const compiled = compiledAs('POLICY');
    assert.equal(judgeZone(compiled, 0, at).state, row.state);
    const { zones, unknownZones } = standingOf(compiled, at);
    assert.deepEqual(zones, row.state === 'in' ? ['z'] : []);
    assert.deepEqual(unknownZones, row.state === 'unknown' ? ['z'] : []);
    assert.equal(blockOf(compiledAs('BLOCKLIST'), at)?.zone, row.blocks ? 'z' : undefined);
  });
}

test('a zone of places is about the client, not about the proxies it came through', () => {
  const byAddress: Locate = ({ text }: Address) => ({
    country: text === textOf('A') ? 'FI' : 'SE',
    region: null,
    asn: null,
  });
  const compiled = compileZones(zonesOf([{ name: 'home', locations: ['FI'] }]));
  assert.deepEqual(standingOf(compiled, arrival(['A', 'B'], byAddress)).zones, ['home']);
  assert.deepEqual(standingOf(compiled, arrival(['B', 'A'], byAddress)).zones, []);
  assert.deepEqual(standingOf(compiled, arrival([], byAddress)).unknownZones, ['home']);
  // Without a database nobody can tell.
  assert.deepEqual(standingOf(compiled, arrival(['A'])).unknownZones, ['home']);
});
