// An OAuth access token by client credentials: fetched once for everybody, renewed before it ends or when refused.

import type { Answer, Exchange } from './exchange.ts';
import { SourceError } from './source.ts';
import { parseJsonObject, refusedAnswer } from './uem-answer.ts';

export interface OAuthClient {
  readonly kind: 'oauth';
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  // What to ask for, where the authorization server wants that said.
  readonly scope?: string;
}

export interface TokenHolder {
  // A token to use now; `refused` is one that the API answered 401 to.
  token(refused: string | null): Promise<string>;
}

interface Token {
  readonly text: string;
  readonly renewAt: number;
  readonly endsAt: number;
}

// Renewed this long before the end, or at nine tenths of a short life, while the old one still serves.
const EARLY_MS = 300_000;
// Not used for this long before its end: it has to arrive there while it counts.
const SPARE_MS = 10_000;

export function createTokenHolder(
  client: OAuthClient,
  exchange: Exchange,
  options: { readonly deadlineMs: number; readonly now: () => number },
): TokenHolder {
  let held: Token | null = null;
  let flight: Promise<Token> | null = null;

  async function renew(): Promise<Token> {
    try {
      // Its own deadline: the token is everybody's, and must not end with the look-up that asked first.
      const answer = await exchange.send(
        tokenRequest(client),
        AbortSignal.timeout(options.deadlineMs),
      );
      held = parseToken(answer, options.now());
      return held;
    } finally {
      flight = null;
    }
  }

  return {
    async token(refused) {
      const now = options.now();
      const mayServe = held !== null && held.text !== refused && now < held.endsAt;
      if (held !== null && mayServe && now < held.renewAt) return held.text;
      flight ??= renew();
      if (held === null || !mayServe) return (await flight).text;
      // Nobody waits for the new one, and its failure is nobody's while the old one serves: it is tried again.
      flight.catch(() => undefined);
      return held.text;
    },
  };
}

function tokenRequest(client: OAuthClient) {
  return {
    method: 'POST',
    url: client.tokenUrl,
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: client.clientId,
      client_secret: client.clientSecret,
      ...(client.scope !== undefined && { scope: client.scope }),
    }).toString(),
  } as const;
}

function parseToken(answer: Answer, now: number): Token {
  if (answer.status !== 200) throw refusedAnswer(answer, 'the token endpoint', now);
  const fields = parseJsonObject(answer, 'the token endpoint');
  const text = fields.get('access_token');
  // RFC 6750, 2.1: anything else could not stand in a header.
  if (typeof text !== 'string' || !/^[\w.~+/=-]+$/.test(text)) {
    throw new SourceError('outage', 'the token endpoint gave no usable `access_token`');
  }
  // Some deployments write the number as text.
  const lifeMs = Number(fields.get('expires_in')) * 1000;
  if (!(lifeMs > 0))
    throw new SourceError('outage', 'the token endpoint gave no usable `expires_in`');
  const part = lifeMs / 10;
  return {
    text,
    renewAt: now + lifeMs - Math.min(EARLY_MS, part),
    endsAt: now + lifeMs - Math.min(SPARE_MS, part / 2),
  };
}
