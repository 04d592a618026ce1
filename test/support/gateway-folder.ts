// The folder of a gateway under test: certificates, rules, inventory and settings, and a stand-in UEM beside it.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { StandInDevice } from '../../cli/quickstart/stand-in-device.ts';
import { createStandInUem, type StandInUem } from '../../cli/quickstart/stand-in-uem.ts';
import {
  type Authority,
  createAuthority,
  type IssuedCertificate,
} from '../../runtime/authority.ts';
import type { DeviceKeys } from './client.ts';

export const help = 'https://help.example.test/tunnel';
export const adminToken = 'admin-token-of-the-tests';
export const egressAddress = '127.0.0.10';

/** What the source in use knows of a device; nothing said is healthy. */
export interface DeviceWords {
  readonly inventory?: Readonly<Record<string, unknown>>;
  readonly uem?: Partial<StandInDevice>;
}

export interface GatewayWords {
  /** Beside `good` and `other`. */
  readonly devices?: Readonly<Record<string, DeviceWords>>;
  /** Merged into the settings below. */
  readonly settings?: object;
  /** Rules before that of the lab; or the whole file. */
  readonly rules?: readonly object[];
  readonly ruleFile?: object;
  readonly posture?: 'inventory' | 'uem';
  /** Further files that the settings name. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface Device extends DeviceKeys {
  readonly name: string;
  readonly udid: string;
  readonly issued: IssuedCertificate;
}

export interface GatewayFolder extends AsyncDisposable {
  readonly folder: string;
  readonly uem: StandInUem;
  readonly authority: Authority;
  /** PEM of the authority of the gateway's own certificate. */
  readonly serverAuthority: string;
  device(name: string): Device;
  /** A list of revoked certificates, in force for an hour. */
  revocationList(revoked: readonly Device[]): Promise<string>;
}

const hourMs = 3_600_000;

export async function makeGatewayFolder(words: GatewayWords): Promise<GatewayFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'zonegate-e2e-'));
  const [servers, authority] = await Promise.all([
    createAuthority({ name: 'Test server CA', days: 1 }),
    createAuthority({ name: 'Test device CA', days: 1 }),
  ]);
  const names = Object.entries<DeviceWords>({ good: {}, other: {}, ...words.devices });
  const devices = new Map<string, Device>();
  for (const [name] of names) devices.set(name, await issueDevice(authority, name));
  const uem = await createStandInUem({
    port: 0,
    devices: names.map(([name, { uem: known }], at) => toStandIn(name, at, known)),
    oauth: null,
    basic: { username: 'zonegate', password: 'uem-password' },
    tenantCode: null,
    event: null,
  });
  const revocationList = (revoked: readonly Device[]) =>
    authority.revocationList({
      revoked: revoked.map(({ issued }) => ({ serial: issued.serial, at: Date.now() })),
      thisUpdate: Date.now() - 60_000,
      nextUpdate: Date.now() + hourMs,
      number: 1,
    });
  const server = await servers.issue({
    commonName: 'gw.test',
    sans: { dns: ['localhost'], ip: ['127.0.0.1'] },
    usage: 'server',
    days: 1,
  });
  const files = {
    'gateway.pem': server.chainPem,
    'gateway-key.pem': server.keyPem,
    'device-ca.pem': authority.certificatePem,
    'device-ca.crl': await revocationList([]),
    'devices.yaml': inventoryYaml(names),
    'dtr.yaml': rulesYaml(words),
    'zonegate.yaml': settingsYaml(words, uem.url),
    ...words.files,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return {
    folder,
    uem,
    authority,
    revocationList,
    serverAuthority: servers.certificatePem,
    device(name) {
      const device = devices.get(name);
      if (device === undefined) throw new Error(`this test has no device \`${name}\``);
      return device;
    },
    async [Symbol.asyncDispose]() {
      await uem.close();
      await rm(folder, { recursive: true });
    },
  };
}

const udidOf = (name: string): string => `device-${name}`;

async function issueDevice(authority: Authority, name: string): Promise<Device> {
  const udid = udidOf(name);
  const subject = [{ type: 'UID', value: udid }] as const;
  const issued = await authority.issue({ commonName: name, subject, usage: 'client', days: 1 });
  return { name, udid, issued, cert: issued.chainPem, key: issued.keyPem };
}

function toStandIn(name: string, at: number, known: Partial<StandInDevice> = {}): StandInDevice {
  return {
    udid: udidOf(name),
    id: 100 + at,
    serial: `SERIAL${100 + at}`,
    user: 'ann',
    name,
    platform: 'AppleOsX',
    group: 'staff',
    enrollment: 'Enrolled',
    compliance: 'Compliant',
    compromised: false,
    lastSeen: null,
    ...known,
  };
}

export function inventoryYaml(names: readonly (readonly [string, DeviceWords])[]): string {
  const healthy = { groups: ['staff'], enrolled: true, compliant: true, compromised: false };
  const devices = names
    .filter(([, { inventory = {} }]) => !('unlisted' in inventory))
    .map(([name, { inventory }]) => ({ udid: udidOf(name), ...healthy, ...inventory }));
  return stringify({ devices });
}

/** Every name of the lab leads to loopback, and its rule opens that. */
export function rulesYaml({ rules = [], ruleFile }: GatewayWords): string {
  const lab = { id: 'lab', action: 'TUNNEL', destinations: ['*.lab.test'], open: ['127.0.0.0/8'] };
  const set = { name: 'staff', defaultAction: 'BYPASS', rules: [...rules, lab] };
  return stringify(ruleFile ?? { ruleSets: [set] });
}

function settingsYaml(
  { settings = {}, posture = 'inventory' }: GatewayWords,
  uemUrl: string,
): string {
  const auth = { kind: 'basic', username: 'zonegate', password: 'uem-password' };
  const source =
    posture === 'uem'
      ? { kind: 'workspace-one', url: uemUrl, auth }
      : { kind: 'inventory', file: 'devices.yaml' };
  const base = {
    // One device makes as many connections here as a company's do.
    limits: { handshakesPerCertificate: 100_000, connectionsPerSource: 100_000 },
    name: 'gw',
    help,
    listeners: { device: '127.0.0.1:0' },
    tls: { certificate: 'gateway.pem', key: 'gateway-key.pem' },
    identity: {
      authorities: ['device-ca.pem'],
      revocation: ['device-ca.crl'],
      deviceId: { subject: 'UID' },
    },
    posture: { source, webhook: { username: 'uem', password: 'webhook-password' } },
    egress: { default: 'main', pools: { main: [egressAddress] } },
    dns: { hosts: { 'up.lab.test': ['127.0.0.1'] } },
    admin: { listen: '127.0.0.1:0', tokens: [adminToken] },
  };
  return stringify(merged(base, settings));
}

function merged(base: object, over: object): object {
  const isMap = (value: unknown): value is object =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = result[key];
    result[key] = isMap(before) && isMap(value) ? merged(before, value) : value;
  }
  return result;
}
