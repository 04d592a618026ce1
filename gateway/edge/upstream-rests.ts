// Owns which servers of upstream proxies have failed lately: they rest, ever longer, and are asked last meanwhile.

import type { UpstreamServer } from './upstream.ts';

export interface UpstreamRests {
  /** As they are wanted, those that rest last. */
  order(upstream: string, servers: readonly UpstreamServer[]): readonly UpstreamServer[];
  failed(upstream: string, server: UpstreamServer): void;
  worked(upstream: string, server: UpstreamServer): void;
  isResting(upstream: string, server: UpstreamServer): boolean;
}

export interface UpstreamChange {
  readonly upstream: string;
  /** `host:port`. */
  readonly server: string;
  /** Null: it works again. */
  readonly restMs: number | null;
}

export interface UpstreamRestsOptions {
  readonly now: () => number;
  readonly onChange: (change: UpstreamChange) => void;
}

const firstRestMs = 1000;
const longestRestMs = 60_000;

export function createUpstreamRests({ now, onChange }: UpstreamRestsOptions): UpstreamRests {
  /** Only of servers that failed and have not worked since. */
  const failing = new Map<string, { until: number; failures: number }>();
  const keyOf = (upstream: string, server: UpstreamServer): string =>
    `${upstream} ${serverName(server)}`;
  const isResting = (upstream: string, server: UpstreamServer): boolean =>
    (failing.get(keyOf(upstream, server))?.until ?? 0) > now();

  return {
    isResting,
    order(upstream, servers) {
      if (failing.size === 0) return servers;
      const resting = servers.filter((server) => isResting(upstream, server));
      return [...servers.filter((server) => !resting.includes(server)), ...resting];
    },
    failed(upstream, server) {
      // Those that were under way when it broke, and those that had no other, count as the same failure.
      if (isResting(upstream, server)) return;
      const failures = failing.get(keyOf(upstream, server))?.failures ?? 0;
      const restMs = Math.min(longestRestMs, firstRestMs * 2 ** failures);
      failing.set(keyOf(upstream, server), { until: now() + restMs, failures: failures + 1 });
      onChange({ upstream, server: serverName(server), restMs });
    },
    worked(upstream, server) {
      if (failing.size === 0 || !failing.delete(keyOf(upstream, server))) return;
      onChange({ upstream, server: serverName(server), restMs: null });
    },
  };
}

export function serverName({ host, port }: Pick<UpstreamServer, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
