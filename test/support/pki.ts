// Certificates nobody should issue, for tests: raw names, wrong usages, weak keys, broken signatures.
import { createHash, webcrypto } from 'node:crypto';
import {
  createKeys,
  createSerial,
  type IssuedCertificate,
  sealCertificate,
} from '../../runtime/authority.ts';
import {
  type CertificateTemplate,
  encodeName,
  extendedKeyUsage,
  extension,
  type Signer,
} from '../../runtime/signed-certificate.ts';

const DAY_MS = 86_400_000;
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

export const OID = {
  CN: [0x55, 0x04, 0x03],
  OU: [0x55, 0x04, 0x0b],
  serialNumber: [0x55, 0x04, 0x05],
  upn: [0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x14, 0x02, 0x03],
} as const;

export const STRING = { utf8: 0x0c, printable: 0x13, teletex: 0x14, ia5: 0x16, bmp: 0x1e } as const;

export interface OddCertificate {
  readonly signer: Signer | null;
  readonly subject?: Buffer; // a DER name
  readonly usages?: readonly string[] | null; // null: no extended key usage
  readonly extensions?: CertificateTemplate['extensions'];
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly serial?: string;
  readonly hash?: 'SHA-1' | 'SHA-256';
  readonly keys?: webcrypto.CryptoKeyPair;
}

export async function issueOdd(odd: OddCertificate): Promise<IssuedCertificate> {
  const { usages = [CLIENT_AUTH], extensions = [] } = odd;
  return await sealCertificate({
    signer: odd.signer,
    subject: odd.subject
      ? bufferOf(odd.subject)
      : encodeName([{ type: 'CN', value: 'odd-device' }]),
    extensions: usages === null ? extensions : [...extensions, extendedKeyUsage(usages)],
    notBefore: odd.notBefore ?? Date.now() - DAY_MS,
    notAfter: odd.notAfter ?? Date.now() + DAY_MS,
    keys: odd.keys ?? (await createKeys()),
    serial: odd.serial ?? createSerial(),
    ...(odd.hash && { hash: odd.hash }),
  });
}

// An authority of any shape: what it says of itself is up to the caller.
export async function signerOf(odd: OddCertificate): Promise<{
  readonly issued: IssuedCertificate;
  readonly signer: Signer;
}> {
  const keys = odd.keys ?? (await createKeys());
  const issued = await issueOdd({ usages: null, ...odd, keys });
  const spki = await webcrypto.subtle.exportKey('raw', keys.publicKey);
  const digest = createHash('sha256').update(new Uint8Array(spki)).digest();
  const keyId = bufferOf(digest.subarray(0, 20)); // as it stands in its certificate, for P-256
  const name = odd.subject
    ? bufferOf(odd.subject)
    : encodeName([{ type: 'CN', value: 'odd-device' }]);
  return { issued, signer: { name, keyId, key: keys.privateKey } };
}

export async function createRsaKeys(modulusLength: number): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(
    {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      modulusLength,
      publicExponent: new Uint8Array([1, 0, 1]),
    },
    true,
    ['sign', 'verify'],
  );
}

// One DER value; contents are values already encoded, text or bytes.
export function der(
  tag: number,
  ...contents: readonly (Buffer | string | readonly number[])[]
): Buffer {
  const body = Buffer.concat(
    contents.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))),
  );
  return Buffer.concat([Buffer.from([tag]), encodeLength(body.length), body]);
}

// A name of RDNs, each of one or more attributes.
export function rawName(
  ...rdns: readonly (readonly {
    readonly oid: readonly number[];
    readonly value: string | Buffer;
    readonly tag?: number;
  }[])[]
): Buffer {
  const sets = rdns.map((rdn) => {
    const attributes = rdn.map(({ oid, value, tag = STRING.utf8 }) =>
      der(0x30, der(0x06, oid), der(tag, value)),
    );
    return der(0x31, ...attributes);
  });
  return der(0x30, ...sets);
}

export function certificateExtension(
  oid: string,
  value: Buffer,
  weight: 'critical' | 'ignorable' = 'ignorable',
): CertificateTemplate['extensions'][number] {
  return extension(oid, bufferOf(value), weight);
}

export function commonName(value: string | Buffer, tag: number = STRING.utf8): Buffer {
  return rawName([{ oid: OID.CN, value, tag }]);
}

export function bufferOf(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

export function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[A-Z0-9 ]+-----/g, ''), 'base64'); // OpenSSL would refuse some
}

function encodeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}
