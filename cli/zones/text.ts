// How `zonegate zones check` tells what it found: the hops, the client, and each zone with its entry and line.

import type { Address, AddressRange } from '../../dtr-rules/address.ts';
import type { ZonesFile } from '../../idp-zone/config/parse.ts';
import type { Place } from '../../idp-zone/decision/place.ts';
import type {
  Arrival,
  Blocked,
  Outside,
  Unknown,
  Zone,
  ZoneVerdict,
} from '../../idp-zone/decision/zone.ts';
import type { Entry } from '../../idp-zone/decision/zone-table.ts';
import type { ConfigFile } from '../../runtime/config-file.ts';
import { paint } from '../output.ts';

export interface FeedState {
  readonly ranges: readonly AddressRange[] | null;
  readonly trouble: string | null;
}

export interface Checked {
  readonly arrival: Arrival;
  readonly forwarded: string | null; // as it was given
  readonly isTrusted: (address: Address) => boolean;
  readonly blocked: Blocked | null;
  readonly zones: readonly {
    readonly zone: Zone;
    readonly verdict: ZoneVerdict;
    readonly feed: FeedState | null;
  }[];
}

type File = ConfigFile<ZonesFile>;

export function toText(checked: Checked, file: File): string {
  const { arrival, blocked, zones } = checked;
  const names = arrival.hops.map(({ address }) => address.text);
  const forRules = zones.filter(({ zone }) => zone.usage === 'POLICY');
  const width = Math.max(6, ...forRules.map(({ zone }) => zone.name.length));
  const row = (name: string, text: string) => `  ${name.padEnd(width)}  ${text}`;
  return [
    names.join(' → '),
    row('client', clientText(checked)),
    ...(blocked === null ? [] : [row('', paint('red', blockedText(blocked, file)))]),
    ...forRules.map(({ zone, verdict, feed }) => {
      const state = verdict.state.padEnd(7);
      const colour = verdict.state === 'in' ? paint('green', state) : state;
      return row(zone.name, `${colour}  ${verdictText(verdict, { zone, feed, arrival, file })}`);
    }),
  ].join('\n');
}

export function toJson({ arrival, blocked, zones, ...rest }: Checked, file: File) {
  const entryOf = (zone: string, entry: Entry | null) =>
    entry === null ? null : { text: entry.range.text, line: lineOf(zone, entry, file) };
  return {
    chain: arrival.hops.map(({ address, place }) => ({ address: address.text, place })),
    client: arrival.client?.address.text ?? null,
    why: clientText({ arrival, blocked, zones, ...rest }),
    blocked: blocked && {
      zone: blocked.zone,
      address: blocked.address?.text ?? null,
      entry: entryOf(blocked.zone, blocked.entry),
    },
    zones: zones
      .filter(({ zone }) => zone.usage === 'POLICY')
      .map(({ zone: { name }, verdict, feed }) => ({
        name,
        state: verdict.state,
        why: verdict.state === 'in' ? null : verdict.why,
        address: verdict.state === 'unknown' ? null : verdict.address.text,
        entry: verdict.state === 'in' ? entryOf(name, verdict.entry) : null,
        feed: feed && {
          addresses: feed.ranges?.map(({ text }) => text) ?? null,
          trouble: feed.trouble,
        },
      })),
  };
}

function clientText({ arrival, forwarded, isTrusted }: Checked): string {
  const { hops, client } = arrival;
  const peer = hops.at(-1)?.address;
  if (client === null || peer === undefined) return 'nobody: the address cannot be read';
  const name = client.address.text;
  if (!isTrusted(peer)) {
    const ignored = forwarded === null ? '' : ', so what it forwards is not believed';
    return `${name}: it connects, and is not one of \`idp.trustedProxies\`${ignored}`;
  }
  const unread = unreadEntry(forwarded, hops.length - 1);
  const stopped = unread === null ? '' : `; \`${unread}\` is no address, so reading stopped there`;
  if (!isTrusted(client.address)) {
    return `${name}: the rightmost that is not one of \`idp.trustedProxies\`${stopped}`;
  }
  const told = hops.length > 1 ? 'every address is' : 'it tells of nobody, and is';
  return `${name}: ${told} one of \`idp.trustedProxies\`${stopped}`;
}

function unreadEntry(forwarded: string | null, read: number): string | null {
  const entries = forwarded?.split(',') ?? [];
  return entries.length > read ? (entries.at(-1 - read)?.trim() ?? null) : null;
}

function blockedText({ zone, address, entry }: Blocked, file: File): string {
  const by = entry === null ? '' : ` by ${placedEntry(zone, entry, file)}`;
  return `blocked everywhere: the blocklist \`${zone}\` holds ${address?.text ?? 'it'}${by}`;
}

interface Told {
  readonly zone: Zone;
  readonly feed: FeedState | null;
  readonly arrival: Arrival;
  readonly file: File;
}

function verdictText(verdict: ZoneVerdict, told: Told): string {
  switch (verdict.state) {
    case 'in': {
      const { address, entry } = verdict;
      if (entry === null) return `${address.text} is ${placeText(told.arrival)}`;
      return `${address.text} is a gateway: ${placedEntry(told.zone.name, entry, told.file)}`;
    }
    case 'unknown':
      return unknownText(verdict.why, told);
    case 'out':
      return outText(verdict, told);
  }
}

function unknownText(why: Unknown['why'], { feed, arrival }: Told): string {
  switch (why) {
    case 'feed':
      return `its feed is not read: ${feed?.trouble ?? 'no answer yet'}`;
    case 'place':
      return `the databases know too little: ${placeText(arrival)}`;
    case 'no_address':
      return 'there is no address';
  }
}

function outText({ why, address: { text } }: Outside, { arrival }: Told): string {
  switch (why) {
    case 'undeclared':
      return `${text} is neither a gateway nor a proxy of it`;
    case 'proxies_only':
      return `every address is one of its proxies, ${text} the last`;
    case 'too_many_hops':
      return `five proxies, ${text} the last: what is left of it is not looked at`;
    case 'elsewhere':
      return `${text} is ${placeText(arrival)}`;
  }
}

function placeText({ client }: Arrival): string {
  const { country, region, asn }: Place = client?.place ?? {
    country: null,
    region: null,
    asn: null,
  };
  const where = region ?? country;
  const network = asn === null ? [] : [`of AS${asn}`];
  const parts = [...(where === null ? [] : [`in ${where}`]), ...network];
  return parts.length === 0 ? 'nowhere they know' : parts.join(', ');
}

function placedEntry(zone: string, entry: Entry, file: File): string {
  const line = lineOf(zone, entry, file);
  return `${entry.range.text} (${line === null ? 'from its feed' : `${file.file}:${line}`})`;
}

/** Null for what a feed has said. */
function lineOf(zone: string, { range, item, row }: Entry, { value, place }: File): number | null {
  const index = value.zones.findIndex(({ name }) => name === zone);
  const source = value.zones[index];
  if (source?.kind !== 'addresses') return null;
  const isWritten = source.gateways.some((one) => one.range === range);
  if (!isWritten) return null;
  const path = ['zones', index, 'gateways', ...(item === null ? [] : [item])];
  return place(path).line + row;
}
