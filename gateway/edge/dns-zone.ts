// The servers of one zone asked about a name: both families at once, so many names at a time, one deadline over everything.

import type { Address } from '../../dtr-rules/address.ts';
import { askServers, type Family, type Reply } from './dns-question.ts';
import { createSlots } from './dns-slots.ts';

export interface ZoneOptions {
  /** As c-ares takes them: `address`, `address:port`, `[address]:port`; at least one. */
  readonly servers: readonly string[];
  /** Names asked about at once; others wait their turn. */
  readonly maxInFlight: number;
  /** RFC 8305 section 3: Resolution Delay. */
  readonly resolutionDelayMs: number;
  /** Families with which any tunnel can leave: one of them is enough for an answer. */
  readonly enough: ReadonlySet<Family>;
}

export type Found =
  | {
      readonly kind: 'addresses';
      readonly addresses: readonly Address[];
      readonly ttlMs: number;
    }
  | NotFound;

/** `nothing`: the servers say that there is no such name, or that it has no addresses; `unasked`: its turn did not come in time,
 *  the servers know nothing of it. */
export interface NotFound {
  readonly kind: 'nothing' | 'failed' | 'late' | 'unasked';
  readonly cause: unknown;
}

export interface Asked {
  readonly found: Found;
  /** What is found in the end, when one family was not waited for. */
  readonly rest: Promise<Found> | null;
}

export interface Zone {
  /** Never rejects, and takes no longer than `timeoutMs`. */
  ask(host: string, timeoutMs: number): Promise<Asked>;
  close(): void;
}

type Replies = ReadonlyMap<Family, Reply>;

/** What aborts a question, and so tells a deadline from `close`. */
const late = new Error('the deadline has passed');

export function createZone(options: ZoneOptions): Zone {
  const slots = createSlots(options.maxInFlight);
  const closing = new AbortController();
  let servers = options.servers;

  async function askFamily(host: string, family: Family, retryMs: number, signal: AbortSignal) {
    const { reply, server } = await askServers({ host, family, servers, retryMs, signal });
    // Who answered is asked first next time: a dead server delays few names, not every one.
    if (server !== null && server !== servers[0]) {
      servers = [server, ...servers.filter((other) => other !== server)];
    }
    return reply;
  }

  return {
    async ask(host, timeoutMs) {
      const stop = new AbortController();
      const deadline = setTimeout(() => stop.abort(late), timeoutMs);
      const onClose = (): void => stop.abort(closing.signal.reason);
      closing.signal.addEventListener('abort', onClose, { once: true });
      if (closing.signal.aborted) onClose();
      const forget = (): void => {
        clearTimeout(deadline);
        closing.signal.removeEventListener('abort', onClose);
      };
      if (!(await slots.enter(stop.signal))) {
        forget();
        return { found: { kind: 'unasked', cause: stop.signal.reason }, rest: null };
      }
      const retryMs = retryAfter(timeoutMs, servers.length);
      const asking = askBoth(options, (family) => askFamily(host, family, retryMs, stop.signal));
      void asking.whole.then(() => {
        forget();
        slots.leave();
      });
      return await asking.early;
    },
    close: () => closing.abort(new Error('the resolver is closed')),
  };
}

interface Asking {
  readonly early: Promise<Asked>;
  readonly whole: Promise<Found>;
}

type AskFamily = (family: Family) => Promise<Reply>;

function askBoth({ enough, resolutionDelayMs }: ZoneOptions, ask: AskFamily): Asking {
  const early = Promise.withResolvers<Asked>();
  const whole = Promise.withResolvers<Found>();
  const replies = new Map<Family, Reply>();
  let delay: NodeJS.Timeout | undefined;
  // NXDOMAIN is about both families, but some say it of one only (RFC 4074 section 4.2): the other has its moment.
  const isEnough = (family: Family, { kind }: Reply): boolean =>
    kind === 'missing' || (kind === 'addresses' && enough.has(family));
  const take = (family: Family, reply: Reply): void => {
    replies.set(family, reply);
    if (replies.size === 2) {
      clearTimeout(delay);
      const found = foundIn(replies);
      early.resolve({ found, rest: null });
      whole.resolve(found);
    } else if (isEnough(family, reply)) {
      const goOn = (): void => early.resolve({ found: foundIn(replies), rest: whole.promise });
      delay = setTimeout(goOn, resolutionDelayMs);
    }
  };
  for (const family of [6, 4] as const) {
    ask(family).then(
      (reply) => take(family, reply),
      (cause: unknown) => take(family, { kind: 'failed', cause }),
    );
  }
  return { early: early.promise, whole: whole.promise };
}

/** Within the deadline every server has its turn, and a single one hears of a lost question several times. */
function retryAfter(timeoutMs: number, servers: number): number {
  return Math.ceil(timeoutMs / (Math.max(servers, 4) + 1));
}

/** IPv6 first, as RFC 6724 has it. */
function foundIn(replies: Replies): Found {
  const all = [replies.get(6), replies.get(4)].filter((reply) => reply !== undefined);
  const good = all.filter((reply) => reply.kind === 'addresses');
  if (good.length > 0) {
    const addresses = good.flatMap((reply) => reply.addresses);
    return { kind: 'addresses', addresses, ttlMs: Math.min(...good.map((r) => r.ttlMs)) };
  }
  const missing = all.find((reply) => reply.kind === 'missing');
  if (missing !== undefined) return { kind: 'nothing', cause: missing.cause };
  const aborted = all.find((reply) => reply.kind === 'aborted');
  if (aborted !== undefined) {
    return { kind: aborted.cause === late ? 'late' : 'failed', cause: aborted.cause };
  }
  const failed = all.find((reply) => reply.kind === 'failed');
  if (failed !== undefined) return { kind: 'failed', cause: failed.cause };
  return { kind: 'nothing', cause: all.find((reply) => reply.kind === 'empty')?.cause ?? null };
}
