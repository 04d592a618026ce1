// Whether a certificate chain still holds, judged by the revocation lists of its authorities.
import type { CertificateFacts } from './identity.ts';

export interface RevocationList {
  readonly issuer: string; // SHA-256 hex of the DER name of the authority that signed it
  readonly thisUpdate: number;
  readonly nextUpdate: number | null;
  readonly serials: ReadonlySet<string>; // lower hex, no leading zeros
}

export type Revocation =
  | { readonly mode: 'off' }
  | { readonly mode: 'lists'; readonly lists: ReadonlyMap<string, RevocationList> }; // by issuer

// The chain runs from the device's certificate to the anchor. The anchor is trusted by being
// configured, so nobody can revoke it; every other link wants a list of its issuer that is in force.
export function judgeRevocation(
  chain: readonly CertificateFacts[],
  revocation: Revocation,
  now: number,
): 'revoked' | 'unknown' | null {
  if (revocation.mode === 'off') return null;
  const { lists } = revocation;
  const isRevoked = (link: CertificateFacts): boolean =>
    // A serial means something only beside its issuer: two authorities may use the same one (T19).
    lists.get(link.issuer)?.serials.has(link.serial) === true;
  if (chain.some(isRevoked)) return 'revoked';
  const judged = chain.slice(0, -1);
  if (judged.length === 0) return 'unknown'; // nobody is known to have vouched for it
  return judged.every((link) => isInForce(lists.get(link.issuer), now)) ? null : 'unknown';
}

function isInForce(list: RevocationList | undefined, now: number): boolean {
  if (list === undefined || list.nextUpdate === null) return false;
  return list.thisUpdate <= now && now < list.nextUpdate;
}
