// A sender of security events as the tests need one: its keys, tokens of any shape, and its JWKS over HTTP.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CompactSign, type CryptoKey, exportJWK, generateKeyPair, type JWK } from 'jose';
import { request } from 'undici';

export const ISSUER = 'https://sender.example.test';
export const AUDIENCE = 'https://gateway.example.test/signals';

export interface SenderKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export async function makeKey(kid: string, alg = 'ES256'): Promise<SenderKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const publicJwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' };
  return { kid, alg, privateKey, publicJwk };
}

export const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
export const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/';

export type Claims = Readonly<Record<string, unknown>>;

let issued = 0;

/** A compliance change of one device; `change` replaces claims, and takes out those that are undefined. */
export function claimsOf(nowMs: number, change: Claims = {}): Claims {
  issued += 1;
  return {
    iss: ISSUER,
    aud: AUDIENCE,
    jti: `event-${issued}`,
    iat: Math.floor(nowMs / 1000),
    sub_id: { format: 'opaque', id: 'device-good' },
    events: complianceChange('not-compliant'),
    ...change,
  };
}

export function complianceChange(status: string): Claims {
  const payload = { previous_status: 'compliant', current_status: status };
  return { [`${CAEP}device-compliance-change`]: payload };
}

export const sessionRevoked: Claims = {
  [`${CAEP}session-revoked`]: { reason_admin: { en: 'Policy violation' } },
};

/** What `header` sets to undefined is left out. */
export async function sign(
  key: SenderKey,
  claims: Claims | string,
  header: Claims = {},
): Promise<string> {
  const payload = typeof claims === 'string' ? claims : JSON.stringify(claims);
  const { alg, ...rest } = { alg: key.alg, kid: key.kid, typ: 'secevent+jwt', ...header };
  const bytes = new TextEncoder().encode(payload);
  return await new CompactSign(bytes)
    .setProtectedHeader({ ...rest, alg: String(alg) })
    .sign(key.privateKey);
}

export interface KeyServer extends AsyncDisposable {
  readonly url: string;
  /** How often it was asked. */
  asked(): number;
  /** Null: it closes every connection. */
  serve(keys: readonly JWK[] | string | null): void;
}

export async function startKeyServer(keys: readonly JWK[]): Promise<KeyServer> {
  let current: readonly JWK[] | string | null = keys;
  let asked = 0;
  const server = createServer((_, response) => {
    asked += 1;
    if (current === null) return void response.destroy();
    const body = typeof current === 'string' ? current : JSON.stringify({ keys: current });
    response.writeHead(200, { 'content-type': 'application/jwk-set+json' }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
    asked: () => asked,
    serve(next) {
      current = next;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

export const TOKEN = 'token-of-the-sender';

/** Settings and files of a gateway that takes what `key` signs. */
export function signalWords(key: SenderKey, change: object = {}) {
  const signal = {
    name: 'sender',
    issuer: ISSUER,
    audience: [AUDIENCE],
    keys: { file: 'sender-keys.json' },
    token: TOKEN,
    ...change,
  };
  return {
    settings: { posture: { signals: [signal] } },
    files: { 'sender-keys.json': JSON.stringify({ keys: [key.publicJwk] }) },
  };
}

/** Pushes one token as RFC 8935 says. Resolves to the status. */
export async function push(adminPort: number, token: string): Promise<number> {
  const { statusCode, body } = await request(
    `http://127.0.0.1:${adminPort}/webhooks/signals/sender`,
    {
      method: 'POST',
      headers: { 'content-type': 'application/secevent+jwt', authorization: `Bearer ${TOKEN}` },
      body: token,
    },
  );
  await body.dump();
  return statusCode;
}
