// Owns IPv4 and IPv6 addresses, ranges of them, and the table that finds every range holding an address.

import ipaddr from 'ipaddr.js';
import { quoted, type Reading, readAs, unreadable } from './reading.ts';

export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
  /** Canonical: one address, one text (RFC 5952 for IPv6). */
  readonly text: string;
}

export interface AddressRange {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
  readonly text: string;
}

export interface AddressTable<T> {
  /** Values of all ranges that hold the address, in the order they were given. */
  find(address: Address): readonly T[];
}

const width = { 4: 32, 6: 128 } as const;
const octet = '(?:0|[1-9]\\d?|1\\d\\d|2[0-4]\\d|25[0-5])';
const fourParts = new RegExp(`^${octet}(?:\\.${octet}){3}$`);

/** Strict: four decimal parts, or RFC 4291 section 2.2 text without zone or brackets. ipaddr.js alone also
 *  reads `127.1`, `0x7f.1` and `2130706433`, so the form is checked first (threats S02, S04). */
export function parseAddress(text: string): Address | null {
  if (fourParts.test(text)) return { family: 4, value: fourPartValue(text), text };
  if (!/^[0-9a-f:.]{2,45}$/i.test(text) || !text.includes(':')) return null;
  const groups = withoutDottedTail(text);
  if (groups === null || !ipaddr.IPv6.isValid(groups)) return null;
  const value = ipaddr.IPv6.parse(groups).parts.reduce(
    (sum, part) => (sum << 16n) + BigInt(part),
    0n,
  );
  return { family: 6, value, text: formatAddress(6, value) };
}

/** One address, a CIDR block whose host bits are zero, or `first-last`. */
export function parseAddressRange(text: string): AddressRange | null {
  const reading = readAddressRange(text);
  return reading.ok ? reading.value : null;
}

/** The same, saying what is wrong. */
export function readAddressRange(text: string): Reading<AddressRange> {
  const [, network, bits] = /^([^/]*)\/([^/]*)$/.exec(text) ?? [];
  if (network !== undefined && bits !== undefined) return readBlock(text, network, bits);
  const [, from, to] = /^([^-]*)-([^-]*)$/.exec(text) ?? [];
  if (from !== undefined && to !== undefined) return readSpan(text, from, to);
  const address = parseAddress(text);
  if (address === null) return unreadable(`${quoted(text)} is not an IP address`);
  const { family, value } = address;
  return readAs({ family, first: value, last: value, text: address.text });
}

export function inRange(address: Address, range: AddressRange): boolean {
  const { family, value } = address;
  return family === range.family && range.first <= value && value <= range.last;
}

/** An IPv4-mapped address is dialled as the IPv4 address inside it, so rules judge that one (threats S03). */
export function unmapped(address: Address): Address {
  if (address.family === 4 || !isMapped(address.value)) return address;
  const value = address.value & 0xffff_ffffn;
  return { family: 4, value, text: formatAddress(4, value) };
}

/** True for values in `::ffff:0:0/96`. */
export function isMapped(value: bigint): boolean {
  return value >> 32n === 0xffffn;
}

export function formatAddress(family: 4 | 6, value: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  // RFC 5952 section 5: the mixed notation where an IPv4 address is known to be inside.
  if (isMapped(value)) return `::ffff:${formatAddress(4, value & 0xffff_ffffn)}`;
  const parts = Array.from({ length: 8 }, (_, i) =>
    Number((value >> BigInt(112 - 16 * i)) & 0xffffn),
  );
  return new ipaddr.IPv6(parts).toRFC5952String();
}

interface Item<T> {
  readonly index: number;
  readonly value: T;
}

interface Level<T> {
  /** How many low bits of an address this level ignores. */
  readonly hostBits: bigint;
  readonly items: Map<bigint, Item<T>[]>;
}

