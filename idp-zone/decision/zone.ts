// Network zones: declared gateways and proxies, and whether a chain of hops comes from one of them.
import {
  type Address,
  type AddressRange,
  type AddressTable,
  compileAddressTable,
} from '../../dtr-rules/address.ts';

// The field's limit (Okta): the sixth address from the right is never looked at.
export const MAX_HOPS = 5;

export interface Feed {
  readonly url: string;
  readonly token: string | null;
  readonly refreshMs: number;
}

// A zone as it is written down. With a feed, more gateways arrive while we run.
export interface ZoneSource {
  readonly name: string;
  readonly gateways: readonly AddressRange[];
  readonly proxies: readonly AddressRange[];
  readonly feed: Feed | null;
}

export interface Zone {
  readonly name: string;
  readonly gateways: readonly AddressRange[];
  readonly proxies: readonly AddressRange[];
  // Some of its gateways are not known yet: nobody can be said to be outside.
  readonly pending: boolean;
}

type Role = 'gateway' | 'proxy';

export interface CompiledZone {
  readonly zone: Zone;
  readonly roles: AddressTable<Role>;
}

export type ZoneVerdict =
  | { readonly inZone: true; readonly address: Address }
  | {
      readonly inZone: false;
      readonly why: 'no_address' | 'undeclared' | 'proxies_only' | 'too_many_hops';
      readonly address: Address | null; // where the walk stopped
    };

// What the rules are told about the network somebody comes from.
export interface Standing {
  readonly zones: readonly string[];
  readonly unknownZones: readonly string[]; // may hold the address; nobody can tell
}

export function compileZone(zone: Zone): CompiledZone {
  const entries = [
    ...zone.gateways.map((range) => ({ range, value: 'gateway' as const })),
    ...zone.proxies.map((range) => ({ range, value: 'proxy' as const })),
  ];
  return { zone, roles: compileAddressTable<Role>(entries) };
}

// The chain runs from the origin to whoever connected. Only the right end is certain, so the walk starts there: a
// gateway is in the zone, a proxy vouches for the address to its left, anything else ends the walk outside.
export function judgeZone(compiled: CompiledZone, chain: readonly Address[]): ZoneVerdict {
  let stopped: Address | null = null;
  for (const address of chain.slice(-MAX_HOPS).reverse()) {
    const roles = compiled.roles.find(address);
    if (roles.includes('gateway')) return { inZone: true, address };
    if (!roles.includes('proxy')) return { inZone: false, why: 'undeclared', address };
    stopped = address;
  }
  if (stopped === null) return { inZone: false, why: 'no_address', address: null };
  const why = chain.length > MAX_HOPS ? 'too_many_hops' : 'proxies_only';
  return { inZone: false, why, address: stopped };
}

export function zonesOf(zones: readonly CompiledZone[], chain: readonly Address[]): Standing {
  const held: string[] = [];
  const unknown: string[] = [];
  for (const compiled of zones) {
    const { name, pending } = compiled.zone;
    if (judgeZone(compiled, chain).inZone) held.push(name);
    else if (pending || chain.length === 0) unknown.push(name);
  }
  return { zones: held, unknownZones: unknown };
}
