// The gateway's part of zonegate.yaml: every key, what it may hold, and every default in one place.

import { z } from 'zod';
import {
  type Address,
  type AddressRange,
  parseAddress,
  parseAddressRange,
} from '../../dtr-rules/address.ts';
import { canonicalHostname } from '../../dtr-rules/hostname.ts';
import {
  durationMs,
  httpUrl,
  listenAddress,
  name,
  optional,
  section,
} from '../../runtime/schema.ts';
import { appShape } from '../decision/app.ts';
import {
  admitSection,
  exceptionList,
  movedPostureKeys,
  reportOnlyList,
  whenUnavailable,
} from './admission.ts';
import { checkSources, sourceKeys, webhook } from './posture-sources.ts';
import { profilesSection } from './profiles.ts';
import { signalsSection } from './signals.ts';
import { upstreamsSchema } from './upstreams.ts';

export interface DnsServer {
  readonly address: Address;
  readonly port: number;
}

const file = z.string().min(1).meta({ description: 'a path, relative to the configuration file' });

function readAs<T>(expected: string, read: (text: string) => T | null, hint: string | null = null) {
  return z.string().transform((text, context) => {
    const value = read(text);
    if (value !== null) return value;
    const params = hint === null ? {} : { params: { hint } };
    context.addIssue({ code: 'custom', message: `expected ${expected}`, input: text, ...params });
    return z.NEVER;
  });
}

const address = readAs<Address>('an IPv4 or IPv6 address', parseAddress);
const addressRange = readAs<AddressRange>('an address, a network or a range', parseAddressRange);
const hostname = readAs<string>('a host name', canonicalHostname);
const fingerprint = readAs('a SHA-256 fingerprint of 64 hex digits', (text) => {
  const plain = text.replaceAll(':', '').toLowerCase();
  return /^[0-9a-f]{64}$/.test(plain) ? plain : null;
});
const dnsServer = readAs<DnsServer>(
  'an address, `address:port` or `[address]:port`',
  readDnsServer,
  'a server by name would have to be looked up itself',
);
const count = z.int().min(1).max(1_000_000);
const byteRate = z.int().min(16_384).max(1_000_000_000_000);

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

const appName = readAs('1 to 255 printable characters without outer spaces', (text) =>
  appShape.test(text) ? text : null,
);

const appSource = z.union([
  ...field.options,
  section({ listener: z.literal(true) }).transform(() => ({ from: 'listener' as const })),
  section({
    header: readAs('the name of a header field', (text) =>
      /^[a-z0-9][a-z0-9-]{0,62}$/i.test(text) ? text.toLowerCase() : null,
    ),
  }).transform(({ header }) => ({ from: 'header' as const, name: header })),
]);

