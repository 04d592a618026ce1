// Where a request comes from: the socket's peer, and what declared proxies say about the hops before it.
import {
  type Address,
  type AddressTable,
  parseAddress,
  unmapped,
} from '../../dtr-rules/address.ts';
import { MAX_HOPS } from './zone.ts';

export interface Hops {
  readonly peer: string | null;
  readonly forwardedFor: string | null; // X-Forwarded-For, repeated fields joined by commas
}

// Invariant: a peer that is not declared says nothing about anybody but itself (threats I05). An entry nobody can
// read ends the chain there: skipping it would move the hops to its left closer to us than they are.
export function clientChain(hops: Hops, trusted: AddressTable<true>): readonly Address[] {
  const peer = parseHop(hops.peer ?? '');
  if (peer === null) return [];
  if (hops.forwardedFor === null || trusted.find(peer).length === 0) return [peer];
  const chain = [peer];
  for (const entry of hops.forwardedFor.split(',').reverse()) {
    const hop = parseHop(entry.replace(/^[ \t]+|[ \t]+$/g, ''));
    if (hop === null || chain.length > MAX_HOPS) break; // one more than is judged shows that there were too many
    chain.unshift(hop);
  }
  return chain;
}

// The one address to count attempts by and to write into the log: the rightmost that is not a proxy of ours.
export function clientAddress(
  chain: readonly Address[],
  trusted: AddressTable<true>,
): Address | null {
  return chain.findLast((hop) => trusted.find(hop).length === 0) ?? chain[0] ?? null;
}

// A dual-stack socket shows an IPv4 peer as ::ffff:a.b.c.d (RFC 4291 2.5.5.2); zones speak of the IPv4 address.
function parseHop(text: string): Address | null {
  const address = parseAddress(text);
  return address === null ? null : unmapped(address);
}
