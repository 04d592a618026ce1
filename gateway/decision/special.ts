// Owns the special-purpose addresses no device may reach through the gateway unless a rule opens them.

import {
  type Address,
  compileAddressTable,
  formatAddress,
  inRange,
  parseAddressRange,
} from '../../dtr-rules/address.ts';

/** Why an address is special; `metadata` names cloud instance services, which hand out credentials. */
export interface Special {
  readonly kind: 'metadata' | 'special';
  readonly name: string;
}

// IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and what was added since), multicast,
// and every block that carries an IPv4 address inside an IPv6 one: those are refused outright, so
// that no embedding can smuggle a forbidden address past the table (threats S03, S05, S06). The first block
// that holds an address names it, so those inside others come first.
const blocks: readonly (readonly [range: string, kind: Special['kind'], name: string])[] = [
  ['169.254.0.0/16', 'metadata', 'link-local and cloud metadata'],
  ['100.100.100.200', 'metadata', 'cloud metadata'],
  ['168.63.129.16', 'metadata', 'cloud platform services'],
  ['192.0.0.192', 'metadata', 'cloud metadata'],
  ['fd00:ec2::254', 'metadata', 'cloud metadata'],
  ['fd00:ec2::23', 'metadata', 'cloud credentials'],
  ['fd20:ce::254', 'metadata', 'cloud metadata'],
  ['0.0.0.0/8', 'special', 'this network'],
  ['10.0.0.0/8', 'special', 'private'],
  ['100.64.0.0/10', 'special', 'carrier-grade NAT'],
  ['127.0.0.0/8', 'special', 'loopback'],
  ['172.16.0.0/12', 'special', 'private'],
  ['192.0.0.0/24', 'special', 'protocol assignments'],
  ['192.0.2.0/24', 'special', 'documentation'],
  ['192.31.196.0/24', 'special', 'AS112'],
  ['192.52.193.0/24', 'special', 'AMT'],
  ['192.88.99.0/24', 'special', '6to4 relay'],
  ['192.168.0.0/16', 'special', 'private'],
  ['192.175.48.0/24', 'special', 'AS112'],
  ['198.18.0.0/15', 'special', 'benchmarking'],
  ['198.51.100.0/24', 'special', 'documentation'],
  ['203.0.113.0/24', 'special', 'documentation'],
  ['224.0.0.0/4', 'special', 'multicast'],
  ['240.0.0.0/4', 'special', 'reserved and broadcast'],
  // The first /96 holds ::, ::1 and the IPv4-compatible addresses.
  ['::/96', 'special', 'unspecified, loopback, IPv4-compatible'],
  ['::ffff:0:0/96', 'special', 'IPv4-mapped'],
  ['::ffff:0:0:0/96', 'special', 'IPv4-translated'],
  ['64:ff9b::/96', 'special', 'NAT64'],
  ['64:ff9b:1::/48', 'special', 'local NAT64'],
  ['100::/63', 'special', 'discard and dummy'],
  ['2001::/23', 'special', 'protocol assignments, Teredo, ORCHID'],
  ['2001:db8::/32', 'special', 'documentation'],
  ['2002::/16', 'special', '6to4'],
  ['2620:4f:8000::/48', 'special', 'AS112'],
  ['3fff::/20', 'special', 'documentation'],
  ['5f00::/16', 'special', 'segment routing'],
  ['fc00::/7', 'special', 'unique local'],
  ['fe80::/10', 'special', 'link-local'],
  ['fec0::/10', 'special', 'site-local'],
  ['ff00::/8', 'special', 'multicast'],
  // Only 2000::/3 is global unicast (RFC 4291 section 2.4). The rest is routed nowhere but in overlay
  // networks, which a machine may well be part of (0200::/7 for one).
  ['::/3', 'special', 'not global unicast'],
  ['4000::/2', 'special', 'not global unicast'],
  ['8000::/1', 'special', 'not global unicast'],
];

const metadataNames: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
]);

const table = compileAddressTable(
  blocks.map(([text, kind, name]) => ({ range: rangeOf(text), value: { kind, name } })),
);

const translated = ['::ffff:0:0/96', '64:ff9b::/96'].map(rangeOf);

/** Null for an ordinary, globally reachable address. */
export function judgeSpecial(address: Address): Special | null {
  return table.find(address)[0] ?? isatap(address);
}

/** Names of metadata services, refused before anybody resolves them. */
export function isMetadataName(host: string): boolean {
  return metadataNames.has(host);
}

/** The IPv4 address that a mapped or NAT64 address is dialled as, at this machine or at the translator
 *  (RFC 6052 section 2.1); null where there is none. */
export function embeddedAddress(address: Address): Address | null {
  if (!translated.some((range) => inRange(address, range))) return null;
  const value = address.value & 0xffff_ffffn;
  return { family: 4, value, text: formatAddress(4, value) };
}

// RFC 5214 section 6.1: any prefix followed by 0000:5efe or 0200:5efe carries an IPv4 address.
function isatap(address: Address): Special | null {
  const marker = (address.value >> 32n) & 0xfdffffffn;
  if (address.family !== 6 || marker !== 0x5efen) return null;
  return { kind: 'special', name: 'ISATAP' };
}

function rangeOf(text: string) {
  const range = parseAddressRange(text);
  /* node:coverage ignore next */ // A slip in the table above must not start, and none is there to test it.
  if (range === null) throw new Error(`\`${text}\` is not an address range`);
  return range;
}
