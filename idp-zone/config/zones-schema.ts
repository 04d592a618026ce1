// What zones.yaml looks like: zones of addresses, zones of places, and the databases that know the places.
import { z } from 'zod';
import { readAddressRange } from '../../dtr-rules/address.ts';
import { splitDestinations } from '../../dtr-rules/destination.ts';
import { durationMs, httpUrl, name, optional, secretText, section } from '../../runtime/schema.ts';
import type { PlaceZone } from '../decision/place.ts';
import type { ZoneSource } from '../decision/zone.ts';
import type { Entry } from '../decision/zone-table.ts';
import { refuseDoubles } from './fields.ts';

/** Okta's limit for a whole organisation; more would be a mistake, or a blocklist that belongs into a firewall. */
const MAX_ENTRIES = 25_000;
const MAX_ZONES = 1_000;
const MAX_PLACES = 300;

/** As a list or as one text, each with one or several entries, by comma or by line. */
function entries() {
  return z
    .union([z.string(), z.array(z.string())])
    .meta({ description: 'a list or a text, with addresses, blocks and spans' })
    .transform((given, context): readonly Entry[] => {
      const texts = typeof given === 'string' ? [given] : given;
      return texts.flatMap((text, index) => {
        const item = typeof given === 'string' ? null : index;
        return entriesOf(text, item, (message, hint) => {
          const params = { hint: hint ?? undefined };
          const path = item === null ? [] : [item];
          context.addIssue({ code: 'custom', path, message, input: text, params });
        });
      });
    });
}

function entriesOf(
  text: string,
  item: number | null,
  complain: (message: string, hint: string | null) => void,
): readonly Entry[] {
  // The text of a block begins on the line below its key.
  const first = text.includes('\n') ? 1 : 0;
  return text.split('\n').flatMap((line, row) =>
    splitDestinations(line).flatMap((piece): readonly Entry[] => {
      const reading = readAddressRange(piece);
      if (reading.ok) return [{ range: reading.value, item, row: first + row }];
      complain(reading.message, reading.hint);
      return [];
    }),
  );
}

const feed = section({
  url: httpUrl(),
  token: optional(secretText()),
  refresh: durationMs({ minMs: 1_000, maxMs: 86_400_000 }).prefault('30s'),
}).transform(({ refresh, ...rest }) => ({ ...rest, refreshMs: refresh }));

const countries = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });

const location = z
  .string()
  .meta({ description: 'a country (`FI`) or a region (`US-CA`)' })
  .transform((text, context) => {
    const [, country = ''] = /^([A-Z]{2})(?:-[A-Z0-9]{1,3})?$/.exec(text) ?? [];
    if (country !== '' && countries.of(country) !== undefined) return text;
    const upper = text.toUpperCase();
    const hint = text === upper ? 'for example `FI`, or `US-CA`' : `did you mean \`${upper}\`?`;
    const message = `expected a country of ISO 3166-1 or a region of ISO 3166-2, got \`${text}\``;
    context.addIssue({ code: 'custom', message, input: text, params: { hint } });
    return z.NEVER;
  });

const asn = z.int().min(1).max(4_294_967_295);

const zone = section({
  name: name(),
  usage: z.enum(['POLICY', 'BLOCKLIST', 'EXEMPT']).default('POLICY'),
  gateways: entries().default([]),
  proxies: entries().default([]),
  feed: optional(feed),
  locations: optional(z.array(location).min(1).max(MAX_PLACES)),
  notLocations: z.array(location).max(MAX_PLACES).default([]),
  asns: optional(z.array(asn).min(1).max(MAX_PLACES)),
  notAsns: z.array(asn).max(MAX_PLACES).default([]),
});

type Written = z.output<typeof zone>;