/** Durations, counts and bytes of `threats.md` section 5; all settable. */
export const gatewayShape = {
  name: name().default('gw').meta({ description: 'this gateway in Via and Proxy-Status' }),
  help: optional(httpUrl()).meta({ description: 'where a refused person finds help' }),
  listeners: section({
    device: listenAddress().prefault(':8443'),
    deviceHttp1: optional(listenAddress()),
    pac: optional(listenAddress()),
    apps: z.array(section({ listen: listenAddress(), app: appName })).default([]),
    proxyProtocol: optional(
      section({
        peers: z.array(addressRange).min(1),
        timeout: durationMs({ minMs: 3000, maxMs: 60_000 }).prefault('5s'),
      }),
    ),
  }).prefault({}),
  tls: section({ certificate: file, key: file }),
  identity: section({
    authorities: z.array(file).min(1),
    revocation: z.union([z.literal('off'), z.array(file).min(1)]),
    deviceId: field,
    user: optional(field),
    serial: optional(field),
    app: optional(appSource),
    allowedFingerprints: optional(z.array(fingerprint)),
    blockedFingerprints: z.array(fingerprint).default([]),
  }),
  posture: section({
    ...sourceKeys,
    webhook: optional(webhook),
    signals: signalsSection,
    maxEvents: count.default(2000),
    maxReportAge: durationMs({ minMs: 1000 }).prefault('60s'),
    recheck: durationMs({ minMs: 100 }).prefault('60s'),
    sweep: durationMs({ minMs: 1000 }).prefault('15m'),
    whenUnavailable,
    timeout: durationMs({ minMs: 100, maxMs: 60_000 }).prefault('5s'),
    admit: admitSection,
    reportOnly: reportOnlyList,
    exceptions: exceptionList,
    maxDevices: count.default(1_000_000),
  })
    .superRefine(checkSources)
    .meta({ moved: movedPostureKeys }),
  rules: file.default('dtr.yaml'),
  egress: section({
    default: name(),
    pools: z.record(name(), z.array(address).min(1)),
    bypass: optional(z.array(address).min(1)),
  }),
  upstreams: upstreamsSchema,
  profiles: profilesSection,
  dns: section({
    servers: z.array(dnsServer).max(8).default([]),
    zones: z
      .array(section({ suffix: hostname, servers: z.array(dnsServer).min(1).max(8) }))
      .default([])
      .superRefine(refuseTwins),
    hosts: z.record(hostname, z.array(address).min(1)).default({}),
    timeout: durationMs({ minMs: 100, maxMs: 60_000 }).prefault('5s'),
    minTtl: durationMs().prefault('1s'),
    maxTtl: durationMs().prefault('1h'),
    negativeTtl: durationMs().prefault('5s'),
    failureTtl: durationMs({ minMs: 100, maxMs: 300_000 }).prefault('1s'),
    serveStale: durationMs({ maxMs: 604_800_000 }).prefault('0s'),
    maxInFlight: count.default(256),
    maxNames: count.default(10_000),
  }).prefault({}),
  limits: section({
    tunnels: count.default(50_000),
    tunnelsPerDevice: count.default(256),
    tunnelsPerUser: optional(count),
    unauthenticated: count.default(2000),
    unauthenticatedPerSource: count.default(64),
    connectionsPerSource: count.default(200),
    handshakesPerCertificate: count.default(50),
    connectionsPerDevice: optional(count),
    newTunnels: optional(count),
    newTunnelsPerDevice: count.default(500),
    newTunnelsPerUser: optional(count),
    bytesPerSecond: optional(byteRate),
    bytesPerSecondPerDevice: optional(byteRate),
    bytesPerSecondPerUser: optional(byteRate),
    streamsPerConnection: z.int().min(1).max(256).default(100),
    idleTunnel: durationMs({ minMs: 100 }).prefault('10m'),
    lifetime: optional(durationMs({ minMs: 1000, maxMs: 604_800_000 })),
    idleConnection: durationMs({ minMs: 100 }).prefault('30s'),
    handshake: durationMs({ minMs: 100 }).prefault('10s'),
    head: durationMs({ minMs: 100 }).prefault('10s'),
    dial: durationMs({ minMs: 100 }).prefault('10s'),
    firstByte: durationMs({ minMs: 100 }).prefault('60s'),
    drain: durationMs().prefault('30s'),
  }).prefault({}),
} as const;

/** `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:5353`. */
export function readDnsServer(text: string): DnsServer | null {
  const plain = parseAddress(text);
  if (plain !== null) return { address: plain, port: 53 };
  const [, bracketed, bare, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const read = parseAddress(bracketed ?? bare ?? '');
  const port = Number(digits);
  // Brackets are for IPv6, and IPv6 with a port needs them.
  if (read === null || (read.family === 6) !== (bracketed !== undefined)) return null;
  return port >= 1 && port <= 65_535 ? { address: read, port } : null;
}

/** Two zones of one suffix: which servers were meant? */
function refuseTwins(zones: readonly { suffix: string }[], context: z.RefinementCtx): void {
  for (const [index, { suffix }] of zones.entries()) {
    if (zones.findIndex((zone) => zone.suffix === suffix) === index) continue;
    context.addIssue({
      code: 'custom',
      message: `\`${suffix}\` has a zone already`,
      path: [index, 'suffix'],
      input: suffix,
      params: { hint: 'list all its servers in one zone' },
    });
  }
}

export type GatewayConfig = z.output<ReturnType<typeof gatewaySchema>>;

export function gatewaySchema() {
  return section(gatewayShape);
}
