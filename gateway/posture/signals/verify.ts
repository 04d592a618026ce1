// Whether a token is a security event of the configured sender for us; what it says is read elsewhere.

import { compactVerify, decodeProtectedHeader, errors } from 'jose';
import { type Fields, fieldsOf } from '../uem-answer.ts';
import type { FindKey, IssuerKeys } from './issuer-keys.ts';

/** RFC 8935 section 2.4. */
export type SetError =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed';

export type Verified =
  | { readonly kind: 'claims'; readonly claims: Fields }
  | { readonly kind: 'refused'; readonly err: SetError; readonly description: string }
  /** Its keys cannot be had now: the sender is to try again. */
  | { readonly kind: 'no_keys' };

/** All asymmetric: with a shared secret, whoever can check could also sign. */
export const SIGNATURES = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;

export interface Sender {
  readonly issuer: string;
  /** Any of these is us. */
  readonly audience: readonly string[];
  readonly algorithms: readonly string[];
}

// RFC 8417 section 2.3; media types compare without case, and may be written whole.
const TYPE = /^(application\/)?secevent\+jwt$/i;

export async function verifyToken(
  text: string,
  sender: Sender,
  keys: IssuerKeys,
): Promise<Verified> {
  const token = text.trim();
  const found = readHeader(token);
  if (typeof found === 'string') return refused('invalid_request', found);
  const wrong = checkHeader(found, sender);
  if (wrong !== null) return wrong;
  // Before the signature: no work for what is meant for somebody else, and the sender learns what to change.
  const claims = readClaims(token);
  if (claims === null) return refused('invalid_request', 'the payload is not a JSON object');
  if (claims.get('iss') !== sender.issuer)
    return refused('invalid_issuer', 'the issuer is not the one of this endpoint');
  if (!isForUs(claims.get('aud'), sender.audience))
    return refused('invalid_audience', 'the audience is not the one of this endpoint');
  return await checkSignature(token, claims, { sender, keys });
}

function readHeader(token: string): Fields | string {
  if (token.split('.').length !== 3) return 'expected one signed JWT in compact form';
  try {
    return new Map(Object.entries(decodeProtectedHeader(token)));
  } catch {
    return 'the header of the token cannot be read';
  }
}

function checkHeader(header: Fields, { algorithms }: Sender): Verified | null {
  const type = header.get('typ');
  // An ID token or access token of the same issuer is no event, nor the reverse (threats I04).
  if (typeof type !== 'string' || !TYPE.test(type))
    return refused('invalid_request', 'expected `typ` to be `secevent+jwt`');
  const algorithm = header.get('alg');
  if (typeof algorithm !== 'string' || !algorithms.includes(algorithm))
    return refused('invalid_key', `expected \`alg\` to be one of ${algorithms.join(', ')}`);
  return header.has('crit') ? refused('invalid_request', '`crit` is not understood here') : null;
}

function readClaims(token: string): Fields | null {
  const [, payload = ''] = token.split('.');
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(
      Buffer.from(payload, 'base64url'),
    );
    return fieldsOf(JSON.parse(text));
  } catch {
    return null;
  }
}

function isForUs(audience: unknown, ours: readonly string[]): boolean {
  const given: readonly unknown[] = Array.isArray(audience) ? audience : [audience];
  return given.some((one) => typeof one === 'string' && ours.includes(one));
}

async function checkSignature(
  token: string,
  claims: Fields,
  { sender, keys }: { readonly sender: Sender; readonly keys: IssuerKeys },
): Promise<Verified> {
  const algorithms = [...sender.algorithms];
  const check = async (find: FindKey) => {
    try {
      // Only keys of ours are looked at, never one the token brings: `find` ignores `jwk`, `jku` and `x5c`.
      await compactVerify(token, find, { algorithms });
      return null;
    } catch (error) {
      return error;
    }
  };
  const known = await keys.current();
  if (known === null) return { kind: 'no_keys' };
  let trouble = await check(known);
  if (trouble instanceof errors.JWKSNoMatchingKey) {
    const newer = await keys.newer();
    if (newer !== null && newer !== known) trouble = await check(newer);
  }
  if (trouble === null) return { kind: 'claims', claims };
  if (trouble instanceof errors.JWSSignatureVerificationFailed)
    return refused('authentication_failed', 'the signature does not fit');
  return refused('invalid_key', 'no key of the issuer fits this token');
}

function refused(err: SetError, description: string): Verified {
  return { kind: 'refused', err, description };
}