const checkedZone = zone
  .superRefine((value, context) => {
    const message = troubleOf(value);
    if (message !== null) context.addIssue({ code: 'custom', message, input: value.name });
    for (const key of ['locations', 'notLocations'] as const) refuseOverlap(value, key, context);
  })
  .transform((value): ZoneSource => {
    const { name, usage, gateways, proxies, feed } = value;
    if (!hasPlaces(value) || usage === 'EXEMPT') {
      return { kind: 'addresses', name, usage, gateways, proxies, feed };
    }
    const { locations, notLocations, asns, notAsns } = value;
    return { kind: 'places', name, usage, locations, notLocations, asns, notAsns };
  });

function hasPlaces({ locations, notLocations, asns, notAsns }: Written): boolean {
  return locations !== null || asns !== null || notLocations.length + notAsns.length > 0;
}

function troubleOf(value: Written): string | null {
  const { usage, gateways, proxies, feed } = value;
  const hasAddresses = gateways.length > 0 || feed !== null;
  if (hasPlaces(value)) {
    if (hasAddresses || proxies.length > 0) {
      return 'a zone is of addresses or of places, not of both: make two zones';
    }
    return usage === 'EXEMPT' ? 'an exempt zone is of addresses, expected `gateways`' : null;
  }
  if (!hasAddresses) {
    return 'a zone without gateways holds nobody, expected `gateways`, a `feed`, `locations` or `asns`';
  }
  if (usage !== 'POLICY' && proxies.length > 0) {
    return 'every hop is looked at by itself here, so proxies mean nothing: expected `gateways` only';
  }
  if (usage === 'BLOCKLIST' && feed !== null) {
    return 'a feed lists the addresses of a gateway of yours: expected `usage: EXEMPT` or `POLICY`';
  }
  return null;
}

// The field's rule: a country and one of its own regions say two things about one place.
function refuseOverlap(
  value: Written,
  key: 'locations' | 'notLocations',
  context: z.core.$RefinementCtx,
): void {
  const listed = value[key] ?? [];
  for (const [index, region] of listed.entries()) {
    const country = region.slice(0, 2);
    if (region === country || !listed.includes(country)) continue;
    const message = `\`${country}\` holds \`${region}\` already, expected one of the two`;
    context.addIssue({ code: 'custom', path: [key, index], message, input: region });
  }
}

const file = z.string().min(1).meta({ description: 'a path, relative to this file' });

export const zonesFile = section({
  zones: z.array(checkedZone).max(MAX_ZONES).default([]),
  places: section({ countries: optional(file), asns: optional(file) }).prefault({}),
}).superRefine(({ zones, places }, context) => {
  refuseDoubles(zones, 'zones', context);
  refuseTooMany(zones, context);
  for (const [index, one] of zones.entries()) {
    const needed = one.kind === 'places' ? databasesOf(one) : [];
    const missing = needed.find((key) => places[key] === null);
    if (missing === undefined) continue;
    const message = `the zone \`${one.name}\` needs a database, expected \`places.${missing}\` in this file`;
    context.addIssue({ code: 'custom', path: ['zones', index], message, input: one.name });
  }
});

function databasesOf(zone: PlaceZone): readonly ('countries' | 'asns')[] {
  return [
    ...(zone.locations !== null || zone.notLocations.length > 0 ? (['countries'] as const) : []),
    ...(zone.asns !== null || zone.notAsns.length > 0 ? (['asns'] as const) : []),
  ];
}

function refuseTooMany(zones: readonly ZoneSource[], context: z.core.$RefinementCtx): void {
  const counts = zones.map((one) =>
    one.kind === 'addresses' ? one.gateways.length + one.proxies.length : 0,
  );
  const count = counts.reduce((sum, one) => sum + one, 0);
  if (count <= MAX_ENTRIES) return;
  const largest = counts.indexOf(Math.max(...counts));
  const message = `all zones together have ${count} entries, expected at most ${MAX_ENTRIES}; \`${zones[largest]?.name}\` has the most`;
  context.addIssue({ code: 'custom', path: ['zones', largest], message, input: count });
}
