// The zones in force: what the file says, joined with what the feeds last said, compiled whenever either changes.
import { type CompiledZone, compileZone, type Zone, type ZoneSource } from '../decision/zone.ts';
import type { FeedReader } from './feed.ts';

export interface LiveZones {
  current(): readonly CompiledZone[];
  update(sources: readonly ZoneSource[]): void;
  close(): void;
}

export type OpenFeed = (source: ZoneSource, onChange: () => void) => FeedReader | null;

export function createLiveZones(openFeed: OpenFeed): LiveZones {
  let sources: readonly ZoneSource[] = [];
  let readers = new Map<string, FeedReader>();
  let compiled: readonly CompiledZone[] = [];
  const compile = () => {
    compiled = sources.map((source) => compileZone(joined(source, readers.get(keyOf(source)))));
  };
  return {
    current: () => compiled,
    update(next) {
      // A feed that stays keeps its addresses: a reload must not empty a zone even for a moment.
      const before = readers;
      readers = new Map();
      sources = next;
      for (const source of next) {
        const reader = before.get(keyOf(source)) ?? openFeed(source, compile);
        if (reader !== null) readers.set(keyOf(source), reader);
      }
      for (const [key, reader] of before) if (!readers.has(key)) reader.close();
      compile();
    },
    close() {
      for (const reader of readers.values()) reader.close();
    },
  };
}

function joined(source: ZoneSource, reader: FeedReader | undefined): Zone {
  const { name, gateways, proxies } = source;
  const read = reader?.ranges();
  return { name, proxies, gateways: [...gateways, ...(read ?? [])], pending: read === null };
}

function keyOf({ name, feed }: ZoneSource): string {
  return JSON.stringify([name, feed]);
}
