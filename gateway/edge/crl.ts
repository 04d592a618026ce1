// Revocation lists: reading them fast, and taking only those an authority of ours has signed.
import { type KeyObject, verify, type X509Certificate } from 'node:crypto';
import type { RevocationList } from '../decision/revocation.ts';
import { hashName, readExtension } from './certificate.ts';
import {
  contentsOf,
  type Der,
  DerError,
  encodingOf,
  expectSequence,
  expectTag,
  readChildren,
  readDer,
  readInteger,
  readOid,
  readTime,
  TAG,
} from './der.ts';

export interface SignedRevocationList {
  readonly list: RevocationList;
  readonly signed: Buffer; // the bytes under the signature
  readonly signature: Buffer;
  readonly algorithm: string; // OID
}

export interface RevocationFile {
  readonly file: string;
  readonly bytes: Buffer;
}

export interface RevocationProblem {
  readonly file: string;
  readonly reason: string;
}

const ALGORITHMS: ReadonlyMap<string, { readonly key: 'ec' | 'rsa'; readonly hash: string }> =
  new Map([
    ['1.2.840.10045.4.3.2', { key: 'ec', hash: 'sha256' }],
    ['1.2.840.10045.4.3.3', { key: 'ec', hash: 'sha384' }],
    ['1.2.840.10045.4.3.4', { key: 'ec', hash: 'sha512' }],
    ['1.2.840.113549.1.1.11', { key: 'rsa', hash: 'sha256' }],
    ['1.2.840.113549.1.1.12', { key: 'rsa', hash: 'sha384' }],
    ['1.2.840.113549.1.1.13', { key: 'rsa', hash: 'sha512' }],
  ]);

const DELTA_INDICATOR = '2.5.29.27';
const ISSUING_DISTRIBUTION_POINT = '2.5.29.28';
const TIMES: ReadonlySet<number> = new Set([TAG.utcTime, TAG.generalizedTime]);
const PEM_BLOCK = /-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]*)-----END X509 CRL-----/g;

// All lists of all files, each signed by one of the authorities; or everything that is wrong.
export function adoptRevocationLists(
  files: readonly RevocationFile[],
  authorities: readonly X509Certificate[],
):
  | { readonly ok: true; readonly lists: ReadonlyMap<string, RevocationList> }
  | { readonly ok: false; readonly problems: readonly RevocationProblem[] } {
  const problems: RevocationProblem[] = [];
  const bySigner = new Map<X509Certificate, RevocationList>();
  for (const { file, bytes } of files) {
    const read = readRevocationLists(bytes);
    if (!read.ok) problems.push({ file, reason: read.reason });
    for (const signed of read.ok ? read.lists : []) {
      const reasons = authorities.map((authority) => verifyRevocationList(signed, authority));
      const signer = authorities[reasons.indexOf(null)];
      if (signer === undefined) problems.push({ file, reason: worstReason(reasons) });
      else keepNewest(bySigner, signer, signed.list);
    }
  }
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, lists: mergeByIssuer(bySigner.values()) };
}

export function readRevocationLists(
  bytes: Buffer,
):
  | { readonly ok: true; readonly lists: readonly SignedRevocationList[] }
  | { readonly ok: false; readonly reason: string } {
  try {
    const lists = splitPem(bytes).map(readList);
    if (lists.length === 0) return { ok: false, reason: 'holds no revocation list' };
    return { ok: true, lists };
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return { ok: false, reason: `not a usable revocation list: ${error.message}` };
  }
}

// Why the list is not one of this authority, or null when it is.
export function verifyRevocationList(
  signed: SignedRevocationList,
  authority: X509Certificate,
): string | null {
  if (signed.list.issuer !== subjectHash(authority)) return NO_AUTHORITY;
  if (!authority.ca) return 'its signer is not an authority';
  const algorithm = ALGORITHMS.get(signed.algorithm);
  if (algorithm === undefined) return `its signature algorithm ${signed.algorithm} is not accepted`;
  const key = authority.publicKey;
  if (!isKeyFor(key, algorithm.key)) return 'its signer has a key of another or a weak kind';
  return verify(algorithm.hash, signed.signed, key, signed.signature)
    ? null
    : 'its signature is not that of the authority it names';
}

const NO_AUTHORITY = 'no configured authority has the name of its issuer';

function worstReason(reasons: readonly (string | null)[]): string {
  return reasons.find((reason) => reason !== null && reason !== NO_AUTHORITY) ?? NO_AUTHORITY;
}