/** Every range is cut into CIDR blocks; a look-up asks one map per prefix length in use, however many ranges there are. */
export function compileAddressTable<T>(
  entries: readonly { readonly range: AddressRange; readonly value: T }[],
  /** Whether nobody wants to know what comes after this one in the same block. */
  settles: (value: T) => boolean = () => false,
): AddressTable<T> {
  const levels = { 4: new Map<number, Level<T>>(), 6: new Map<number, Level<T>>() };
  for (const [index, { range, value }] of entries.entries()) {
    for (const block of blocksOf(range)) {
      const hostBits = BigInt(block.hostBits);
      const level = getOrAdd(levels[range.family], block.hostBits, () => ({
        hostBits,
        items: new Map(),
      }));
      const items = getOrAdd(level.items, keyOf(block.first >> hostBits), () => []);
      const last = items.at(-1);
      if (last === undefined || !settles(last.value)) items.push({ index, value });
    }
  }
  const compiled = { 4: [...levels[4].values()], 6: [...levels[6].values()] };
  return { find: (address) => findIn(compiled[address.family], address.value) };
}

// V8 hashes a bigint by its low 64 bits, which are the same for `::1` in ten thousand networks: without this, filling
// a map with them takes quadratic time (measured: 0.5 s for 10 000). Different prefixes keep different keys.
function keyOf(prefix: bigint): bigint {
  return prefix ^ (prefix >> 64n);
}

function findIn<T>(levels: readonly Level<T>[], value: bigint): readonly T[] {
  const found: Item<T>[] = [];
  for (const { hostBits, items } of levels) {
    for (const item of items.get(keyOf(value >> hostBits)) ?? []) found.push(item);
  }
  return found.sort((a, b) => a.index - b.index).map((item) => item.value);
}

/** The fewest CIDR blocks that cover the range: at each step the largest one that is aligned and still fits. */
function* blocksOf(range: AddressRange) {
  for (let first = range.first; first <= range.last; ) {
    const fitting = (range.last - first + 1n).toString(2).length - 1;
    const binary = first.toString(2);
    const aligned =
      first === 0n ? width[range.family] : binary.length - 1 - binary.lastIndexOf('1');
    const hostBits = Math.min(fitting, aligned);
    yield { first, hostBits };
    first += 1n << BigInt(hostBits);
  }
}

function readBlock(text: string, network: string, bits: string): Reading<AddressRange> {
  const address = parseAddress(network);
  if (address === null)
    return unreadable(`${quoted(network)} in ${quoted(text)} is not an IP address`);
  const { family, value } = address;
  if (!/^(?:0|[1-9]\d{0,2})$/.test(bits) || Number(bits) > width[family]) {
    return unreadable(`${quoted(text)} needs a prefix length from 0 to ${width[family]}`);
  }
  const size = 1n << BigInt(width[family] - Number(bits));
  const first = value - (value % size);
  const block = `${formatAddress(family, first)}/${bits}`;
  if (first !== value) return unreadable(`${quoted(text)} has host bits set`, `write \`${block}\``);
  return readAs({ family, first, last: first + size - 1n, text: block });
}

function readSpan(text: string, from: string, to: string): Reading<AddressRange> {
  const first = parseAddress(from);
  const last = parseAddress(to);
  if (first === null || last === null) {
    const [, head = ''] = /^((?:\d+\.){3})\d+$/.exec(from) ?? [];
    const isShort = parseAddress(`${head}${to}`) !== null && !to.includes('.');
    return unreadable(
      `${quoted(first === null ? from : to)} in ${quoted(text)} is not an IP address`,
      first !== null && isShort ? `write \`${from}-${head}${to}\`` : null,
    );
  }
  if (first.family !== last.family) return unreadable(`${quoted(text)} mixes IPv4 and IPv6`);
  if (first.value > last.value) {
    return unreadable(`${quoted(text)} runs backwards`, `write \`${last.text}-${first.text}\``);
  }
  return readAs({
    family: first.family,
    first: first.value,
    last: last.value,
    text: `${first.text}-${last.text}`,
  });
}

// ipaddr.js 2.5 reads `::1.2.3.4` as `::ffff:1.2.3.4` and takes leading zeros in the dotted part, so it only sees hex groups.
function withoutDottedTail(text: string): string | null {
  if (!text.includes('.')) return text;
  const start = text.lastIndexOf(':') + 1;
  const dotted = text.slice(start);
  if (!fourParts.test(dotted)) return null;
  const value = fourPartValue(dotted);
  return `${text.slice(0, start)}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
}

function fourPartValue(text: string): bigint {
  return ipaddr.IPv4.parse(text).octets.reduce((sum, part) => (sum << 8n) + BigInt(part), 0n);
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const present = map.get(key);
  if (present !== undefined) return present;
  const created = create();
  map.set(key, created);
  return created;
}
