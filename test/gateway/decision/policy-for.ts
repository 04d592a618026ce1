// Builds policies, devices and posture out of the plain words that tests and case files use.

import assert from 'node:assert/strict';
import {
  type Address,
  type AddressRange,
  parseAddress,
  parseAddressRange,
} from '../../../dtr-rules/address.ts';
import { compileRules } from '../../../dtr-rules/compile.ts';
import type { Identity, PeerFacts } from '../../../gateway/decision/identity.ts';
import type { EgressPolicy, OwnEndpoint, Policy } from '../../../gateway/decision/policy.ts';
import type { PostureReport } from '../../../gateway/decision/posture.ts';
import type { Membership, Requirements } from '../../../gateway/decision/posture-checks.ts';
import { ruleFile } from '../../dtr-rules/rule-file.ts';

export interface PolicyWords {
  /** As they stand in `dtr.yaml`. */
  readonly applications: object;
  readonly ruleSets: readonly object[];
  /** Addresses by pool; the default pool is `main`. */
  readonly pools: Readonly<Record<string, readonly string[]>>;
  /** The servers of each upstream proxy. */
  readonly upstreams: Readonly<Record<string, readonly string[]>>;
  /** Where BYPASS may leave; null refuses it. */
  readonly bypass: readonly string[] | null;
  /** `:8443` on every address of the machine, or `10.0.0.53:53`. */
  readonly own: readonly string[];
  readonly local: readonly string[];
}

export const NOW = Date.UTC(2026, 0, 31);
export const DEVICE = '00008110-000a1b2c3d4e5f60';

export const someWords: PolicyWords = {
  applications: {},
  ruleSets: [{ name: 'staff', defaultAction: 'TUNNEL' }],
  pools: { main: ['198.51.100.10', '2001:db8:0:e::10'] },
  upstreams: { 'partner-proxy': ['192.0.2.80:3128'] },
  bypass: null,
  own: [':8443'],
  local: ['127.0.0.0/8', '::1'],
};

export const healthyReport: PostureReport = {
  source: 'uem',
  id: '616',
  deviceId: DEVICE,
  serial: null,
  user: 'ann',
  platform: 'ios',
  groups: ['staff'],
  tags: [],
  ownership: null,
  osVersion: null,
  model: null,
  enrollment: 'enrolled',
  compliance: 'compliant',
  compromised: 'no',
  lastSeen: NOW,
  fetchedAt: NOW,
};

const anybody: Membership = { anyOf: [], allOf: [], noneOf: [] };

/** Enrolled, compliant and not compromised is enough. */
export const nothingElse: Requirements = {
  enrollment: new Set(['enrolled']),
  compromise: new Set(['no']),
  compliance: new Set(['compliant']),
  seenWithinMs: null,
  ownership: null,
  osVersion: new Map(),
  groups: anybody,
  tags: anybody,
};

export const peer: PeerFacts = {
  certificate: {
    fingerprint: 'leaf-print',
    serial: 'a1',
    issuer: 'root',
    subject: [{ type: 'CN', value: DEVICE }],
    altNames: [],
    notBefore: NOW - 3_600_000,
    notAfter: NOW + 3_600_000,
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'],
    subjectText: 'a device',
  },
  issuers: [],
  trust: 'trusted',
  resumed: false,
};

export const someIdentity: Identity = {
  deviceId: DEVICE,
  user: null,
  serial: null,
  app: null,
  fingerprint: 'leaf-print',
  certificateSerial: 'a1',
  subjectText: 'a device',
  notAfter: NOW + 3_600_000,
};

export function policyFor(words: Partial<PolicyWords> = {}): Policy {
  const { applications, ruleSets, own, local, upstreams, ...egress } = { ...someWords, ...words };
  return {
    version: 'a version',
    identity: {
      deviceId: { from: 'subject', type: 'CN', pattern: '*' },
      user: null,
      serial: null,
      app: null,
      anchors: new Set(),
      allowedFingerprints: null,
      blockedFingerprints: new Set(),
      revocation: { mode: 'off' },
    },
    posture: {
      maxReportAgeMs: 60_000,
      graceMs: 900_000,
      required: { ...nothingElse, seenWithinMs: 3_600_000 },
      reportOnly: new Set(),
      exceptions: new Map(),
    },
    rules: compileRules(ruleFile({ applications, ruleSets })),
    egress: egressOf(egress),
    upstreams: new Map(
      Object.entries(upstreams).map(([name, servers]) => [name, new Set(servers)]),
    ),
    guard: { own: own.map(endpointOf), local: local.map(rangeOf) },
  };
}

export function addressOf(text: string): Address {
  const address = parseAddress(text);
  assert.ok(address, text);
  return address;
}

export function rangeOf(text: string): AddressRange {
  const range = parseAddressRange(text);
  assert.ok(range, text);
  return range;
}

function egressOf({ pools, bypass }: Pick<PolicyWords, 'pools' | 'bypass'>): EgressPolicy {
  const all = Object.entries(pools).map(([name, texts]) => poolOf(name, texts));
  const defaultPool = all.find(({ name }) => name === 'main');
  assert.ok(defaultPool);
  return {
    pools: new Map(all.map((pool) => [pool.name, pool])),
    defaultPool,
    bypass: bypass && poolOf('bypass', bypass),
  };
}

function poolOf(name: string, texts: readonly string[]) {
  return { name, addresses: texts.map(addressOf) };
}

function endpointOf(text: string): OwnEndpoint {
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { address: host === '' ? null : addressOf(host), port: Number(text.slice(colon + 1)) };
}
