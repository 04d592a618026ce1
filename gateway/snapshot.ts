// Owns the snapshot: everything a reload swaps at once, and the addresses no device may be led back to.

import { X509Certificate } from 'node:crypto';
import { getServers } from 'node:dns';
import os from 'node:os';
import type { TLSSocket } from 'node:tls';
import { type AddressRange, parseAddress, parseAddressRange } from '../dtr-rules/address.ts';
import { type DnsServer, type GatewayConfig, readDnsServer } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import { sourcesOf } from './config/posture-sources.ts';
import type { PeerFacts } from './decision/identity.ts';
import type { OwnEndpoint, Policy } from './decision/policy.ts';
import type { DialWatch } from './edge/dial.ts';
import { createFamilyMemory, type FamilyMemory } from './edge/family-memory.ts';
import type { OwnSettings } from './edge/own.ts';
import { createOwnFiles } from './edge/own-files.ts';
import { peerReader } from './edge/peer.ts';
import type { ReachOptions } from './edge/reach.ts';
import { createResolver, type LookupWatch, type Resolver } from './edge/resolve.ts';
import { createUpstreamRests, type UpstreamRests } from './edge/upstream-rests.ts';

export interface Snapshot {
  readonly config: GatewayConfig;
  readonly policy: Policy;
  readonly resolver: Resolver;
  readonly reach: ReachOptions;
  readonly readPeer: (socket: TLSSocket) => PeerFacts;
  /** What devices are served of the rules; null where the configuration has no `profiles`. */
  readonly own: OwnSettings | null;
}

/** What lives longer than a snapshot: it has to know what happened under the one before. */
export interface SnapshotWatch {
  readonly lookups: LookupWatch;
  readonly dials: DialWatch;
  readonly rests: UpstreamRests;
  readonly families: FamilyMemory;
}

export function snapshotOf(
  loaded: Loaded,
  own: readonly OwnEndpoint[],
  watch: SnapshotWatch | null = null,
): Snapshot {
  const { config } = loaded;
  const guard = {
    own: [...own, ...uemEndpoints(config), ...dnsEndpoints(config)],
    local: localRanges(),
  };
  return {
    config,
    policy: { ...loaded.policy, guard },
    resolver: createResolver({
      servers: config.dns.servers.length === 0 ? getServers() : config.dns.servers.map(printServer),
      zones: config.dns.zones.map(({ suffix, servers }) => ({
        suffix,
        servers: servers.map(printServer),
      })),
      hosts: new Map(Object.entries(config.dns.hosts)),
      timeoutMs: config.dns.timeout,
      minTtlMs: config.dns.minTtl,
      maxTtlMs: config.dns.maxTtl,
      negativeTtlMs: config.dns.negativeTtl,
      failureTtlMs: config.dns.failureTtl,
      serveStaleMs: config.dns.serveStale,
      maxInFlight: config.dns.maxInFlight,
      maxNames: config.dns.maxNames,
      resolutionDelayMs: 50,
      enough: usableFamilies(config.egress),
      // Setting the clock must not make answers live longer.
      now: () => performance.now(),
      watch: watch?.lookups ?? null,
    }),
    readPeer: peerReader({
      authorities: loaded.tls.authorities.map((pem) => new X509Certificate(pem)),
      maxPeers: 10_000,
      now: Date.now,
    }),
    own: ownOf(config),
    reach: {
      upstreams: loaded.upstreams,
      dialTimeoutMs: config.limits.dial,
      attemptDelayMs: 250,
      rests: watch?.rests ?? unwatched,
      families: watch?.families ?? createFamilyMemory(() => performance.now()),
      watch: watch?.dials ?? null,
    },
  };
}

function ownOf({ profiles }: GatewayConfig): OwnSettings | null {
  if (profiles === null) return null;
  const { gateway, failMode, pacSecret } = profiles;
  return { files: createOwnFiles(gateway, failMode), pacSecret };
}

// Without anybody to carry connections for nobody fails.
const unwatched = createUpstreamRests({ now: () => 0, onChange: () => undefined });

/** Every address of this machine: whatever its name, it is reached through itself. */
function localRanges(): readonly AddressRange[] {
  const texts = Object.values(os.networkInterfaces()).flatMap((all) =>
    (all ?? []).map(({ address }) => address.replace(/%.*$/, '')),
  );
  return ['127.0.0.0/8', '::1', ...texts].flatMap((text) => parseAddressRange(text) ?? []);
}

function uemEndpoints(config: GatewayConfig): readonly OwnEndpoint[] {
  return sourcesOf(config.posture).flatMap(({ source }) => {
    if (source.kind === 'inventory') return [];
    const { hostname, port, protocol } = new URL(source.url);
    const address = parseAddress(hostname.replace(/^\[|\]$/g, ''));
    // A UEM in the cloud is for devices too; one named by its address is this network's own.
    if (address === null && hostname !== 'localhost') return [];
    return [{ address, port: Number(port) || (protocol === 'https:' ? 443 : 80) }];
  });
}

function dnsEndpoints({ dns }: GatewayConfig): readonly OwnEndpoint[] {
  const system = dns.servers.length > 0 ? [] : getServers();
  return [
    ...dns.servers,
    ...system.flatMap((text) => readDnsServer(text) ?? []),
    ...dns.zones.flatMap(({ servers }) => servers),
  ];
}

/** As c-ares takes it. */
function printServer({ address: { family, text }, port }: DnsServer): string {
  return family === 4 ? `${text}:${port}` : `[${text}]:${port}`;
}

/** Families every tunnel can leave with: an answer of another alone would leave some of them without an address. */
function usableFamilies({ pools, bypass }: GatewayConfig['egress']): ReadonlySet<4 | 6> {
  const all = [...Object.values(pools), ...(bypass === null ? [] : [bypass])];
  const families = all.map((pool) => new Set(pool.map(({ family }) => family)));
  return new Set(([4, 6] as const).filter((family) => families.every((has) => has.has(family))));
}
