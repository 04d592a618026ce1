// Checks that a PEM certificate and a PEM key can be read and belong together, before anything listens with them.

import { createPrivateKey, X509Certificate } from 'node:crypto';

/** What is wrong with the pair, or null. Never any of the key itself. */
export function keyPairTrouble(certificate: string, key: string): string | null {
  let x509: X509Certificate;
  try {
    x509 = new X509Certificate(certificate);
  } catch {
    return 'the certificate cannot be read, expected PEM with the own one first';
  }
  try {
    return x509.checkPrivateKey(createPrivateKey(key))
      ? null
      : 'the key is not that of the certificate';
  } catch {
    return 'the key cannot be read, expected PEM without a passphrase';
  }
}
