// Owns the address of a device's PAC file for fetchers that present no certificate: who it is for, and proof that we said so.

import { createHmac } from 'node:crypto';
import { sameSecret } from '../../runtime/secret.ts';

/** The path below the gateway's address. */
export function pacPath(deviceId: string, secret: string): string {
  return `/pac/${Buffer.from(deviceId).toString('base64url')}.${proofOf(deviceId, secret)}.pac`;
}

/** Null for everything that was not made with the secret. */
export function deviceOfToken(token: string, secret: string): string | null {
  const [, encoded = '', proof] = /^([\w-]{1,512})\.([\w-]{22})$/.exec(token) ?? [];
  if (proof === undefined) return null;
  const deviceId = Buffer.from(encoded, 'base64url').toString();
  return sameSecret(proof, proofOf(deviceId, secret)) ? deviceId : null;
}

/** 128 bits: nobody guesses them, and the address stays short. */
function proofOf(deviceId: string, secret: string): string {
  const proof = createHmac('sha256', secret).update(`zonegate pac\0${deviceId}`).digest();
  return proof.subarray(0, 16).toString('base64url');
}
