// What a webhook sender must show, compared in constant time (threats P11, A10).

import { sameSecret } from '../../runtime/secret.ts';

export type WebhookCredentials =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string };

export interface SenderCheck {
  readonly challenge: string; // for WWW-Authenticate
  isSender(authorization: string | undefined): boolean;
}

export function createSenderCheck(credentials: WebhookCredentials): SenderCheck {
  const wanted = authorizationOf(credentials);
  const scheme = credentials.kind === 'basic' ? 'Basic' : 'Bearer';
  return {
    challenge: `${scheme} realm="zonegate webhook"`,
    isSender: (authorization) => sameSecret(normalizeScheme(authorization ?? ''), wanted),
  };
}

function authorizationOf(credentials: WebhookCredentials): string {
  if (credentials.kind === 'bearer') {
    return `bearer ${requireSome(credentials.token)}`;
  }
  const pair = `${requireSome(credentials.username)}:${requireSome(credentials.password)}`;
  return `basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
}

// Empty credentials would be an open door.
function requireSome(text: string): string {
  if (text === '') throw new Error('webhook credentials must not be empty');
  return text;
}

// The scheme is case-insensitive (RFC 9110, 11.1); what follows is not.
function normalizeScheme(authorization: string): string {
  return authorization.replace(/^(basic|bearer) +/i, (scheme) => `${scheme.trim().toLowerCase()} `);
}
