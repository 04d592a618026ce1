// Makes the state folder of quickstart: authorities, certificates, secrets and the four YAML files; whole or not at all.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { hashPassword } from '../../idp-zone/edge/password.ts';
import { type Authority, createAuthority } from '../../runtime/authority.ts';
import { UsageError } from '../output.ts';
import { quickstartDevices } from './devices.ts';
import {
  dtrYaml,
  idpHost,
  type Ports,
  signOnYaml,
  type TemplateValues,
  zonegateYaml,
  zonesYaml,
} from './templates.ts';

const years = 3;

export interface FolderOptions {
  readonly folder: string;
  readonly ports: Ports;
  /** Called after each step that takes a moment. */
  readonly progress: (done: string) => void;
}

export function configFileIn(folder: string): string {
  return join(folder, 'zonegate.yaml');
}

/** Does nothing when the folder has a configuration; says whether it made one. */
export async function makeFolder(options: FolderOptions): Promise<boolean> {
  const folder = resolve(options.folder);
  if (existsSync(configFileIn(folder))) return false;
  await checkIsFree(folder);
  const draft = await makeDraft(folder);
  try {
    await fill(draft, options);
    // An empty folder in the way is fine, one with something in it is not ours to touch.
    await rename(draft, folder);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Another quickstart began at the same moment and was first: its folder is the folder.
    if (existsSync(configFileIn(folder))) return false;
    throw cannotMake(folder, error);
  }
  return true;
}

async function checkIsFree(folder: string): Promise<void> {
  try {
    if ((await readdir(folder)).length === 0) return;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw cannotMake(folder, error);
  }
  throw new UsageError(
    `the folder ${folder} has something in it, but no zonegate.yaml; name another one with --state`,
  );
}

async function makeDraft(folder: string): Promise<string> {
  const parent = dirname(folder);
  const draft = join(parent, `.zonegate-${randomBytes(6).toString('hex')}`);
  try {
    await mkdir(parent, { recursive: true });
    await mkdir(draft, { mode: 0o700 });
    return draft;
  } catch (error) {
    throw cannotMake(folder, error);
  }
}

const obstacles: Readonly<Record<string, string>> = {
  ENOTDIR: 'there is a file in its place or on the way to it',
  EEXIST: 'something else is there by now',
  ENOTEMPTY: 'something else is there by now',
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'nothing can be written there',
  ENOSPC: 'there is no space left',
};

/** What the disk says no to is the user's to mend; anything else is a fault, and stays one. */
function cannotMake(folder: string, error: unknown): unknown {
  const code = codeOf(error);
  if (code === null) return error;
  const message = `cannot make the folder ${folder}: ${obstacles[code] ?? code}; name another one with --state`;
  return new UsageError(message, { cause: error });
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && 'syscall' in error && 'code' in error
    ? String(error.code)
    : null;
}

async function fill(folder: string, { ports, progress }: FolderOptions): Promise<void> {
  for (const name of ['certs', 'devices', 'secrets'])
    await mkdir(join(folder, name), { mode: 0o700 });
  const write = async (name: string, text: string, mode = 0o644): Promise<void> => {
    await writeFile(join(folder, name), text, { mode });
    await chmod(join(folder, name), mode);
  };

  await makeServers(write);
  progress('an authority and certificates for the gateway and the sign-in service');
  await makeDevices(write);
  progress(
    `a device authority, ${quickstartDevices.length} device certificates and one of another authority, a revocation list`,
  );

  const password = randomBytes(9).toString('base64url');
  const secrets: readonly (readonly [name: string, value: string])[] = [
    ['ann-password', password],
    ['admin-token', randomBytes(24).toString('base64url')],
    ['cookie-secret', randomBytes(32).toString('base64url')],
    ['uem-client-secret', randomBytes(24).toString('base64url')],
    ['webhook-password', randomBytes(24).toString('base64url')],
  ];
  for (const [name, value] of secrets) await write(`secrets/${name}`, `${value}\n`, 0o600);
  progress('secrets');

  const values: TemplateValues = {
    ports,
    issuer: `https://${idpHost}:${ports.idp}`,
    passwordHash: await hashPassword(password),
    redirectUri: 'http://127.0.0.1:9/callback',
  };
  await write('dtr.yaml', dtrYaml(values));
  await write('zones.yaml', zonesYaml(values));
  await write('sign-on.yaml', signOnYaml());
  await write('zonegate.yaml', zonegateYaml(values));
  progress('zonegate.yaml, dtr.yaml, zones.yaml, sign-on.yaml');
}

type Write = (name: string, text: string, mode?: number) => Promise<void>;

async function makeServers(write: Write): Promise<void> {
  const days = 365 * years;
  const authority = await createAuthority({ name: 'Zonegate quickstart server CA', days });
  await write('certs/server-ca.pem', authority.certificatePem);
  const servers = [
    { name: 'gateway', dns: ['gw.zonegate.test', 'localhost'] },
    { name: 'idp', dns: [idpHost, 'localhost'] },
  ];
  for (const { name, dns } of servers) {
    const sans = { dns, ip: ['127.0.0.1', '::1'] };
    const issued = await authority.issue({
      commonName: dns[0] ?? name,
      sans,
      usage: 'server',
      days: 397,
    });
    await write(`certs/${name}.pem`, issued.chainPem);
    await write(`certs/${name}-key.pem`, issued.keyPem, 0o600);
  }
}

async function makeDevices(write: Write): Promise<void> {
  const days = 365 * years;
  const authority = await createAuthority({ name: 'Zonegate quickstart device CA', days });
  await write('certs/device-ca.pem', authority.certificatePem);
  // Kept so that more devices can be added; a real one lives in the UEM, or offline.
  await write('certs/device-ca-key.pem', authority.keyPem, 0o600);
  const revoked: string[] = [];
  for (const device of quickstartDevices) {
    const serial = await issueDevice(authority, device, write);
    if (device.name === 'revoked') revoked.push(serial);
  }
  const now = Date.now();
  const list = await authority.revocationList({
    revoked: revoked.map((serial) => ({ serial, at: now })),
    thisUpdate: now - 60_000,
    nextUpdate: now + days * 86_400_000,
    number: 1,
  });
  await write('certs/device-ca.crl', list);

  const foreign = await createAuthority({ name: 'Some other device CA', days });
  const [compliant] = quickstartDevices;
  if (compliant !== undefined) await issueDevice(foreign, { ...compliant, name: 'foreign' }, write);
}

async function issueDevice(
  authority: Authority,
  device: {
    readonly name: string;
    readonly udid: string;
    readonly serial: string;
    readonly user: string;
  },
  write: Write,
): Promise<string> {
  const issued = await authority.issue({
    commonName: `${device.user}'s Mac`,
    subject: [
      { type: 'UID', value: device.udid },
      { type: 'serialNumber', value: device.serial },
    ],
    sans: { email: [`${device.user}@example.com`] },
    usage: 'client',
    days: 365,
  });
  await write(`devices/${device.name}.pem`, issued.chainPem);
  await write(`devices/${device.name}-key.pem`, issued.keyPem, 0o600);
  return issued.serial;
}
