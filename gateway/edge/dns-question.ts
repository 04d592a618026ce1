// One question (a name, a family) put to the servers of one zone: retransmitted, passed on when a server fails, given up on abort.

import { Resolver as Ares } from 'node:dns/promises';
import { type Address, parseAddress } from '../../dtr-rules/address.ts';
import { systemCode } from '../errors.ts';

export type Family = 4 | 6;

export type Reply =
  | { readonly kind: 'addresses'; readonly addresses: readonly Address[]; readonly ttlMs: number }
  /** The name is there without addresses of this family. */
  | { readonly kind: 'empty'; readonly cause: unknown }
  /** NXDOMAIN: the name is not there, for any family (RFC 8020). */
  | { readonly kind: 'missing'; readonly cause: unknown }
  /** Every server answered with an error (SERVFAIL, REFUSED), or cannot be reached. */
  | { readonly kind: 'failed'; readonly cause: unknown }
  | { readonly kind: 'aborted'; readonly cause: unknown };

export interface Question {
  readonly host: string;
  readonly family: Family;
  /** At least one; asked in this order, then from the beginning. */
  readonly servers: readonly string[];
  /** After so long without an answer the next server is asked as well. */
  readonly retryMs: number;
  readonly signal: AbortSignal;
}

export interface Answered {
  readonly reply: Reply;
  /** Who gave it; null when nobody did. */
  readonly server: string | null;
}

/** A day: nothing here waits for c-ares to give up. */
const neverMs = 86_400_000;

/** Each try has a socket until the question is settled; a server that lost three is not just unlucky. */
const leastTries = 3;

/** What fits into a plain UDP answer (RFC 1035). Over TCP an answer may hold thousands, and each would be kept and judged. */
const maxAddresses = 32;

export function askServers(question: Question): Promise<Answered> {
  const { signal } = question;
  const { promise, resolve } = Promise.withResolvers<Answered>();
  const queue = [...question.servers];
  const running: Exchange[] = [];
  let retry: NodeJS.Timeout | undefined;
  let retries = Math.max(question.servers.length, leastTries) - 1;

  function askNext(): void {
    clearTimeout(retry);
    const server = queue.shift();
    if (server === undefined || signal.aborted) return;
    queue.push(server);
    const exchange = askOne(server, question);
    running.push(exchange);
    exchange.reply.then((reply) => take(reply, server), end);
    if (retries-- > 0) retry = setTimeout(askNext, question.retryMs);
  }

  function take(reply: Reply, server: string): void {
    if (reply.kind !== 'failed') {
      end({ reply, server });
      return;
    }
    const at = queue.indexOf(server);
    if (at < 0) return; // it failed before: this was a second question to it
    queue.splice(at, 1);
    if (queue.length === 0) end({ reply, server: null });
    else askNext();
  }

  // The first one counts; those still being asked are let go, and their answers are not read.
  function end(answered: Answered): void {
    resolve(answered);
    clearTimeout(retry);
    signal.removeEventListener('abort', onAbort);
    queue.length = 0;
    for (const exchange of running.splice(0)) exchange.cancel();
  }

  function onAbort(): void {
    end({ reply: { kind: 'aborted', cause: signal.reason }, server: null });
  }

  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  else askNext();
  return promise;
}

interface Exchange {
  readonly reply: Promise<Reply>;
  cancel(): void;
}

/** A c-ares channel for each question, 45 µs: one that is shared asks from one port, which leaves a forger 16 bits to
 *  guess (RFC 5452), after fast answers gives up a slow one after 1 s whatever its time-out says (c-ares 1.34.8), and
 *  cannot be told to forget one question. */
function askOne(server: string, { host, family }: Question): Exchange {
  // Without `maxTimeout` c-ares gives up after 5 s whatever `timeout` says.
  const ares = new Ares({ timeout: neverMs, maxTimeout: neverMs, tries: 1 });
  ares.setServers([server]);
  const asked =
    family === 4 ? ares.resolve4(host, { ttl: true }) : ares.resolve6(host, { ttl: true });
  return { reply: asked.then(readRecords, readError), cancel: () => ares.cancel() };
}

function readRecords(
  records: readonly { readonly address: string; readonly ttl: number }[],
): Reply {
  const kept = records.slice(0, maxAddresses);
  const addresses = kept.flatMap(({ address }) => parseAddress(address) ?? []);
  if (addresses.length === 0) return { kind: 'empty', cause: null };
  return { kind: 'addresses', addresses, ttlMs: Math.min(...kept.map(({ ttl }) => ttl)) * 1000 };
}

function readError(cause: unknown): Reply {
  switch (systemCode(cause)) {
    case 'ENOTFOUND':
      return { kind: 'missing', cause };
    case 'ENODATA':
      return { kind: 'empty', cause };
    default:
      return { kind: 'failed', cause };
  }
}
