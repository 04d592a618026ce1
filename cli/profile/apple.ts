// What Apple's devices have to know: names from the configuration, and where their certificate comes from.

import type { AppleFacts, AppleIdentity } from '../../dtr-rules/profiles/profile.ts';
import type { GatewayConfig } from '../../gateway/config/config.ts';
import { UsageError } from '../output.ts';
import { readInput } from './input.ts';
import { uuid5 } from './uuid.ts';

type Profiles = NonNullable<GatewayConfig['profiles']>;

export interface IdentityOptions {
  /** `acme`, `scep` or `pkcs12:FILE`; left out: what the configuration has. */
  readonly identity?: string;
  readonly identityPasswordFile?: string;
}

/** A password has no place among the arguments of a program, where every user of the machine can read it. */
const passwordVariable = 'ZONEGATE_IDENTITY_PASSWORD';

export async function appleFactsOf(
  { apple, gateway }: Profiles,
  options: IdentityOptions,
): Promise<AppleFacts> {
  const reversed = gateway.host.split('.').reverse().join('.');
  return {
    identifier: apple.identifier ?? `${reversed}.zonegate`,
    visibleName: apple.visibleName,
    identity: await identityOf(apple, options),
    uuidOf: uuid5,
  };
}

async function identityOf(
  { acme, scep }: Profiles['apple'],
  options: IdentityOptions,
): Promise<AppleIdentity | null> {
  const { identity = acme !== null ? 'acme' : scep !== null ? 'scep' : undefined } = options;
  if (identity === undefined) return null;
  const [, file] = /^pkcs12:(.+)$/.exec(identity) ?? [];
  if (file !== undefined) return await readPkcs12(file, options.identityPasswordFile);
  if (identity === 'acme' && acme !== null)
    return { kind: 'acme', payload: acmePayload(acme), isSecret: false };
  if (identity === 'scep' && scep !== null)
    return { kind: 'scep', payload: scepPayload(scep), isSecret: scep.challenge !== null };
  if (identity === 'acme' || identity === 'scep') {
    throw new UsageError(`the configuration has no \`profiles.apple.${identity}\``);
  }
  throw new UsageError('--identity is `acme`, `scep` or `pkcs12:FILE`');
}

async function readPkcs12(file: string, passwordFile: string | undefined): Promise<AppleIdentity> {
  const content = await readInput(file);
  const password =
    passwordFile === undefined
      ? process.env[passwordVariable]
      : (await readInput(passwordFile)).toString().replace(/\r?\n$/, '');
  if (password === undefined) {
    throw new UsageError(
      `the password of \`${file}\` comes from --identity-password-file or from ${passwordVariable}`,
    );
  }
  return {
    kind: 'pkcs12',
    isSecret: true,
    payload: {
      PayloadContent: new Uint8Array(content),
      PayloadCertificateFileName: 'device.p12',
      Password: password,
    },
  };
}

const clientAuth = '1.3.6.1.5.5.7.3.2';

function acmePayload(acme: NonNullable<Profiles['apple']['acme']>): AppleIdentity['payload'] {
  return {
    DirectoryURL: acme.directoryUrl,
    ClientIdentifier: acme.clientIdentifier,
    KeyType: acme.keyType,
    KeySize: acme.keySize,
    HardwareBound: acme.hardwareBound,
    Attest: acme.attest,
    Subject: acme.subject,
    // Digital signature: all that TLS asks of a client.
    UsageFlags: 1,
    ExtendedKeyUsage: [clientAuth],
  };
}

function scepPayload(scep: NonNullable<Profiles['apple']['scep']>): AppleIdentity['payload'] {
  return {
    PayloadContent: {
      URL: scep.url,
      ...(scep.name !== null && { Name: scep.name }),
      Subject: scep.subject,
      ...(scep.challenge !== null && { Challenge: scep.challenge }),
      Keysize: scep.keySize,
      'Key Type': 'RSA',
      'Key Usage': scep.keyUsage,
    },
  };
}
