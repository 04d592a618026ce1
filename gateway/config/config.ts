// The gateway's part of zonegate.yaml: every key, what it may hold, and every default in one place.

import { z } from 'zod';
import { type Address, parseAddress } from '../../dtr-rules/address.ts';
import { canonicalHostname } from '../../dtr-rules/hostname.ts';
import {
  durationMs,
  httpUrl,
  listenAddress,
  name,
  optional,
  secretText,
  section,
} from '../../runtime/schema.ts';

const file = z.string().min(1).meta({ description: 'a path, relative to the configuration file' });

function readAs<T>(expected: string, read: (text: string) => T | null) {
  return z.string().transform((text, context) => {
    const value = read(text);
    if (value !== null) return value;
    context.addIssue({ code: 'custom', message: `expected ${expected}`, input: text });
    return z.NEVER;
  });
}

const address = readAs<Address>('an IPv4 or IPv6 address', parseAddress);
const hostname = readAs<string>('a host name', canonicalHostname);
const fingerprint = readAs('a SHA-256 fingerprint of 64 hex digits', (text) => {
  const plain = text.replaceAll(':', '').toLowerCase();
  return /^[0-9a-f]{64}$/.test(plain) ? plain : null;
});
const count = z.int().min(1).max(1_000_000);

/** Which certificate field holds a value: `{ subject: UID }`, `{ altName: uri, pattern: "urn:udid:*" }`. */
const field = z.union([
  section({
    subject: z.string().min(1),
    pattern: z
      .string()
      .regex(/^[^*]*\*$/, 'expected text that ends in one `*`')
      .default('*'),
  }).transform(({ subject, pattern }) => ({ from: 'subject' as const, type: subject, pattern })),
  section({
    altName: z.enum(['dns', 'uri', 'email', 'ip', 'upn']),
    pattern: z
      .string()
      .regex(/^[^*]*\*$/, 'expected text that ends in one `*`')
      .default('*'),
  }).transform(({ altName, pattern }) => ({ from: 'altName' as const, type: altName, pattern })),
]);

const workspaceOne = section({
  kind: z.literal('workspace-one'),
  name: name().default('uem'),
  url: httpUrl(),
  auth: z.discriminatedUnion('kind', [
    section({
      kind: z.literal('oauth'),
      tokenUrl: httpUrl(),
      clientId: z.string().min(1),
      clientSecret: secretText(),
    }),
    section({ kind: z.literal('basic'), username: z.string().min(1), password: secretText() }),
  ]),
  tenantCode: optional(z.string().min(1)),
  authority: optional(file),
});

const inventory = section({ kind: z.literal('inventory'), file });

/** Durations, counts and bytes of `threats.md` section 5; all settable. */
export const gatewayShape = {
  name: name().default('gw').meta({ description: 'this gateway in Via and Proxy-Status' }),
  help: optional(httpUrl()).meta({ description: 'where a refused person finds help' }),
  listeners: section({ device: listenAddress().prefault(':8443') }).prefault({}),
  tls: section({ certificate: file, key: file }),
  identity: section({
    authorities: z.array(file).min(1),
    revocation: z.union([z.literal('off'), z.array(file).min(1)]),
    deviceId: field,
    user: optional(field),
    serial: optional(field),
    app: optional(field),
    allowedFingerprints: optional(z.array(fingerprint)),
    blockedFingerprints: z.array(fingerprint).default([]),
  }),
  posture: section({
    source: z.discriminatedUnion('kind', [workspaceOne, inventory]),
    webhook: optional(section({ username: z.string().min(1), password: secretText() })),
    maxReportAge: durationMs({ minMs: 1000 }).prefault('60s'),
    recheck: durationMs({ minMs: 100 }).prefault('60s'),
    grace: durationMs().prefault('15m'),
    maxSeenAge: optional(durationMs({ minMs: 60_000 })),
    timeout: durationMs({ minMs: 100, maxMs: 60_000 }).prefault('5s'),
    accept: z.array(z.enum(['not_evaluated', 'pending', 'unknown_compromise'])).default([]),
    maxDevices: count.default(1_000_000),
  }),
  rules: file.default('dtr.yaml'),
  egress: section({
    default: name(),
    pools: z.record(name(), z.array(address).min(1)),
    bypass: optional(z.array(address).min(1)),
  }),
  upstreams: z
    .record(
      name(),
      section({
        host: z.union([address.transform(({ text }) => text), hostname]),
        port: z.int().min(1).max(65_535),
        username: optional(z.string().min(1)),
        password: optional(secretText()),
      }),
    )
    .default({}),
  dns: section({
    servers: z.array(z.string().min(1)).default([]),
    hosts: z.record(hostname, z.array(address).min(1)).default({}),
    timeout: durationMs({ minMs: 100, maxMs: 60_000 }).prefault('5s'),
    minTtl: durationMs().prefault('1s'),
    maxTtl: durationMs().prefault('1h'),
    negativeTtl: durationMs().prefault('5s'),
    maxNames: count.default(10_000),
  }).prefault({}),
  limits: section({
    tunnels: count.default(50_000),
    tunnelsPerDevice: count.default(256),
    unauthenticated: count.default(2000),
    unauthenticatedPerSource: count.default(64),
    idleTunnel: durationMs({ minMs: 100 }).prefault('10m'),
    idleConnection: durationMs({ minMs: 100 }).prefault('30s'),
    handshake: durationMs({ minMs: 100 }).prefault('10s'),
    head: durationMs({ minMs: 100 }).prefault('10s'),
    dial: durationMs({ minMs: 100 }).prefault('10s'),
    firstByte: durationMs({ minMs: 100 }).prefault('60s'),
    drain: durationMs().prefault('30s'),
  }).prefault({}),
} as const;

export type GatewayConfig = z.output<ReturnType<typeof gatewaySchema>>;

export function gatewaySchema() {
  return section(gatewayShape);
}
