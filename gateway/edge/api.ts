// The gateway's part of the admin API: the egress feed that network zones are made from, and the live tunnels.

import { createHash } from 'node:crypto';
import type { Hono } from 'hono';
import type { Policy } from '../decision/policy.ts';
import { formatTarget } from '../decision/target.ts';
import type { LiveTunnel } from './tunnels.ts';

/** An open tunnel as the API shows it. */
export interface TunnelRow {
  readonly id: string;
  readonly device_id: string;
  readonly app: string | null;
  readonly target: string;
  readonly address: string;
  readonly egress_address: string;
  readonly opened_at: string;
}

export interface ApiParts {
  readonly policy: () => Pick<Policy, 'egress'>;
  /** Why nothing can leave from an egress address; null when it can. */
  readonly faultOf: (address: string) => string | null;
  /** Those of every process that serves devices. */
  readonly tunnels: () => Promise<readonly TunnelRow[]>;
}

export function mountApi(app: Hono, parts: ApiParts): void {
  // The feed: every address tunnelled traffic may leave from. BYPASS addresses are never in it; those that
  // cannot be used stay in it: a zone that lost and regained them would end sessions.
  app.get('/egress', (context) => {
    const items = [...parts.policy().egress.pools.values()].flatMap(({ name, addresses }) =>
      addresses.map(({ text }) => {
        const fault = parts.faultOf(text);
        return { address: text, pool: name, healthy: fault === null, fault };
      }),
    );
    const asText = context.req.header('accept')?.startsWith('text/plain') === true;
    const body = asText
      ? `${[...new Set(items.map(({ address }) => address))].join('\n')}\n`
      : JSON.stringify({ items, next_cursor: null });
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    if (context.req.header('if-none-match') === etag) {
      return new Response(null, { status: 304, headers: { etag } });
    }
    const type = asText ? 'text/plain; charset=utf-8' : 'application/json';
    return new Response(body, { headers: { 'content-type': type, etag, vary: 'accept' } });
  });

  app.get('/tunnels', async (context) => {
    return context.json({ items: await parts.tunnels(), next_cursor: null });
  });
}

export function toRow({ id, deviceId, openedAt, standing }: LiveTunnel): TunnelRow {
  return {
    id,
    device_id: deviceId,
    app: standing.heard.app,
    target: formatTarget(standing.target),
    address: standing.address.text,
    egress_address: standing.source.text,
    opened_at: new Date(openedAt).toISOString(),
  };
}
