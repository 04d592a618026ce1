// Knows the endings of names that strangers share, from the public suffix list.

import { getPublicSuffix, parse } from 'tldts';

/** `com` and `co.uk` of registries, `github.io` and `azurewebsites.net` of hosting companies; null for a name of somebody's own. */
export function sharedBy(name: string): 'registry' | 'hosting' | null {
  if (getPublicSuffix(name, { allowPrivateDomains: true }) !== name) return null;
  return parse(name, { allowPrivateDomains: true }).isPrivate === true ? 'hosting' : 'registry';
}
