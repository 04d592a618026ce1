// A running sign-in service on a free loopback port, and browsers and applications that come from chosen addresses.
import { generateKeyPairSync, scryptSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { idpSection, parseSignOn, parseZones } from '../../idp-zone/config/parse.ts';
import type { Locate } from '../../idp-zone/decision/place.ts';
import { createIdpZone, type IdpPolicy, type IdpZone } from '../../idp-zone/idp-zone.ts';
import { createAuthority } from '../../runtime/authority.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics, type Metrics } from '../../runtime/metrics.ts';
import { createReadiness } from '../../runtime/readiness.ts';
import { openStore } from '../../runtime/state/state.ts';
import { type Clients, createClients, ISSUER, REDIRECT_URI } from './clients.ts';

export const INSIDE = '127.0.0.10'; // the zone's gateway
export const OUTSIDE = '127.0.0.1';
export const PASSWORD = 'correct horse battery staple';
export const HELP = 'https://help.example.test/tunnel';

export const ZONES = { zones: [{ name: 'egress', gateways: [INSIDE] }] };
export const SIGN_ON = {
  rules: [
    {
      name: 'staff through the tunnel',
      people: { groups: ['staff'] },
      network: { zones: ['egress'] },
      access: 'ALLOW',
    },
    { name: 'everyone else', access: 'DENY', message: 'Only through the tunnel.', help: HELP },
  ],
};

export interface Running extends Omit<Clients, 'close'> {
  readonly idp: IdpZone;
  readonly metrics: Metrics;
  readonly logged: readonly Record<string, unknown>[];
  readonly ca: string;
  readonly folder: string;
  issueCertificate(): Promise<string>; // over the old files; returns the serial number
  close(): Promise<void>;
}

export function policyOf(
  zonesFile: unknown,
  signOnFile: unknown,
  locate: Locate | null = null,
): IdpPolicy {
  const zones = parseZones(zonesFile);
  const signOn = parseSignOn(signOnFile);
  if (!zones.ok || !signOn.ok) throw new Error('the policy of this test cannot be read');
  return { zones: zones.value.zones, locate, signOn: signOn.value.policy };
}

export async function startIdpZone(
  given: { readonly zones?: unknown; readonly config?: object } = {},
): Promise<Running> {
  const folder = await mkdtemp(join(tmpdir(), 'zonegate-idp-'));
  const authority = await createAuthority({ name: 'test', days: 1 });
  const issueCertificate = async () => {
    const { certificatePem, keyPem, serial } = await authority.issue({
      commonName: 'idp.example.test',
      sans: { dns: ['idp.example.test'] },
      usage: 'server',
      days: 1,
    });
    await writeFile(join(folder, 'tls.pem'), certificatePem);
    await writeFile(join(folder, 'tls.key'), keyPem);
    return serial;
  };
  await issueCertificate();
  await writeFile(join(folder, 'keys.json'), signingKeys(), { mode: 0o600 });

  const logged: Record<string, unknown>[] = [];
  const stream = { write: (line: string) => void logged.push(JSON.parse(line)) };
  const metrics = createMetrics();
  const state = await openStore({ kind: 'memory' });
  const idp = await createIdpZone({
    config: idpSection.parse({ ...baseConfig(), ...given.config }),
    folder,
    policy: policyOf(given.zones ?? ZONES, SIGN_ON),
    state,
    log: createLog({ level: 'debug', secrets: [], stream }),
    metrics,
    readiness: createReadiness(),
  });

  const clients = createClients(idp.port, authority.certificatePem);
  return {
    ...clients,
    idp,
    metrics,
    logged,
    ca: authority.certificatePem,
    folder,
    issueCertificate,
    async close() {
      await clients.close();
      await idp.close();
      await state.close();
      await rm(folder, { recursive: true });
    },
  };
}

function baseConfig() {
  const password = passwordHash();
  return {
    listen: '127.0.0.1:0',
    issuer: ISSUER,
    tls: { certificate: 'tls.pem', key: 'tls.key' },
    users: [
      { name: 'ann', password, groups: ['staff'], email: 'ann@example.test' },
      { name: 'eve', password },
    ],
    clients: [
      { id: 'demo-app', name: 'Demo <App>', public: true, redirectUris: [REDIRECT_URI] },
      { id: 'phone', public: true, redirectUris: ['com.example.phone:/callback'] },
    ],
    keysFile: 'keys.json',
    cookieSecret: 'a cookie secret of thirty-two characters',
  };
}

function signingKeys(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = { ...privateKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256', use: 'sig' };
  return JSON.stringify({ keys: [key] });
}

// As costly as a test can afford.
export function passwordHash(): string {
  const salt = Buffer.alloc(16, 7);
  const hash = scryptSync(PASSWORD, salt, 32, { cost: 1024, blockSize: 8, parallelization: 1 });
  return `scrypt$1024$8$1$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}
