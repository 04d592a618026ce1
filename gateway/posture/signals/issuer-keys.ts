// The keys a sender of signals signs with: from a file, or fetched from its JWKS address and kept.

import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import type { Exchange } from '../exchange.ts';
import { fieldsOf } from '../uem-answer.ts';

export type FindKey = ReturnType<typeof createLocalJWKSet>;

export interface IssuerKeys {
  /** What to look a key up in; null while there is none to be had. */
  current(): Promise<FindKey | null>;
  /** The same after a look at whether there are newer keys: for a token whose key is not among them. */
  newer(): Promise<FindKey | null>;
}

export interface FetchedKeysOptions {
  readonly url: string;
  readonly exchange: Exchange;
  readonly deadlineMs: number;
  readonly now: () => number;
  readonly onTrouble: (why: string) => void;
}

const MAX_KEYS = 100;
const FRESH_MS = 600_000;
/** Unknown key ids are for everybody to make up: they cause a question this often, and no more. */
const PAUSE_MS = 30_000;
/** Keys go on being used while their address is silent, but not for ever: they may have been withdrawn. */
const KEPT_MS = 86_400_000;

/** The keys of a JWK set, or the sentence saying what is wrong with it. Members that are no public key are left out. */
export function parseKeySet(text: string): JSONWebKeySet | string {
  const keys = fieldsOf(parseJson(text))?.get('keys');
  if (!Array.isArray(keys)) return 'expected a JWK set: an object with `keys`';
  if (keys.length > MAX_KEYS) return `expected at most ${MAX_KEYS} keys`;
  // A shared secret would let everybody who may read the set sign (threats I04).
  const isPublic = (key: unknown) =>
    ['RSA', 'EC', 'OKP'].includes(String(fieldsOf(key)?.get('kty')));
  const usable = keys.filter(isPublic);
  return usable.length === 0 ? 'there is no public key in it' : { keys: usable };
}

export function fixedKeys(set: JSONWebKeySet): IssuerKeys {
  const find = createLocalJWKSet(set);
  return { current: () => Promise.resolve(find), newer: () => Promise.resolve(find) };
}

export function createFetchedKeys(options: FetchedKeysOptions): IssuerKeys {
  const { now } = options;
  let held: { readonly find: FindKey; readonly since: number } | null = null;
  let askedAt: number | null = null;
  let flight: Promise<void> | null = null;

  async function fetchKeys(): Promise<void> {
    askedAt = now();
    try {
      const headers = { accept: 'application/jwk-set+json, application/json' };
      const request = { method: 'GET', url: options.url, headers, body: null } as const;
      const answer = await options.exchange.send(request, AbortSignal.timeout(options.deadlineMs));
      const set = answer.status === 200 ? parseKeySet(answer.text) : `status ${answer.status}`;
      if (typeof set === 'string') options.onTrouble(set);
      else held = { find: createLocalJWKSet(set), since: now() };
    } catch (error) {
      options.onTrouble(error instanceof Error ? error.message : 'unreadable');
    } finally {
      flight = null;
    }
  }

  /** One question for all who wait. */
  function ask(): Promise<void> {
    flight ??= fetchKeys();
    return flight;
  }
  const isYounger = (since: number | null, ms: number): boolean =>
    since !== null && Math.abs(now() - since) < ms;
  const isDue = () => flight !== null || !isYounger(askedAt, PAUSE_MS);
  const usable = (): FindKey | null =>
    held !== null && isYounger(held.since, KEPT_MS) ? held.find : null;

  return {
    async current() {
      if (held !== null && isYounger(held.since, FRESH_MS)) return held.find;
      const asking = isDue() ? ask() : null;
      // Whoever has keys does not wait for the same ones again.
      if (usable() === null) await asking;
      return usable();
    },
    async newer() {
      if (isDue()) await ask();
      return usable();
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
