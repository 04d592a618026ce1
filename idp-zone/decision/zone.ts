// Network zones: what they are made of, what is known about the hops of a request, and which zones it comes from.
import type { Address } from '../../dtr-rules/address.ts';
import { judgePlace, type Locate, type Place, type PlaceZone } from './place.ts';
import { compileZoneTable, type Entry, type Hit, type ZoneTable } from './zone-table.ts';

// The field's limit (Okta): the sixth address from the right is never looked at.
export const MAX_HOPS = 5;

/** What a zone is for: sign-on rules, refusing before anything else, or not being refused that way. */
export type Usage = 'POLICY' | 'BLOCKLIST' | 'EXEMPT';

export interface Feed {
  readonly url: string;
  readonly token: string | null;
  readonly refreshMs: number;
}

interface AddressZone {
  readonly kind: 'addresses';
  readonly name: string;
  readonly usage: Usage;
  readonly gateways: readonly Entry[];
  readonly proxies: readonly Entry[];
}

/** A zone as it is written down. With a feed, more gateways arrive while we run. */
export type ZoneSource = (AddressZone & { readonly feed: Feed | null }) | PlaceZone;

/** Pending: some of its gateways are not known yet, so nobody can be said to be outside. */
export type Zone = (AddressZone & { readonly pending: boolean }) | PlaceZone;

export interface CompiledZones {
  readonly zones: readonly Zone[];
  readonly table: ZoneTable;
  /** Of all zones for rules, and of those among them that may hold an address the table does not know. */
  readonly forRules: readonly number[];
  readonly beyondTable: readonly number[];
  readonly blockedPlaces: readonly PlaceZone[];
}

/** An address a request came over, and where it is: null when nothing was asked. */
export interface Hop {
  readonly address: Address;
  readonly place: Place | null;
}

/** The hops run from the origin to whoever connected; the client is the rightmost that is no proxy of ours. */
export interface Arrival {
  readonly hops: readonly Hop[];
  readonly client: Hop | null;
}

export interface Inside {
  readonly state: 'in';
  readonly address: Address;
  readonly entry: Entry | null; // null: it is a zone of places
}

export interface Outside {
  readonly state: 'out';
  readonly why: 'undeclared' | 'proxies_only' | 'too_many_hops' | 'elsewhere';
  readonly address: Address; // where the walk stopped
}

export interface Unknown {
  readonly state: 'unknown';
  readonly why: 'no_address' | 'feed' | 'place';
}

export type ZoneVerdict = Inside | Outside | Unknown;

/** An address that is let in nowhere. The address is null when the peer had gone: nobody can clear it. */
export interface Blocked {
  readonly zone: string;
  readonly address: Address | null;
  readonly entry: Entry | null;
}

// What the rules are told about the network somebody comes from.
export interface Standing {
  readonly blocked: Blocked | null;
  readonly zones: readonly string[];
  readonly unknownZones: readonly string[]; // may hold the address; nobody can tell
}

export function compileZones(zones: readonly Zone[]): CompiledZones {
  const entries = zones.flatMap((zone, index) => {
    if (zone.kind === 'places') return [];
    const of = (role: Hit['role']) => (entry: Entry) => ({ zone: index, role, entry });
    return [...zone.gateways.map(of('gateway')), ...zone.proxies.map(of('proxy'))];
  });
  const forRules = [...zones.keys()].filter((index) => zones[index]?.usage === 'POLICY');
  const isBeyond = (zone: Zone | undefined) => zone?.kind === 'places' || zone?.pending === true;
  return {
    zones,
    table: compileZoneTable(entries),
    forRules,
    beyondTable: forRules.filter((index) => isBeyond(zones[index])),
    blockedPlaces: zones.flatMap((zone) =>
      zone.kind === 'places' && zone.usage === 'BLOCKLIST' ? [zone] : [],
    ),
  };
}

export function arrivalOf(
  chain: readonly Address[],
  client: Address | null,
  locate: Locate | null,
): Arrival {
  const hopOf = (address: Address): Hop => ({ address, place: locate?.(address) ?? null });
  return { hops: chain.map(hopOf), client: client && hopOf(client) };
}

