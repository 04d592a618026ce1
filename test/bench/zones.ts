// How long it takes to find an address among 25 000 zone entries of every kind. Prints one line of JSON.

import { formatAddress, parseAddressRange } from '../../dtr-rules/address.ts';
import {
  type Arrival,
  arrivalOf,
  compileZones,
  standingOf,
  type Zone,
} from '../../idp-zone/decision/zone.ts';
import type { Entry } from '../../idp-zone/decision/zone-table.ts';

const count = 25_000;
const perZone = 150;
const lookups = 200_000;

// The same numbers every time (mulberry32), so that two runs compare.
let state = 42;
function random(below: number): number {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % below;
}

const some = (family: 4 | 6): bigint => {
  const word = () => BigInt(random(0xffff_ffff));
  return family === 4 ? word() : (0x2001n << 112n) | (word() << 80n) | (word() << 40n) | word();
};

function block(family: 4 | 6, hostBits: number): string {
  const network = (some(family) >> BigInt(hostBits)) << BigInt(hostBits);
  return `${formatAddress(family, network)}/${(family === 4 ? 32 : 128) - hostBits}`;
}

function entry(index: number): Entry {
  const first = some(4);
  const texts = [
    () => formatAddress(4, first),
    () => block(4, random(17)),
    () => `${formatAddress(4, first)}-${formatAddress(4, first + BigInt(random(60_000)))}`,
    () => formatAddress(6, some(6)),
    () => block(6, 16 + random(81)),
  ];
  const range = parseAddressRange(texts[index % texts.length]?.() ?? '');
  return range === null ? entry(index) : { range, item: null, row: 0 };
}

const entries = Array.from({ length: count }, (_, index) => entry(index));
const zones: readonly Zone[] = Array.from({ length: Math.ceil(count / perZone) }, (_, index) => ({
  kind: 'addresses',
  name: `zone-${index}`,
  usage: 'POLICY',
  gateways: entries.slice(index * perZone, (index + 1) * perZone),
  proxies: [],
  pending: false,
}));

const begun = performance.now();
const compiled = compileZones(zones);
const compileMs = performance.now() - begun;

function microseconds(family: 4 | 6, ask: (at: Arrival) => unknown): number {
  const arrivals = arrivalsOf(family);
  for (const at of arrivals) ask(at);
  const start = performance.now();
  for (let i = 0; i < lookups; i += 1) {
    const at = arrivals[i % arrivals.length];
    if (at !== undefined) ask(at);
  }
  return Number((((performance.now() - start) * 1000) / lookups).toFixed(2));
}

function arrivalsOf(family: 4 | 6) {
  return Array.from({ length: 10_000 }, (_, i) => {
    // Every second one lies in an entry.
    const known = entries[i * 2]?.range;
    const value = known?.family === family && i % 2 === 0 ? known.first : some(family);
    const address = { family, value, text: formatAddress(family, value) };
    return arrivalOf([address], address, null);
  });
}

const find = (family: 4 | 6) =>
  microseconds(family, ({ hops: [hop] }) => hop && compiled.table.find(hop.address));
const standing = (family: 4 | 6) => microseconds(family, (at) => standingOf(compiled, at));
console.log(
  JSON.stringify({
    entries: count,
    zones: zones.length,
    compile_ms: Math.round(compileMs),
    find_us: { ipv4: find(4), ipv6: find(6) },
    standing_us: { ipv4: standing(4), ipv6: standing(6) },
  }),
);
