// Signs a document so that it carries itself, the signature and the certificates: CMS signed data (RFC 5652), as DER.

import { createHash, createPrivateKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import * as asn1 from 'asn1js';
import * as pki from 'pkijs';

export interface MessageSigner {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
  /** The authorities above it, as far as they are to be sent along. */
  readonly chain: readonly X509Certificate[];
}

export interface SignerPems {
  /** The own certificate first; what follows is taken for its chain. */
  readonly certificate: string;
  readonly key: string;
  readonly chain: string | null;
}

export type ReadSigner =
  | { readonly ok: true; readonly signer: MessageSigner }
  /** What is wrong with which of the three, never any of the key itself. */
  | { readonly ok: false; readonly at: keyof SignerPems; readonly trouble: string };

const pemBlock = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

export function readMessageSigner(pems: SignerPems, now: number): ReadSigner {
  const own = readCertificates(pems.certificate);
  const [certificate] = own ?? [];
  if (own === null || certificate === undefined) {
    return troubleAt('certificate', 'cannot be read, expected PEM with the own one first');
  }
  const unfit = unfitness(certificate, now);
  if (unfit !== null) return troubleAt('certificate', unfit);
  const above = pems.chain === null ? [] : readCertificates(pems.chain);
  if (above === null) return troubleAt('chain', 'cannot be read, expected certificates as PEM');
  const chain = [...own.slice(1), ...above];
  if (pems.chain !== null && !chain.some((one) => certificate.checkIssued(one))) {
    return troubleAt('chain', 'does not have the authority that issued the certificate');
  }
  const key = readKey(pems.key);
  if (typeof key === 'string') return troubleAt('key', key);
  if (!certificate.checkPrivateKey(key)) return troubleAt('key', 'is not that of the certificate');
  if (!signatureAlgorithms.has(key.asymmetricKeyType)) {
    return troubleAt('key', `is ${key.asymmetricKeyType}, expected RSA or an elliptic curve`);
  }
  return { ok: true, signer: { certificate, key, chain } };
}

function troubleAt(at: keyof SignerPems, trouble: string): ReadSigner {
  return { ok: false, at, trouble };
}

/** Null when a block cannot be read, or there is none. */
function readCertificates(pem: string): readonly X509Certificate[] | null {
  try {
    const all = Array.from(pem.matchAll(pemBlock), ([block]) => new X509Certificate(block));
    return all.length === 0 ? null : all;
  } catch {
    return null;
  }
}

function unfitness(certificate: X509Certificate, now: number): string | null {
  const { validFromDate, validToDate, raw } = certificate;
  if (now < validFromDate.getTime()) return `is valid from ${validFromDate.toISOString()} on`;
  if (now >= validToDate.getTime()) return `was valid until ${validToDate.toISOString()}`;
  const { extensions = [] } = pki.Certificate.fromBER(raw);
  const usage = extensions.find(({ extnID }) => extnID === pki.id_KeyUsage)?.parsedValue;
  // RFC 5280 section 4.2.1.3: without the extension a key may do everything; digitalSignature is bit 0.
  const maySign =
    !(usage instanceof asn1.BitString) || ((usage.valueBlock.valueHexView[0] ?? 0) & 0x80) !== 0;
  return maySign ? null : 'may not sign: its key usage lacks digitalSignature';
}

function readKey(pem: string): KeyObject | string {
  try {
    return createPrivateKey(pem);
  } catch {
    return /^(?:-----BEGIN|Proc-Type: 4,) ?ENCRYPTED/m.test(pem)
      ? 'is encrypted, expected PEM without a passphrase (`openssl pkey -in KEY -out PLAIN` takes it off)'
      : 'cannot be read, expected PEM without a passphrase';
  }
}

/** RFC 3370 section 3.2 and RFC 5754 section 3.3: RSA with NULL, ECDSA without any parameters. */
const signatureAlgorithms: ReadonlyMap<string | undefined, Buffer> = new Map([
  ['rsa', sequence(oid('1.2.840.113549.1.1.1'), der(0x05))],
  ['ec', sequence(oid('1.2.840.10045.4.3.2'))],
]);
const sha256 = sequence(oid('2.16.840.1.101.3.4.2.1'));
const data = oid('1.2.840.113549.1.7.1');
const version1 = der(0x02, Buffer.from([1]));

export function signMessage(
  content: Uint8Array,
  { certificate, key, chain }: MessageSigner,
  now: number,
): Buffer {
  const digest = createHash('sha256').update(content).digest();
  const attributes = inOrder([
    attribute('1.2.840.113549.1.9.3', data),
    attribute('1.2.840.113549.1.9.5', time(now)),
    attribute('1.2.840.113549.1.9.4', der(0x04, digest)),
  ]);
  const { issuer, serialNumber } = pki.Certificate.fromBER(certificate.raw);
  const signerInfo = sequence(
    version1,
    sequence(Buffer.from(issuer.valueBeforeDecode), Buffer.from(serialNumber.toBER())),
    sha256,
    der(0xa0, ...attributes),
    signatureAlgorithms.get(key.asymmetricKeyType) ?? Buffer.alloc(0),
    // RFC 5652 section 5.4: what is signed is a SET, whatever tag it is sent under.
    der(0x04, sign('sha256', der(0x31, ...attributes), key)),
  );
  const signedData = sequence(
    version1,
    der(0x31, sha256),
    sequence(data, der(0xa0, der(0x04, content))),
    der(0xa0, ...inOrder([certificate, ...chain].map(({ raw }) => raw))),
    der(0x31, signerInfo),
  );
  return sequence(oid('1.2.840.113549.1.7.2'), der(0xa0, signedData));
}

/** RFC 5652 section 11.3: UTCTime through 2049, GeneralizedTime after; whole seconds. */
function time(now: number): Buffer {
  const digits = new Date(now).toISOString().replace(/[-:T]|\.\d+/g, '');
  return digits < '2050' ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits));
}

function attribute(type: string, value: Buffer): Buffer {
  return sequence(oid(type), der(0x31, value));
}

/** DER sorts the members of a SET OF by their bytes (X.690 section 11.6), each of them once. */
function inOrder(members: readonly Buffer[]): readonly Buffer[] {
  const unique = new Map(members.map((one) => [one.toString('latin1'), one]));
  return [...unique.values()].sort((a, b) => a.compare(b));
}

function oid(value: string): Buffer {
  return Buffer.from(new asn1.ObjectIdentifier({ value }).toBER());
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(0x30, ...parts);
}

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const size = body.length.toString(16);
  const length = Buffer.from(size.padStart(size.length + (size.length % 2), '0'), 'hex');
  const head = body.length < 0x80 ? [tag, body.length] : [tag, 0x80 | length.length, ...length];
  return Buffer.concat([Buffer.from(head), body]);
}