export function standingOf(compiled: CompiledZones, arrival: Arrival): Standing {
  const held: string[] = [];
  const unknown: string[] = [];
  const looked = lookUp(compiled, arrival);
  for (const index of candidates(compiled, looked)) {
    const zone = compiled.zones[index];
    if (zone?.usage !== 'POLICY') continue;
    const { state } = judge(zone, index, { arrival, looked });
    if (state === 'in') held.push(zone.name);
    else if (state === 'unknown') unknown.push(zone.name);
  }
  return { blocked: blockOf(compiled, arrival), zones: held, unknownZones: unknown };
}

// Only a zone that knows the peer can hold who comes through it: of a thousand zones few are walked.
function candidates(compiled: CompiledZones, looked: Walk['looked']): readonly number[] {
  const peer = looked.at(-1);
  if (peer === undefined) return compiled.forRules;
  const near = new Set([...peer.hits.map(({ zone }) => zone), ...compiled.beyondTable]);
  return [...near].sort((a, b) => a - b);
}

export function judgeZone(compiled: CompiledZones, index: number, arrival: Arrival): ZoneVerdict {
  const zone = compiled.zones[index];
  if (zone === undefined) throw new Error(`there is no zone ${index}`);
  return judge(zone, index, { arrival, looked: lookUp(compiled, arrival) });
}

/** Blocklists come before everything else and look at every hop; each hop they hold has to be exempt. */
export function blockOf(compiled: CompiledZones, { hops }: Arrival): Blocked | null {
  if (hops.length === 0) {
    const blocklist = compiled.zones.find(({ usage }) => usage === 'BLOCKLIST');
    return blocklist === undefined ? null : { zone: blocklist.name, address: null, entry: null };
  }
  for (const hop of hops.toReversed()) {
    const blocked = blockOfHop(compiled, hop);
    if (blocked !== null) return blocked;
  }
  return null;
}

function blockOfHop({ zones, table, blockedPlaces }: CompiledZones, hop: Hop): Blocked | null {
  const { address, place } = hop;
  let first: Blocked | null = null;
  for (const { zone: index, entry } of table.find(address)) {
    const zone = zones[index];
    if (zone?.usage === 'EXEMPT') return null;
    if (zone?.usage === 'BLOCKLIST') first ??= { zone: zone.name, address, entry };
  }
  if (first !== null) return first;
  // "Blocked from A" needs to be known; "blocked from everywhere but A" is not lifted for the unknown.
  const byPlace = blockedPlaces.find(
    (zone) => judgePlace(zone, place, { whenNotExcluded: 'in' }) === 'in',
  );
  return byPlace === undefined ? null : { zone: byPlace.name, address, entry: null };
}

interface Looked {
  readonly address: Address;
  readonly hits: readonly Hit[];
}

interface Walk {
  readonly arrival: Arrival;
  readonly looked: readonly Looked[]; // of each hop that counts
}

function lookUp({ table }: CompiledZones, { hops }: Arrival): Walk['looked'] {
  return hops.slice(-MAX_HOPS).map(({ address }) => ({ address, hits: table.find(address) }));
}

function judge(zone: Zone, index: number, { arrival, looked }: Walk): ZoneVerdict {
  if (zone.kind === 'addresses') {
    const verdict = walk(index, { arrival, looked });
    return verdict.state === 'out' && zone.pending ? { state: 'unknown', why: 'feed' } : verdict;
  }
  if (arrival.client === null) return { state: 'unknown', why: 'no_address' };
  const { address, place } = arrival.client;
  const state = judgePlace(zone, place, { whenNotExcluded: 'unknown' });
  switch (state) {
    case 'in':
      return { state, address, entry: null };
    case 'out':
      return { state, why: 'elsewhere', address };
    case 'unknown':
      return { state, why: 'place' };
  }
}

// Only the right end of the chain is certain, so the walk starts there: a gateway is in the zone, a proxy vouches for
// the address to its left, anything else ends the walk outside.
function walk(index: number, { arrival, looked }: Walk): ZoneVerdict {
  let stopped: Address | null = null;
  for (const { address, hits } of looked.toReversed()) {
    const own = hits.filter(({ zone }) => zone === index);
    const gateway = own.find(({ role }) => role === 'gateway');
    if (gateway !== undefined) return { state: 'in', address, entry: gateway.entry };
    if (own.length === 0) return { state: 'out', why: 'undeclared', address };
    stopped = address;
  }
  if (stopped === null) return { state: 'unknown', why: 'no_address' };
  const why = arrival.hops.length > MAX_HOPS ? 'too_many_hops' : 'proxies_only';
  return { state: 'out', why, address: stopped };
}
