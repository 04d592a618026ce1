// Owns what a process knows of its ways out, whatever the snapshot: how egress addresses and upstream proxies do.

import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Loaded } from './config/load.ts';
import { createEgressHealth, type EgressState } from './edge/egress-health.ts';
import { probeSource } from './edge/egress-probe.ts';
import { createFamilyMemory } from './edge/family-memory.ts';
import type { Telemetry } from './edge/telemetry.ts';
import type { Upstream } from './edge/upstream.ts';
import { createUpstreamRests, serverName, type UpstreamChange } from './edge/upstream-rests.ts';
import type { SnapshotWatch } from './snapshot.ts';

export interface WayOutOptions {
  readonly loaded: Loaded;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly telemetry: Telemetry;
  readonly onEgress: (states: readonly EgressState[]) => void;
}

export interface WayOut {
  readonly watch: SnapshotWatch;
  /** Egress addresses that could not be used lately. */
  unfit(): ReadonlySet<string>;
  /** Takes what a reload read. */
  use(loaded: Loaded): void;
  close(): void;
}

const checkMs = 1000;

export function createWayOut(options: WayOutOptions): WayOut {
  const { log, metrics, telemetry } = options;
  const now = (): number => performance.now();
  let { loaded } = options;
  const health = createEgressHealth({ probe: probeSource, now, onChange: options.onEgress });
  health.watch(addressesOf(loaded));
  const moves = metrics.counter(
    'zonegate_egress_moves_total',
    'Times that a neighbour stood in for an egress address from which nothing could leave.',
  );
  metrics.gaugeOf(
    'zonegate_egress_address_healthy',
    'Whether connections can leave from an egress address; 0: its pool neighbours stand in for it.',
    { labels: ['pool', 'address'], join: 'min' },
    () => poolRows(loaded, health.unfit()),
  );
  const failures = metrics.counterOf(
    'zonegate_upstream_failures_total',
    'Times a server of an upstream proxy was left alone for a while because it had failed.',
    ['upstream', 'server'],
  );
  const rests = createUpstreamRests({
    now,
    onChange(change) {
      const { upstream, server, restMs } = change;
      if (restMs !== null) failures({ upstream, server }).inc();
      logChange(change, log);
    },
  });
  metrics.gaugeOf(
    'zonegate_upstream_up',
    'Whether a server of an upstream proxy is used; 0: it failed, and others are asked first.',
    { labels: ['upstream', 'server'], join: 'min' },
    () =>
      serversOf(loaded).map(({ upstream, server }) => ({
        labels: { upstream: upstream.name, server: serverName(server) },
        value: rests.isResting(upstream.name, server) ? 0 : 1,
      })),
  );
  const check = () =>
    health.check().catch((error: unknown) => {
      log.error({ err: error }, 'the egress addresses could not be checked');
    });
  void check();
  const timer = setInterval(() => void check(), checkMs);
  timer.unref();
  return {
    watch: {
      lookups: telemetry,
      dials: { ...health, portBusy: () => telemetry.portBusy(), moved: () => moves.inc() },
      rests,
      families: createFamilyMemory(now),
    },
    unfit: () => health.unfit(),
    use(next) {
      loaded = next;
      health.watch(addressesOf(next));
    },
    close: () => clearInterval(timer),
  };
}

function poolsOf({ policy: { egress } }: Pick<Loaded, 'policy'>) {
  return [...egress.pools.values(), ...(egress.bypass === null ? [] : [egress.bypass])];
}

function addressesOf(loaded: Loaded) {
  return poolsOf(loaded).flatMap(({ addresses }) => addresses);
}

function poolRows(loaded: Loaded, unfit: ReadonlySet<string>) {
  return poolsOf(loaded).flatMap(({ name, addresses }) =>
    addresses.map(({ text }) => ({
      labels: { pool: name, address: text },
      value: unfit.has(text) ? 0 : 1,
    })),
  );
}

function serversOf({ upstreams }: Loaded) {
  return [...upstreams.values()].flatMap((upstream: Upstream) =>
    upstream.servers.map((server) => ({ upstream, server })),
  );
}

function logChange({ upstream, server, restMs }: UpstreamChange, log: Log): void {
  const fields = {
    'event.name': 'zonegate.upstream',
    'zonegate.upstream': upstream,
    'zonegate.upstream.server': server,
  };
  if (restMs === null) log.info(fields, 'an upstream proxy works again');
  else log.warn({ ...fields, 'zonegate.rest_ms': restMs }, 'an upstream proxy failed');
}
