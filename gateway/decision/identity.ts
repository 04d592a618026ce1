// Who a device is: the facts of its certificate → one identity, or the reason why there is none.
import { judgeRevocation, type Revocation } from './revocation.ts';

// subject: 'CN', 'O', 'OU', 'C', 'ST', 'L', 'UID', 'serialNumber', 'emailAddress', 'DC', else the
// dotted OID; a part of a multi-valued RDN has a plus before it (`+CN`). Alternative names: 'dns',
// 'uri', 'email', 'ip', 'upn', else 'other'.
export interface NameValue {
  readonly type: string;
  readonly value: string;
}

export interface CertificateFacts {
  readonly fingerprint: string; // SHA-256 of the DER, lower hex
  readonly serial: string; // lower hex, no leading zeros
  readonly issuer: string; // SHA-256 hex of the DER issuer name
  readonly subject: readonly NameValue[];
  readonly altNames: readonly NameValue[];
  readonly notBefore: number;
  readonly notAfter: number;
  readonly extendedKeyUsage: readonly string[] | null;
  readonly subjectText: string; // for logs only: identities are never taken from it
}

export interface PeerFacts {
  readonly certificate: CertificateFacts | null;
  readonly issuers: readonly CertificateFacts[]; // intermediates up to, and with, the anchor
  readonly trust: 'trusted' | (string & {}); // else a code: OpenSSL's, or UNREADABLE_CERTIFICATE
  readonly resumed: boolean;
}

export interface FieldRef {
  readonly from: 'subject' | 'altName';
  readonly type: string;
  readonly pattern: string; // a literal prefix and one star, which stands for the value
}

// Which application a request belongs to: a certificate for each, a listener for each, or a header field
// that the profile sets, its name in lower case.
export type AppSource =
  | FieldRef
  | { readonly from: 'listener' }
  | { readonly from: 'header'; readonly name: string };

export interface IdentityPolicy {
  readonly deviceId: FieldRef;
  readonly user: FieldRef | null;
  readonly serial: FieldRef | null;
  readonly app: AppSource | null;
  // Fingerprints of the authorities trusted now; a connection older than a change was verified under others.
  readonly anchors: ReadonlySet<string>;
  readonly allowedFingerprints: ReadonlySet<string> | null;
  readonly blockedFingerprints: ReadonlySet<string>;
  readonly revocation: Revocation;
}

export interface Identity {
  readonly deviceId: string;
  readonly user: string | null;
  readonly serial: string | null;
  readonly app: string | null;
  readonly fingerprint: string;
  readonly certificateSerial: string;
  readonly subjectText: string;
  readonly notAfter: number;
}

export type IdentityReason =
  | 'identity.no_certificate'
  | 'identity.untrusted'
  | 'identity.not_yet_valid'
  | 'identity.expired'
  | 'identity.wrong_purpose'
  | 'identity.revoked'
  | 'identity.revocation_unknown'
  | 'identity.not_listed'
  | 'identity.unmapped';

interface Unidentified {
  readonly ok: false;
  readonly reason: IdentityReason;
  readonly by: string | null;
}

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

// OpenSSL's codes for which there is a better word than "untrusted".
const REASON_OF_CODE: ReadonlyMap<string, IdentityReason> = new Map([
  ['CERT_NOT_YET_VALID', 'identity.not_yet_valid'],
  ['CERT_HAS_EXPIRED', 'identity.expired'],
  ['INVALID_PURPOSE', 'identity.wrong_purpose'],
  ['CERT_REVOKED', 'identity.revoked'],
  ['UNABLE_TO_GET_CRL', 'identity.revocation_unknown'],
  ['CRL_NOT_YET_VALID', 'identity.revocation_unknown'],
  ['CRL_HAS_EXPIRED', 'identity.revocation_unknown'],
]);

// ASCII only, matched whole, never trimmed (T09). An id begins and ends with a letter or digit, so
// that it is neither `..` nor `__proto__`.
const DEVICE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{2,126}[A-Za-z0-9]$/;
const USER = /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,254}$/;
const SERIAL = /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}[A-Za-z0-9]$/;
const APP = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

export function identify(peer: PeerFacts, policy: IdentityPolicy, now: number): Mapped {
  const { certificate } = peer;
  if (certificate === null) {
    // A session begun without a certificate may be resumed as "authorized" (T12).
    if (peer.trust === 'UNREADABLE_CERTIFICATE') return refuse('identity.untrusted', peer.trust);
    return refuse('identity.no_certificate', null);
  }
  return (
    judgeCertificate(peer, certificate, policy.anchors, now) ??
    judgeLists(peer, certificate, policy, now) ??
    fieldsOf(certificate, policy)
  );
}

// The device that a refused certificate of ours names: for the log, so that a revoked device can be found.
export function claimedDevice(peer: PeerFacts, policy: IdentityPolicy): string | null {
  if (peer.certificate === null || peer.trust !== 'trusted') return null;
  const mapped = fieldsOf(peer.certificate, policy);
  return mapped.ok ? mapped.identity.deviceId : null;
}

