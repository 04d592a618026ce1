// Where a request comes from: the socket's peer, and what declared proxies say about the hops before it.
import {
  type Address,
  type AddressTable,
  parseAddress,
  unmapped,
} from '../../dtr-rules/address.ts';

/** The one field our proxies set. Reading two would let a client speak in the one they leave alone. */
export const forwardedFields = ['X-Forwarded-For', 'Forwarded'] as const;
export type ForwardedField = (typeof forwardedFields)[number];

export interface Hops {
  readonly peer: string | null;
  readonly field: ForwardedField;
  readonly forwarded: string | null; // what the field says, repeated fields joined by commas
}

// Zones look at five hops and blocklists at each: more than any real way has, and no more work than that.
const MAX_READ = 32;
const MAX_ELEMENT = 1024;

// Invariant: a peer that is not declared says nothing about anybody but itself (threats I05). An entry nobody can
// read ends the chain there: skipping it would move the hops to its left closer to us than they are.
export function clientChain(hops: Hops, trusted: AddressTable<true>): readonly Address[] {
  const peer = parseHop(hops.peer ?? '');
  if (peer === null) return [];
  if (hops.forwarded === null || trusted.find(peer).length === 0) return [peer];
  const chain = [peer];
  const takeLast = hops.field === 'Forwarded' ? takeElement : takeEntry;
  let rest: string | null = hops.forwarded;
  while (rest !== null && chain.length < MAX_READ) {
    const taken: Taken | null = takeLast(rest);
    const hop = taken === null ? null : parseNode(taken.node);
    if (taken === null || hop === null) break;
    chain.unshift(hop);
    rest = taken.rest;
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

interface Taken {
  readonly node: string;
  readonly rest: string | null; // to the left; null when there is nothing
}

// What is between the blanks around it. Cutting off blanks at the end by a search for them is quadratic: a field of
// 16 KB of blanks took 0.4 s.
const visible = /[^ \t](?:.*[^ \t])?/s;

function takeEntry(text: string): Taken {
  const comma = text.lastIndexOf(',');
  const [node = ''] = visible.exec(text.slice(comma + 1)) ?? [];
  return { node, rest: comma === -1 ? null : text.slice(0, comma) };
}

// RFC 7239 section 4: pairs joined by `;`, a value being a token or a quoted string.
const pair = /[!#$%&'*+.^_`|~\w-]+=(?:[!#$%&'*+.^_`|~\w-]+|"(?:[^"\\]|\\.)*")/.source;
const element = new RegExp(`^[ \\t]*(${pair}(?:;${pair})*)[ \\t]*$`, 's');
const onePair = new RegExp(pair, 'gs');

// From the right, because only what our own proxy has added there is sure to be well formed: read from the left, a
// quotation mark sent by the client would swallow it.
function takeElement(text: string): Taken | null {
  for (let end = text.length; end > 0; ) {
    const comma = text.lastIndexOf(',', end - 1);
    const candidate = text.slice(comma + 1);
    if (candidate.length > MAX_ELEMENT) return null;
    const [, pairs] = element.exec(candidate) ?? [];
    if (pairs !== undefined) {
      const node = forOf(pairs);
      return node === null ? null : { node, rest: comma === -1 ? null : text.slice(0, comma) };
    }
    end = comma;
  }
  return null;
}

function forOf(pairs: string): string | null {
  const values = [...pairs.matchAll(onePair)].flatMap(([one]) =>
    /^for=/i.test(one) ? [one.slice('for='.length)] : [],
  );
  const [value, ...others] = values;
  if (value === undefined || others.length > 0) return null;
  return value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/gs, '$1') : value;
}

// RFC 7239 section 6: an address with or without a port. Not `unknown` and not `_hidden`: they name nobody.
function parseNode(text: string): Address | null {
  const [, bracketed] = /^\[([^\]]*)\](?::(?:\d{1,5}|_[\w.-]+))?$/.exec(text) ?? [];
  if (bracketed !== undefined) return bracketed.includes(':') ? parseHop(bracketed) : null;
  const [, dotted] = /^([\d.]+):(?:\d{1,5}|_[\w.-]+)$/.exec(text) ?? [];
  return parseHop(dotted ?? text);
}

// A dual-stack socket shows an IPv4 peer as ::ffff:a.b.c.d (RFC 4291 2.5.5.2); zones speak of the IPv4 address.
function parseHop(text: string): Address | null {
  const address = parseAddress(text);
  return address === null ? null : unmapped(address);
}
