// A certificate's DER → the plain facts an identity is decided on. Values are taken from the decoded
// bytes, never from a rendered subject: CVE-2021-44532 was a comma in the wrong place.
import { createHash } from 'node:crypto';
import type { CertificateFacts, NameValue } from '../decision/identity.ts';
import {
  contentsOf,
  type Der,
  DerError,
  encodingOf,
  expectSequence,
  expectTag,
  readBoolean,
  readChildren,
  readDer,
  readInteger,
  readOid,
  readTime,
  TAG,
} from './der.ts';

const MAX_BYTES = 65_536; // T17; real ones have 1 to 4 KiB
const MAX_SUBJECT_TEXT = 256;

const SUBJECT_TYPES: ReadonlyMap<string, string> = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
  ['1.2.840.113549.1.9.1', 'emailAddress'],
]);

const SUBJECT_ALT_NAME = '2.5.29.17';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const USER_PRINCIPAL_NAME = '1.3.6.1.4.1.311.20.2.3';

// Null is a certificate that is not strict DER, or says something twice.
export function readCertificate(raw: Buffer): CertificateFacts | null {
  if (raw.length > MAX_BYTES) return null;
  try {
    return readFacts(raw);
  } catch (error) {
    if (error instanceof DerError) return null;
    throw error;
  }
}

export function hashName(name: Der): string {
  return createHash('sha256').update(encodingOf(name)).digest('hex');
}

function readFacts(raw: Buffer): CertificateFacts {
  const [signed] = expectSequence(readDer(raw));
  const fields = [...expectSequence(signed)];
  if (fields[0]?.tag === 0xa0) fields.shift(); // [0] version
  const [serial, , issuer, validity, subjectName, , ...rest] = fields;
  const [notBefore, notAfter] = expectSequence(validity);
  const extensions = readExtensions(rest.find((field) => field.tag === 0xa3));
  const altNames = extensions.get(SUBJECT_ALT_NAME);
  const usages = extensions.get(EXTENDED_KEY_USAGE);
  const subject = readSubject(subjectName);
  return {
    fingerprint: createHash('sha256').update(raw).digest('hex'),
    serial: readInteger(serial),
    issuer: hashName(expectTag(issuer, TAG.sequence)),
    subject,
    altNames: altNames === undefined ? [] : expectSequence(altNames).map(readAltName),
    notBefore: readTime(notBefore),
    notAfter: readTime(notAfter),
    extendedKeyUsage: usages === undefined ? null : expectSequence(usages).map(readOid),
    subjectText: describe(subject),
  };
}

// The value of each extension by its OID. RFC 5280 section 4.2 allows each once: of two, each reader
// would believe another.
function readExtensions(field: Der | undefined): ReadonlyMap<string, Der> {
  const extensions = new Map<string, Der>();
  if (field === undefined) return extensions;
  for (const extension of expectSequence(readChildren(field)[0])) {
    const { oid, value } = readExtension(extension);
    if (extensions.has(oid)) throw new DerError('an extension stands twice');
    if (oid === SUBJECT_ALT_NAME || oid === EXTENDED_KEY_USAGE) {
      extensions.set(oid, readDer(contentsOf(value)));
    } else extensions.set(oid, value);
  }
  return extensions;
}

export function readExtension(extension: Der): {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Der;
} {
  const parts = expectSequence(extension);
  const critical = parts.length > 2 && readBoolean(parts[1]);
  return { oid: readOid(parts[0]), critical, value: expectTag(parts.at(-1), TAG.octetString) };
}

function readSubject(name: Der | undefined): readonly NameValue[] {
  return expectSequence(name).flatMap((rdn) => {
    const attributes = readChildren(expectTag(rdn, TAG.set));
    const mark = attributes.length > 1 ? '+' : '';
    return attributes.map((attribute) => {
      const [type, value] = expectSequence(attribute);
      const oid = readOid(type);
      if (value === undefined) throw new DerError('an attribute has no value');
      return { type: `${mark}${SUBJECT_TYPES.get(oid) ?? oid}`, value: readText(value) };
    });
  });
}

// GeneralName, RFC 5280 section 4.2.1.6.
function readAltName(name: Der): NameValue {
  switch (name.tag) {
    case 0x81:
      return { type: 'email', value: contentsOf(name).toString('latin1') };
    case 0x82:
      return { type: 'dns', value: contentsOf(name).toString('latin1') };
    case 0x86:
      return { type: 'uri', value: contentsOf(name).toString('latin1') };
    case 0x87:
      return { type: 'ip', value: readAddress(contentsOf(name)) };
    case 0xa0:
      return readOtherName(name);
    default:
      return { type: 'other', value: '' };
  }
}

function readOtherName(name: Der): NameValue {
  const [type, wrapped] = readChildren(name);
  if (readOid(type) !== USER_PRINCIPAL_NAME) return { type: 'other', value: '' };
  const [value] = readChildren(expectTag(wrapped, 0xa0));
  if (value === undefined) throw new DerError('an other name has no value');
  return { type: 'upn', value: readText(value) };
}

// String types X.520 lets a name have. What cannot be decoded becomes U+FFFD, which no identity may hold.
function readText(value: Der): string {
  const contents = contentsOf(value);
  switch (value.tag) {
    case 0x0c: // UTF8String
      return contents.toString('utf8');
    case 0x12: // NumericString
    case 0x13: // PrintableString
    case 0x14: // TeletexString
    case 0x16: // IA5String
      return contents.toString('latin1');
    case 0x1e: // BMPString
      return new TextDecoder('utf-16be', { ignoreBOM: true }).decode(contents);
    default:
      return `#${encodingOf(value).toString('hex')}`; // RFC 4514 section 2.4
  }
}

function readAddress(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  return bytes.toString('hex').replace(/.{4}(?=.)/g, '$&:');
}

function describe(subject: readonly NameValue[]): string {
  const text = subject.map(({ type, value }) => `${type}=${value}`).join(', ');
  // Log lines stay lines, whatever a certificate holds (A09).
  const visible = text.slice(0, MAX_SUBJECT_TEXT).replace(/[^\x20-\x7e]/g, escapeUnit);
  return text.length > MAX_SUBJECT_TEXT ? `${visible}…` : visible;
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