function isKeyFor(key: KeyObject, kind: 'ec' | 'rsa'): boolean {
  if (key.asymmetricKeyType !== kind) return false;
  return kind === 'ec' || (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048;
}

function subjectHash(authority: X509Certificate): string {
  const [signed] = expectSequence(readDer(authority.raw));
  const fields = expectSequence(signed);
  const subject = fields[fields[0]?.tag === 0xa0 ? 5 : 4];
  return hashName(expectTag(subject, TAG.sequence));
}

function splitPem(bytes: Buffer): readonly Buffer[] {
  if (bytes[0] === TAG.sequence) return [bytes];
  const text = bytes.toString('latin1');
  const blocks = [...text.matchAll(PEM_BLOCK)].map(([, base64 = '']) =>
    Buffer.from(base64, 'base64'),
  );
  // A block that is cut short must not pass as one list fewer.
  const begun = text.split('-----BEGIN ').length - 1;
  if (begun !== blocks.length) throw new DerError('a PEM block is cut short or of another kind');
  return blocks;
}

// CertificateList, RFC 5280 section 5.1.
function readList(der: Buffer): SignedRevocationList {
  const [signed, algorithm, signature] = expectSequence(readDer(der));
  const [version, innerAlgorithm, issuer, thisUpdate, nextUpdate, ...rest] = expectSequence(signed);
  if (readInteger(version) !== '1') throw new DerError('not of version 2');
  const oid = readAlgorithm(algorithm);
  if (readAlgorithm(innerAlgorithm) !== oid) throw new DerError('it names two algorithms');
  // Without it a list would stay in force for ever, were it withheld.
  if (nextUpdate === undefined || !TIMES.has(nextUpdate.tag)) throw new DerError('no next update');
  const entries = rest[0]?.tag === TAG.sequence ? rest[0] : undefined;
  refuseUnknown(rest.find((field) => field.tag === 0xa0));
  const list: RevocationList = {
    issuer: hashName(expectTag(issuer, TAG.sequence)),
    thisUpdate: readTime(thisUpdate),
    nextUpdate: readTime(nextUpdate),
    serials: new Set(entries === undefined ? [] : readChildren(entries).map(readEntry)),
  };
  const bits = contentsOf(expectTag(signature, TAG.bitString));
  if (signed === undefined || bits[0] !== 0) throw new DerError('odd signature');
  return { list, signed: encodingOf(signed), signature: bits.subarray(1), algorithm: oid };
}

function readEntry(entry: Der): string {
  const [serial, , extensions] = expectSequence(entry);
  if (extensions !== undefined) {
    for (const extension of expectSequence(extensions)) {
      // Above all certificateIssuer: the entry of an indirect list speaks of another authority.
      const { oid, critical } = readExtension(extension);
      if (critical) throw new DerError(`an entry has the critical extension ${oid}`);
    }
  }
  return readInteger(serial);
}

// A list that covers only a part (delta, one distribution point) would pass for the whole.
function refuseUnknown(field: Der | undefined): void {
  if (field === undefined) return;
  for (const extension of expectSequence(readChildren(field)[0])) {
    const { oid, critical } = readExtension(extension);
    if (oid === DELTA_INDICATOR) throw new DerError('a delta list');
    if (oid === ISSUING_DISTRIBUTION_POINT) throw new DerError('a list of a part only');
    if (critical) throw new DerError(`it has the critical extension ${oid}`);
  }
}

function readAlgorithm(value: Der | undefined): string {
  return readOid(expectSequence(value)[0]);
}

function keepNewest(
  bySigner: Map<X509Certificate, RevocationList>,
  signer: X509Certificate,
  list: RevocationList,
): void {
  const known = bySigner.get(signer);
  if (known === undefined || known.thisUpdate < list.thisUpdate) bySigner.set(signer, list);
}

// Two authorities of one name are one that has changed its key. A certificate says only the name, so
// what either has revoked is revoked, and both lists have to be in force.
function mergeByIssuer(lists: Iterable<RevocationList>): ReadonlyMap<string, RevocationList> {
  const merged = new Map<string, RevocationList>();
  for (const list of lists) {
    const other = merged.get(list.issuer);
    merged.set(list.issuer, other === undefined ? list : merge(other, list));
  }
  return merged;
}

function merge(a: RevocationList, b: RevocationList): RevocationList {
  return {
    issuer: a.issuer,
    thisUpdate: Math.max(a.thisUpdate, b.thisUpdate),
    nextUpdate: Math.min(a.nextUpdate ?? 0, b.nextUpdate ?? 0),
    serials: new Set([...a.serials, ...b.serials]),
  };
}
