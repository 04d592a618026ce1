// The zones in force: what the file says, joined with what the feeds last said, compiled whenever either changes.
import type { AddressRange } from '../../dtr-rules/address.ts';
import type { Locate } from '../decision/place.ts';
import { type CompiledZones, compileZones, type Zone, type ZoneSource } from '../decision/zone.ts';
import type { FeedReader } from './feed.ts';

export interface ZonesInForce {
  readonly compiled: CompiledZones;
  readonly locate: Locate | null;
}

export interface LiveZones {
  current(): ZonesInForce;
  update(sources: readonly ZoneSource[], locate: Locate | null): void;
  close(): void;
}

type FedZone = Extract<ZoneSource, { kind: 'addresses' }>;
export type OpenFeed = (source: FedZone, onChange: () => void) => FeedReader | null;

export function createLiveZones(openFeed: OpenFeed): LiveZones {
  let sources: readonly ZoneSource[] = [];
  let readers = new Map<string, FeedReader>();
  let current: ZonesInForce = { compiled: compileZones([]), locate: null };
  const compile = (locate: Locate | null) => {
    const zones = sources.map((source) => joined(source, readers.get(keyOf(source))?.ranges()));
    current = { compiled: compileZones(zones), locate };
  };
  return {
    current: () => current,
    update(next, locate) {
      // A feed that stays keeps its addresses: a reload must not empty a zone even for a moment.
      const before = readers;
      readers = new Map();
      sources = next;
      for (const source of next) {
        if (source.kind !== 'addresses') continue;
        const key = keyOf(source);
        const reader = before.get(key) ?? openFeed(source, () => compile(current.locate));
        if (reader !== null) readers.set(key, reader);
      }
      for (const [key, reader] of before) if (!readers.has(key)) reader.close();
      compile(locate);
    },
    close() {
      for (const reader of readers.values()) reader.close();
    },
  };
}

/** The zone with what its feed said: null is a feed that has said nothing yet. */
export function joined(source: ZoneSource, fed: readonly AddressRange[] | null = null): Zone {
  if (source.kind === 'places') return source;
  const { feed, gateways, ...rest } = source;
  const entries = (fed ?? []).map((range) => ({ range, item: null, row: 0 }));
  return { ...rest, gateways: [...gateways, ...entries], pending: feed !== null && fed === null };
}

function keyOf(source: ZoneSource): string {
  return JSON.stringify([source.name, source.kind === 'addresses' ? source.feed : null]);
}
