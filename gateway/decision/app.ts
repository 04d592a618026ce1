// Which application a request belongs to, as far as the one source that is believed says so.

import type { AppSource, Identity } from './identity.ts';

/** What was said outside the certificate, and where: believed for as long as that place is. */
export interface HeardApp {
  readonly source: AppSource | null;
  readonly app: string | null;
}

/** Bundle ids, package names, paths of Windows, subjects of publishers. */
export const appShape = /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/;

/** The certificate has been read by `identify`; what another source says counts only while it is the one believed. */
export function withApp(identity: Identity, heard: HeardApp, source: AppSource | null): Identity {
  if (source === null || heard.source === null || !isSame(source, heard.source)) return identity;
  return { ...identity, app: heard.app };
}

function isSame(a: AppSource, b: AppSource): boolean {
  if (a.from === 'header') return b.from === 'header' && a.name === b.name;
  return a.from === 'listener' && b.from === 'listener';
}
