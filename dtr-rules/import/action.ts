// Owns what the vendor's actions become: what cannot be carried stands as BLOCK, so that nothing passes by mistake.

import type { Action } from '../rule.ts';
import { lose, type Notes, readHostPort, upstreamNamed } from './imported.ts';

export interface VendorAction {
  readonly type: string;
  readonly host: string | null;
  readonly authentication: string | null;
  readonly place: string;
}

export interface CarriedAction {
  readonly action: Action;
  readonly upstream: string | null;
  /** For the rule's description, where it is not what it was. */
  readonly note: string | null;
}

export function carryAction(vendor: VendorAction, notes: Notes): CarriedAction {
  const type = vendor.type.toUpperCase();
  switch (type) {
    case 'TUNNEL':
    case 'BYPASS':
    case 'BLOCK':
      return { action: type, upstream: null, note: null };
    case 'PROXY':
    case 'TUNNELPROXY':
      return carryProxy(vendor, type, notes);
    default:
      return blocked(vendor, `the action ${type} has no counterpart`, notes);
  }
}

function carryProxy(vendor: VendorAction, type: string, notes: Notes): CarriedAction {
  const authentication = (vendor.authentication ?? 'NONE').toUpperCase();
  if (authentication !== 'NONE' && authentication !== 'BASIC') {
    return blocked(
      vendor,
      `${type} with ${authentication} sign-in: upstream proxies are asked with Basic or without`,
      notes,
    );
  }
  const at = readHostPort(vendor.host ?? '');
  if (at === null)
    return blocked(vendor, `${type} without a proxy that can be read as \`host:port\``, notes);
  const username = authentication === 'BASIC' ? '' : null;
  const upstream = upstreamNamed(notes, vendor.place, { ...at, wanted: at.host, username });
  return { action: 'PROXY', upstream, note: type === 'PROXY' ? null : 'was TUNNELPROXY' };
}

function blocked(vendor: VendorAction, what: string, notes: Notes): CarriedAction {
  lose(notes, vendor.place, what, 'the rule stands as BLOCK: give it an action, or take it out');
  return { action: 'BLOCK', upstream: null, note: `was ${vendor.type.toUpperCase()}` };
}
