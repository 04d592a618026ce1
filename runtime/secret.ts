// What counts as a secret, what stands in its place in print, and comparing without telling by time.
import { createHash, timingSafeEqual } from 'node:crypto';

// Long enough that taking it out of log lines does not take out ordinary words too.
export const SHORTEST_SECRET = 8;

export const REMOVED = '[secret]';

// Hashes have one length, so neither the length of a secret nor a common beginning shows in the time.
export function sameSecret(given: string, wanted: string): boolean {
  return timingSafeEqual(sha256(given), sha256(wanted));
}

// Every one is compared: stopping at the first match would tell which one it was.
export function isOneOfSecrets(given: string, wanted: readonly string[]): boolean {
  let found = false;
  for (const secret of wanted) found = sameSecret(given, secret) || found;
  return found;
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
