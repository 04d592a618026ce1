// Reads the operator's databases of places (MMDB), and answers where an address is.
import { open, type Reader, type Response } from 'maxmind';
import { z } from 'zod';
import { type Address, parseAddress } from '../../dtr-rules/address.ts';
import type { Locate } from '../decision/place.ts';

// MaxMind's names; other makers of such files use them too.
const countryRecord = z.object({
  country: z.object({ iso_code: z.string() }).optional(),
  subdivisions: z.array(z.object({ iso_code: z.string() })).optional(),
});
const asnRecord = z.object({ autonomous_system_number: z.int().optional() });

export const databases = ['countries', 'asns'] as const;
export type Database = (typeof databases)[number];

export type PlaceFiles = Readonly<Record<Database, string | null>>; // paths

export type PlacesRead =
  | { readonly ok: true; readonly locate: Locate | null }
  | {
      readonly ok: false;
      readonly issues: readonly { readonly key: Database; readonly message: string }[];
    };

/** Null when there are no files. A file is read whole: it may be replaced while we run. */
export async function readPlaces(files: PlaceFiles): Promise<PlacesRead> {
  const issues: { key: Database; message: string }[] = [];
  const readers: { [key in Database]?: Reader<Response> } = {};
  for (const key of databases) {
    const file = files[key];
    if (file === null) continue;
    try {
      readers[key] = await openDatabase(file);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      issues.push({ key, message: `cannot be read as an MMDB file (${code ?? message})` });
    }
  }
  if (issues.length > 0) return { ok: false, issues };
  const { countries, asns } = readers;
  if (countries === undefined && asns === undefined) return { ok: true, locate: null };
  return {
    ok: true,
    locate: (address) => ({
      ...countryOf(recordOf(countries, address)),
      asn: asnOf(recordOf(asns, address)),
    }),
  };
}

const probe = parseAddress('192.0.2.1');

async function openDatabase(file: string): Promise<Reader<Response>> {
  const reader = await open<Response>(file);
  // A file cut short opens well and fails at the first question.
  if (probe !== null) reader.get(probe.text);
  return reader;
}

// An address the file cannot speak of (IPv6 in one for IPv4, a damaged record) is nowhere that is known.
function recordOf(reader: Reader<Response> | undefined, { text }: Address): unknown {
  try {
    return reader?.get(text) ?? null;
  } catch {
    return null;
  }
}

function countryOf(record: unknown): { country: string | null; region: string | null } {
  const { data } = countryRecord.safeParse(record);
  const country = data?.country?.iso_code ?? null;
  const region = data?.subdivisions?.[0]?.iso_code ?? null;
  return { country, region: country === null || region === null ? null : `${country}-${region}` };
}

function asnOf(record: unknown): number | null {
  return asnRecord.safeParse(record).data?.autonomous_system_number ?? null;
}
