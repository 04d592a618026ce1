// The X.509 underneath the authority: names, extensions, and what is signed into a certificate or list.
// It loads pkijs (80 ms): authority.ts imports it, and nothing that serves traffic does.
import { createHash, type webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as asn1 from 'asn1js';
import * as pki from 'pkijs';

export type NameType =
  | 'CN'
  | 'O'
  | 'OU'
  | 'C'
  | 'ST'
  | 'L'
  | 'UID'
  | 'serialNumber'
  | 'emailAddress'
  | 'DC';

export interface NamePart {
  readonly type: NameType;
  readonly value: string;
}

export interface AltNames {
  readonly dns?: readonly string[];
  readonly uri?: readonly string[];
  readonly email?: readonly string[];
  readonly ip?: readonly string[];
}

export interface Signer {
  readonly name: ArrayBuffer; // DER, byte for byte as in its certificate
  readonly keyId: ArrayBuffer;
  readonly key: webcrypto.CryptoKey;
}

export interface CertificateTemplate {
  readonly signer: Signer | null; // null: signed by its own key
  readonly subject: ArrayBuffer; // DER
  readonly extensions: readonly pki.Extension[]; // the key identifiers are added
  readonly notBefore: number;
  readonly notAfter: number;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly serial: string; // hex
  readonly hash?: 'SHA-1' | 'SHA-256';
}

export interface RevocationListRequest {
  readonly revoked: readonly { readonly serial: string; readonly at: number }[];
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly number: number;
}

const NAME_OIDS: Readonly<Record<NameType, string>> = {
  CN: '2.5.4.3',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  C: '2.5.4.6',
  ST: '2.5.4.8',
  L: '2.5.4.7',
  UID: '0.9.2342.19200300.100.1.1',
  serialNumber: '2.5.4.5',
  emailAddress: '1.2.840.113549.1.9.1',
  DC: '0.9.2342.19200300.100.1.25',
};

export async function signCertificate(template: CertificateTemplate): Promise<ArrayBuffer> {
  const certificate = new pki.Certificate();
  await certificate.subjectPublicKeyInfo.importKey(template.keys.publicKey);
  const keyId = keyIdOf(certificate.subjectPublicKeyInfo);
  const signer = template.signer ?? {
    name: template.subject,
    keyId,
    key: template.keys.privateKey,
  };
  certificate.version = 2; // X.509 v3
  certificate.serialNumber = integer(template.serial);
  certificate.issuer = nameFrom(signer.name);
  certificate.subject = nameFrom(template.subject);
  certificate.notBefore = time(template.notBefore);
  certificate.notAfter = time(template.notAfter);
  certificate.extensions = [...template.extensions, ...keyIdentifiers(keyId, signer.keyId)];
  await certificate.sign(signer.key, template.hash ?? 'SHA-256');
  return certificate.toSchema(true).toBER();
}

export async function signRevocationList(
  signer: Signer,
  request: RevocationListRequest,
): Promise<ArrayBuffer> {
  const list = new pki.CertificateRevocationList();
  list.version = 1; // CRL v2
  list.issuer = nameFrom(signer.name);
  list.thisUpdate = time(request.thisUpdate);
  list.nextUpdate = time(request.nextUpdate);
  if (request.revoked.length > 0) {
    // RFC 5280 section 5.1.2.6: left out when there is nothing in it.
    list.revokedCertificates = request.revoked.map(
      ({ serial, at }) =>
        new pki.RevokedCertificate({ userCertificate: integer(serial), revocationDate: time(at) }),
    );
  }
  list.crlExtensions = new pki.Extensions({
    extensions: [
      authorityKeyIdentifier(signer.keyId),
      extension(pki.id_CRLNumber, asn1.Integer.fromBigInt(request.number).toBER()),
    ],
  });
  await list.sign(signer.key, 'SHA-256');
  return list.toSchema(true).toBER();
}

// One attribute in each RDN; pkijs would put all of them into one.
export function encodeName(parts: readonly NamePart[]): ArrayBuffer {
  return new asn1.Sequence({
    value: parts.map(
      ({ type, value }) =>
        new asn1.Set({
          value: [
            new asn1.Sequence({
              value: [new asn1.ObjectIdentifier({ value: NAME_OIDS[type] }), nameText(type, value)],
            }),
          ],
        }),
    ),
  }).toBER();
}

// String types as RFC 5280 appendix A.1 has them.
function nameText(type: NameType, value: string): asn1.AsnType {
  switch (type) {
    case 'C':
    case 'serialNumber':
      return new asn1.PrintableString({ value });
    case 'DC':
    case 'emailAddress':
      return new asn1.IA5String({ value });
    case 'CN':
    case 'O':
    case 'OU':
    case 'ST':
    case 'L':
    case 'UID':
      return new asn1.Utf8String({ value });
  }
}

export function basicConstraints(constraints: { readonly ca: boolean }): pki.Extension {
  const value = new pki.BasicConstraints({ cA: constraints.ca }).toSchema().toBER();
  return extension(pki.id_BasicConstraints, value, 'critical');
}

export function keyUsage(use: 'signs certificates' | 'signs handshakes'): pki.Extension {
  // RFC 5280 section 4.2.1.3: keyCertSign and cRLSign are bits 5 and 6, digitalSignature bit 0.
  const [bits, unusedBits] = use === 'signs certificates' ? [0x06, 1] : [0x80, 7];
  const value = new asn1.BitString({ valueHex: new Uint8Array([bits]), unusedBits });
  return extension(pki.id_KeyUsage, value.toBER(), 'critical');
}

export function extendedKeyUsage(oids: readonly string[]): pki.Extension {
  const usages = oids.map((value) => new asn1.ObjectIdentifier({ value }));
  return extension(pki.id_ExtKeyUsage, new asn1.Sequence({ value: usages }).toBER());
}

export function subjectAltName(names: AltNames): pki.Extension {
  const altNames = [
    ...(names.email ?? []).map((value) => new pki.GeneralName({ type: 1, value })),
    ...(names.dns ?? []).map((value) => new pki.GeneralName({ type: 2, value })),
    ...(names.uri ?? []).map((value) => new pki.GeneralName({ type: 6, value })),
    ...(names.ip ?? []).map((text) => {
      const value = new asn1.OctetString({ valueHex: addressBytes(text) });
      return new pki.GeneralName({ type: 7, value });
    }),
  ];
  const value = new pki.GeneralNames({ names: altNames }).toSchema();
  return extension(pki.id_SubjectAltName, value.toBER());
}

export function extension(
  oid: string,
  value: ArrayBuffer, // DER
  weight: 'critical' | 'ignorable' = 'ignorable',
): pki.Extension {
  return new pki.Extension({ extnID: oid, critical: weight === 'critical', extnValue: value });
}

export function keyIdOf(key: pki.PublicKeyInfo): ArrayBuffer {
  // RFC 7093 section 2, method 1: a name for the key, not a proof.
  const digest = createHash('sha256').update(key.subjectPublicKey.valueBlock.valueHexView).digest();
  return new Uint8Array(digest.subarray(0, 20)).buffer;
}

function keyIdentifiers(own: ArrayBuffer, issuers: ArrayBuffer): pki.Extension[] {
  return [
    extension(pki.id_SubjectKeyIdentifier, new asn1.OctetString({ valueHex: own }).toBER()),
    authorityKeyIdentifier(issuers),
  ];
}

function authorityKeyIdentifier(keyId: ArrayBuffer): pki.Extension {
  const keyIdentifier = new asn1.OctetString({ valueHex: keyId });
  const value = new pki.AuthorityKeyIdentifier({ keyIdentifier }).toSchema();
  return extension(pki.id_AuthorityKeyIdentifier, value.toBER());
}

function nameFrom(der: ArrayBuffer): pki.RelativeDistinguishedNames {
  return new pki.RelativeDistinguishedNames({ valueBeforeDecode: der });
}

function integer(hex: string): asn1.Integer {
  return asn1.Integer.fromBigInt(BigInt(`0x${hex}`));
}

// RFC 5280 section 4.1.2.5: UTCTime through 2049, GeneralizedTime after; whole seconds.
function time(at: number): pki.Time {
  const value = new Date(Math.floor(at / 1000) * 1000);
  return new pki.Time({ type: value.getUTCFullYear() < 2050 ? 0 : 1, value });
}

function addressBytes(text: string): Uint8Array<ArrayBuffer> {
  const family = isIP(text);
  if (family === 4) return Uint8Array.from(text.split('.'), Number);
  if (family !== 6 || text.includes('%')) throw new Error(`\`${text}\` is not an IP address`);
  // The URL parser writes every spelling (compressed, dotted tail) in hexadecimal groups.
  const [head = '', tail] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const first = groups(head);
  const last = groups(tail ?? '');
  const zeros = Array<string>(8 - first.length - last.length).fill('0');
  const hex = [...first, ...zeros, ...last].map((group) => group.padStart(4, '0')).join('');
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}
