// Reads a gateway's egress feed: the addresses its tunnels leave from, kept until a better answer comes.
import { request } from 'undici';
import { z } from 'zod';
import { type AddressRange, parseAddressRange } from '../../dtr-rules/address.ts';
import type { Log } from '../../runtime/log.ts';
import type { Counter } from '../../runtime/metrics.ts';
import type { Readiness } from '../../runtime/readiness.ts';
import type { Feed } from '../decision/zone.ts';

const DEADLINE_MS = 5_000;
const FIRST_READ_RETRY_MS = 1_000; // until then the zone holds nobody, so it is worth asking often
const MAX_BYTES = 1024 * 1024;

// Members we do not know are fine: the feed grows by adding. A second page is not: half a zone is a wrong zone.
const answer = z.object({
  items: z.array(z.object({ address: z.string() })).min(1),
  next_cursor: z.null().optional(),
});

export interface FeedReaderOptions {
  readonly zone: string;
  readonly feed: Feed;
  readonly onChange: () => void;
  readonly failures: Counter;
  readonly readiness: Readiness;
  readonly log: Log;
  readonly deadlineMs?: number;
}

export interface FeedReader {
  ranges(): readonly AddressRange[] | null; // null until the first good answer
  refresh(): Promise<void>;
  close(): void;
}

interface Good {
  readonly ranges: readonly AddressRange[];
  readonly etag: string | null;
}

export function createFeedReader(options: FeedReaderOptions): FeedReader {
  const { zone, feed, log, readiness } = options;
  const check = `zone ${zone}`;
  const stop = new AbortController();
  let good: Good | null = null;
  let failing = false;
  let timer: NodeJS.Timeout | undefined;

  async function refresh(): Promise<void> {
    clearTimeout(timer);
    try {
      const deadline = AbortSignal.timeout(options.deadlineMs ?? DEADLINE_MS);
      const read = await fetchFeed(feed, good, AbortSignal.any([stop.signal, deadline]));
      if (!stop.signal.aborted) adopt(read);
    } catch (error) {
      if (!stop.signal.aborted) fail(error);
    }
    if (stop.signal.aborted) return;
    const waitMs = good === null ? Math.min(FIRST_READ_RETRY_MS, feed.refreshMs) : feed.refreshMs;
    timer = setTimeout(() => void refresh(), waitMs).unref();
  }

  function adopt(read: Good): void {
    const changed = textOf(good) !== textOf(read);
    if (failing || good === null) log.info({ zone }, 'egress feed read');
    failing = false;
    good = read;
    readiness.set(check, 'ok');
    if (changed) options.onChange();
  }

  // Invariant: a failure never takes addresses away; it is loud instead.
  function fail(error: unknown): void {
    options.failures.inc();
    const kept = good === null ? 'the zone holds nobody' : 'the last addresses stay in force';
    if (!failing) log.error({ err: error, zone }, `egress feed not read, ${kept}`);
    failing = true;
    readiness.set(check, `its egress feed cannot be read; ${kept}`);
  }

  readiness.set(check, 'its egress feed has not been read yet');
  return {
    ranges: () => good?.ranges ?? null,
    refresh,
    close() {
      stop.abort();
      clearTimeout(timer);
      readiness.set(check, 'ok'); // whoever is gone is not waited for
    },
  };
}

/** One answer of the feed, for asking by hand. */
export async function readFeedOnce(feed: Feed): Promise<readonly AddressRange[]> {
  const { ranges } = await fetchFeed(feed, null, AbortSignal.timeout(DEADLINE_MS));
  return ranges;
}

async function fetchFeed(feed: Feed, last: Good | null, signal: AbortSignal): Promise<Good> {
  const response = await request(feed.url, {
    headers: {
      accept: 'application/json',
      ...(feed.token !== null && { authorization: `Bearer ${feed.token}` }),
      ...(last?.etag && { 'if-none-match': last.etag }),
    },
    signal,
  });
  const text = await readText(response.body);
  if (response.statusCode === 304 && last !== null) return last;
  if (response.statusCode !== 200) throw new Error(`the feed answered ${response.statusCode}`);
  const ranges = parseFeed(text);
  const { etag } = response.headers;
  return { ranges, etag: typeof etag === 'string' ? etag : null };
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error(`the feed is larger than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

// One unreadable address spoils the whole answer: nobody knows what else is wrong with it.
function parseFeed(text: string): readonly AddressRange[] {
  const parsed = answer.safeParse(JSON.parse(text));
  if (!parsed.success) throw new Error('the feed is not a whole list of at least one address');
  return parsed.data.items.map(({ address }) => {
    const range = parseAddressRange(address);
    if (range === null) throw new Error(`\`${address}\` in the feed is not an address`);
    return range;
  });
}

function textOf(good: Good | null): string | undefined {
  return good?.ranges.map((range) => range.text).join();
}
