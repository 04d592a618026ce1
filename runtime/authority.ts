// Issues certificates and revocation lists: a small authority for quickstart, tests and `zonegate ca`.
import { createHash, createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import * as asn1 from 'asn1js';
import * as pki from 'pkijs';
import {
  type AltNames,
  basicConstraints,
  type CertificateTemplate,
  encodeName,
  extendedKeyUsage,
  keyIdOf,
  keyUsage,
  type NamePart,
  type RevocationListRequest,
  type Signer,
  signCertificate,
  signRevocationList,
  subjectAltName,
} from './signed-certificate.ts';

export interface CertificateRequest {
  readonly commonName: string;
  readonly subject?: readonly NamePart[]; // what comes after the common name
  readonly sans?: AltNames;
  readonly usage: 'server' | 'client';
  readonly days: number;
  readonly notBefore?: number; // default: a few minutes ago, for clocks that are behind
}

export interface AuthorityRequest {
  readonly name: string;
  readonly days: number;
}

export interface KeyedCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly chainPem: string; // the certificate and the intermediates above it: what a peer is sent
}

export interface IssuedCertificate extends KeyedCertificate {
  readonly serial: string; // lower hex
  readonly fingerprint: string; // SHA-256 of the DER, lower hex
}

export interface Authority extends KeyedCertificate {
  readonly signer: Signer;
  issue(request: CertificateRequest): Promise<IssuedCertificate>;
  issueAuthority(request: AuthorityRequest): Promise<Authority>; // an intermediate below this one
  revocationList(request: RevocationListRequest): Promise<string>; // PEM
}

const DAY_MS = 86_400_000;
const CLOCK_SKEW_MS = 5 * 60_000;
const USAGE_OIDS = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;
const CURVES: ReadonlyMap<string | undefined, string> = new Map([
  ['prime256v1', 'P-256'],
  ['secp384r1', 'P-384'],
  ['secp521r1', 'P-521'],
]);

export async function createAuthority(request: AuthorityRequest): Promise<Authority> {
  return loadAuthority(await signAuthority(null, request));
}

export function loadAuthority(pems: {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly chainPem?: string;
}): Authority {
  const signer = readSigner(pems);
  const own: KeyedCertificate = { ...pems, chainPem: pems.chainPem ?? pems.certificatePem };
  const x509 = new X509Certificate(own.certificatePem);
  // A peer has the root already, or would not believe it.
  const intermediates = x509.checkIssued(x509) ? '' : own.chainPem;
  return {
    ...own,
    signer,
    issue: (request) => issue(signer, intermediates, request),
    issueAuthority: async (request) => {
      const issued = await signAuthority(signer, request);
      return loadAuthority({ ...issued, chainPem: issued.certificatePem + intermediates });
    },
    revocationList: async (request) => pem('X509 CRL', await signRevocationList(signer, request)),
  };
}

// 126 random bits below a fixed pair that keeps the number positive and always 16 bytes long.
export function createSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

export async function createKeys(): Promise<webcrypto.CryptoKeyPair> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  return await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

export async function sealCertificate(template: CertificateTemplate): Promise<IssuedCertificate> {
  const der = await signCertificate(template);
  const certificatePem = pem('CERTIFICATE', der);
  const keyDer = await webcrypto.subtle.exportKey('pkcs8', template.keys.privateKey);
  return {
    certificatePem,
    chainPem: certificatePem,
    keyPem: pem('PRIVATE KEY', keyDer),
    serial: template.serial,
    fingerprint: createHash('sha256').update(new Uint8Array(der)).digest('hex'),
  };
}

async function issue(
  signer: Signer,
  intermediates: string,
  request: CertificateRequest,
): Promise<IssuedCertificate> {
  const extensions = [
    basicConstraints({ ca: false }),
    keyUsage('signs handshakes'),
    extendedKeyUsage([USAGE_OIDS[request.usage]]),
  ];
  if (request.sans !== undefined) extensions.push(subjectAltName(request.sans));
  const issued = await sealCertificate({
    signer,
    subject: encodeName([{ type: 'CN', value: request.commonName }, ...(request.subject ?? [])]),
    extensions,
    ...validity(request),
    keys: await createKeys(),
    serial: createSerial(),
  });
  return { ...issued, chainPem: issued.certificatePem + intermediates };
}

async function signAuthority(
  signer: Signer | null,
  request: AuthorityRequest,
): Promise<IssuedCertificate> {
  return await sealCertificate({
    signer,
    subject: encodeName([{ type: 'CN', value: request.name }]),
    extensions: [basicConstraints({ ca: true }), keyUsage('signs certificates')],
    ...validity(request),
    keys: await createKeys(),
    serial: createSerial(),
  });
}

function validity(request: { readonly days: number; readonly notBefore?: number }): {
  readonly notBefore: number;
  readonly notAfter: number;
} {
  const notBefore = request.notBefore ?? Date.now() - CLOCK_SKEW_MS;
  return { notBefore, notAfter: notBefore + request.days * DAY_MS };
}

function readSigner(pems: { readonly certificatePem: string; readonly keyPem: string }): Signer {
  const x509 = new X509Certificate(pems.certificatePem);
  const key = createPrivateKey(pems.keyPem);
  if (!x509.checkPrivateKey(key)) throw new Error('the key is not that of the certificate');
  if (!x509.ca) throw new Error('the certificate is not that of an authority');
  const certificate = pki.Certificate.fromBER(x509.raw);
  const namedCurve = CURVES.get(key.asymmetricKeyDetails?.namedCurve);
  const algorithm =
    namedCurve === undefined
      ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
      : { name: 'ECDSA', namedCurve };
  return {
    name: certificate.subject.valueBeforeDecode,
    keyId: readKeyId(certificate),
    key: key.toCryptoKey(algorithm, false, ['sign']),
  };
}

function readKeyId(certificate: pki.Certificate): ArrayBuffer {
  for (const { extnID, parsedValue } of certificate.extensions ?? []) {
    const isKeyId = extnID === pki.id_SubjectKeyIdentifier;
    if (isKeyId && parsedValue instanceof asn1.OctetString) return parsedValue.getValue();
  }
  return keyIdOf(certificate.subjectPublicKeyInfo);
}

function pem(label: string, der: ArrayBuffer): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