// A resumed session carries the verdict of its first handshake: what time can change is judged again.
function judgeCertificate(
  peer: PeerFacts,
  certificate: CertificateFacts,
  anchors: ReadonlySet<string>,
  now: number,
): Unidentified | null {
  if (peer.trust !== 'trusted') {
    return refuse(REASON_OF_CODE.get(peer.trust) ?? 'identity.untrusted', peer.trust);
  }
  const anchor = peer.issuers.at(-1);
  if (anchor !== undefined && !anchors.has(anchor.fingerprint)) {
    return refuse('identity.untrusted', anchor.fingerprint);
  }
  for (const link of [certificate, ...peer.issuers]) {
    if (now < link.notBefore) return refuse('identity.not_yet_valid', link.fingerprint);
    if (now > link.notAfter) return refuse('identity.expired', link.fingerprint);
  }
  // anyExtendedKeyUsage is not enough: it is what a careless template gives to everything.
  if (certificate.extendedKeyUsage?.includes(CLIENT_AUTH) !== true) {
    return refuse('identity.wrong_purpose', certificate.fingerprint);
  }
  return null;
}

function judgeLists(
  peer: PeerFacts,
  certificate: CertificateFacts,
  policy: IdentityPolicy,
  now: number,
): Unidentified | null {
  const { fingerprint } = certificate;
  if (policy.blockedFingerprints.has(fingerprint)) return refuse('identity.revoked', fingerprint);
  switch (judgeRevocation([certificate, ...peer.issuers], policy.revocation, now)) {
    case 'revoked':
      return refuse('identity.revoked', fingerprint);
    case 'unknown':
      return refuse('identity.revocation_unknown', fingerprint);
    case null:
  }
  if (policy.allowedFingerprints?.has(fingerprint) === false) {
    return refuse('identity.not_listed', fingerprint);
  }
  return null;
}

type Mapped = { readonly ok: true; readonly identity: Identity } | Unidentified;

// A certificate's fields never change: under one policy they are mapped once, not three times for every tunnel.
const mappings = new WeakMap<
  CertificateFacts,
  { readonly policy: IdentityPolicy; readonly mapped: Mapped }
>();

function fieldsOf(certificate: CertificateFacts, policy: IdentityPolicy): Mapped {
  const known = mappings.get(certificate);
  if (known?.policy === policy) return known.mapped;
  const mapped = mapFields(certificate, policy);
  mappings.set(certificate, { policy, mapped });
  return mapped;
}

function mapFields(certificate: CertificateFacts, policy: IdentityPolicy): Mapped {
  const deviceId = readField(certificate, policy.deviceId, DEVICE_ID);
  if (deviceId === null) return refuse('identity.unmapped', 'deviceId');
  // A field that is asked for must be there: whoever lacks it is not the same as whoever needs none.
  const user = policy.user && readField(certificate, policy.user, USER);
  if (policy.user !== null && user === null) return refuse('identity.unmapped', 'user');
  const serial = policy.serial && readField(certificate, policy.serial, SERIAL);
  if (policy.serial !== null && serial === null) return refuse('identity.unmapped', 'serial');
  const field = fieldOf(policy.app);
  const app = field && readField(certificate, field, APP);
  if (field !== null && app === null) return refuse('identity.unmapped', 'app');
  const identity: Identity = {
    // One spelling before caches, the UEM, limits and logs (T10).
    deviceId: deviceId.toLowerCase(),
    user: user === null ? null : user.toLowerCase(),
    serial: serial === null ? null : serial.toUpperCase(),
    app,
    fingerprint: certificate.fingerprint,
    certificateSerial: certificate.serial,
    subjectText: certificate.subjectText,
    notAfter: certificate.notAfter,
  };
  return { ok: true, identity };
}

// Null where something else than the certificate tells the application, or nothing does: see `withApp`.
function fieldOf(source: AppSource | null): FieldRef | null {
  return source?.from === 'subject' || source?.from === 'altName' ? source : null;
}

// The one value of a field, or null when there is none, more than one, or one of another shape.
function readField(certificate: CertificateFacts, field: FieldRef, shape: RegExp): string | null {
  const names = field.from === 'subject' ? certificate.subject : certificate.altNames;
  if (!field.pattern.endsWith('*')) return null;
  // Readers differ on which part of a multi-valued RDN counts, so none does.
  if (names.some((name) => name.type === `+${field.type}`)) return null;
  const prefix = field.pattern.slice(0, -1);
  const values = names.filter((name) => name.type === field.type && isMeant(name, field, prefix));
  const [only] = values;
  if (only === undefined || values.length > 1 || !only.value.startsWith(prefix)) return null;
  const value = only.value.slice(prefix.length);
  return shape.test(value) ? value : null;
}

// A subject has each field once. Alternative names come side by side (a UEM's own URI and Microsoft's
// SID): there the prefix tells which is meant.
function isMeant(name: NameValue, field: FieldRef, prefix: string): boolean {
  return field.from === 'subject' || name.value.startsWith(prefix);
}

function refuse(reason: IdentityReason, by: string | null): Unidentified {
  return { ok: false, reason, by };
}
