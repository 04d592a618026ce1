// Posture from Workspace ONE UEM: one read-only look-up by UDID.

import type { PostureReport } from '../decision/posture.ts';
import { type Answer, createExchange, type Exchange } from './exchange.ts';
import type { PostureSource } from './source.ts';
import { parseJsonObject, refusedAnswer, saysNoSuchDevice } from './workspace-one-answer.ts';
import { readDevice } from './workspace-one-device.ts';
import { createTokenHolder, type OAuthClient } from './workspace-one-token.ts';

export interface BasicCredentials {
  readonly kind: 'basic';
  readonly username: string;
  readonly password: string;
}

export interface WorkspaceOneOptions {
  readonly name: string;
  // The API host, for example `https://as123.awmdm.com`.
  readonly url: string;
  readonly auth: OAuthClient | BasicCredentials;
  readonly tenantCode: string | null;
  readonly ca: string | null;
  readonly deadlineMs?: number;
  readonly maxAnswerBytes?: number;
  readonly now: () => number;
}

export interface WorkspaceOneSource extends PostureSource {
  close(): Promise<void>;
}

// Invariant: the only API paths this program can ask for, and only with GET. The same API wipes and deletes
// devices under neighbouring paths.
const PATHS = { device: '/api/mdm/devices' } as const;

const WHO = 'the UEM';

export function createWorkspaceOneSource(options: WorkspaceOneOptions): WorkspaceOneSource {
  const { deadlineMs = 5_000, maxAnswerBytes = 1_048_576, now } = options;
  const exchange = createExchange({ ca: options.ca, maxAnswerBytes });
  const authorize = createAuthorization(options.auth, exchange, { deadlineMs, now });
  const base = options.url.replace(/\/+$/, '');

  async function get(
    path: keyof typeof PATHS,
    query: string,
    signal: AbortSignal,
  ): Promise<Answer> {
    const url = `${base}${PATHS[path]}?${query}`;
    const ask = (authorization: string) => {
      // Version 1 is what plain `application/json` asks for; some edges answer 503 to `;version=1`.
      const headers: Record<string, string> = { accept: 'application/json', authorization };
      if (options.tenantCode !== null) headers['aw-tenant-code'] = options.tenantCode;
      return exchange.send({ method: 'GET', url, headers, body: null }, signal);
    };
    const first = await authorize(null);
    const answer = await ask(first);
    if (answer.status !== 401) return answer;
    const second = await authorize(first);
    return second === first ? answer : await ask(second);
  }

  return {
    name: options.name,
    async fetch(deviceId, signal): Promise<PostureReport | null> {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
      const query = `searchby=Udid&id=${encodeURIComponent(deviceId)}`;
      const answer = await get('device', query, deadline);
      if (saysNoSuchDevice(answer)) return null;
      if (answer.status !== 200) throw refusedAnswer(answer, WHO, now());
      const device = parseJsonObject(answer, WHO);
      return readDevice(device, { source: options.name, deviceId, fetchedAt: now() });
    },
    close: () => exchange.close(),
  };
}

// Gives the Authorization value to use, and a new one, if there can be one, for a value that was refused.
function createAuthorization(
  auth: OAuthClient | BasicCredentials,
  exchange: Exchange,
  options: { readonly deadlineMs: number; readonly now: () => number },
): (refused: string | null) => Promise<string> {
  if (auth.kind === 'basic') {
    const pair = Buffer.from(`${auth.username}:${auth.password}`, 'utf8').toString('base64');
    return () => Promise.resolve(`Basic ${pair}`);
  }
  const scheme = 'Bearer ';
  const tokens = createTokenHolder(auth, exchange, options);
  return async (refused) =>
    scheme + (await tokens.token(refused === null ? null : refused.slice(scheme.length)));
}
