// Zones of places: countries, regions and networks (ASN), as far as the operator's databases know an address.
import type { Address } from '../../dtr-rules/address.ts';

export interface Place {
  readonly country: string | null; // ISO 3166-1 alpha-2
  readonly region: string | null; // ISO 3166-2, with the country: `US-CA`
  readonly asn: number | null;
}

export type Locate = (address: Address) => Place;

/** All that is given has to hold; a location is a country or a region of one. */
export interface PlaceZone {
  readonly kind: 'places';
  readonly name: string;
  readonly usage: 'POLICY' | 'BLOCKLIST';
  readonly locations: readonly string[] | null; // in one of these
  readonly notLocations: readonly string[]; // and in none of these
  readonly asns: readonly number[] | null;
  readonly notAsns: readonly number[];
}

export type Membership = 'in' | 'out' | 'unknown';

export interface Unsure {
  /** What an address is of which nobody can say that it lies in an excluded place. */
  readonly whenNotExcluded: 'in' | 'unknown';
}

export function judgePlace(zone: PlaceZone, place: Place | null, unsure: Unsure): Membership {
  const { country = null, region = null, asn = null } = place ?? {};
  const states = [
    zone.locations === null ? 'in' : locatedIn(zone.locations, country, region),
    excluded(locatedIn(zone.notLocations, country, region), unsure),
    zone.asns === null ? 'in' : oneOf(zone.asns, asn),
    excluded(oneOf(zone.notAsns, asn), unsure),
  ];
  if (states.includes('out')) return 'out';
  return states.includes('unknown') ? 'unknown' : 'in';
}

function locatedIn(
  locations: readonly string[],
  country: string | null,
  region: string | null,
): Membership {
  if (locations.length === 0) return 'out';
  if (country === null) return 'unknown';
  if (locations.includes(country) || (region !== null && locations.includes(region))) return 'in';
  const mayBeOne = region === null && locations.some((one) => one.startsWith(`${country}-`));
  return mayBeOne ? 'unknown' : 'out';
}

function oneOf(asns: readonly number[], asn: number | null): Membership {
  if (asns.length === 0) return 'out';
  if (asn === null) return 'unknown';
  return asns.includes(asn) ? 'in' : 'out';
}

function excluded(state: Membership, { whenNotExcluded }: Unsure): Membership {
  if (state === 'unknown') return whenNotExcluded;
  return state === 'in' ? 'out' : 'in';
}
