// What is known about a request before anybody is asked: an id for it, and the hops it came over.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type Address, type AddressRange, compileAddressTable } from '../../dtr-rules/address.ts';
import { clientAddress, clientChain, type ForwardedField } from '../decision/client-address.ts';

export interface RequestFacts {
  readonly id: string; // on pages, in errors and in the log: the same
  readonly chain: readonly Address[];
  readonly client: Address | null;
  readonly isNamed: boolean; // by a trusted proxy; false: the client is whoever connected, or a proxy of ours
}

export type ReadFacts = (request: IncomingMessage) => RequestFacts;

export interface FactsOptions {
  readonly trustedProxies: readonly AddressRange[];
  readonly forwardedField: ForwardedField;
  readonly peerOf: (socket: Socket) => string | null; // who connected, or who a balancer says it was
}

// Invariant: the one place that reads addresses off a request. The provider's own `ctx.ip` is never used.
export function createFactsReader(options: FactsOptions): ReadFacts {
  const { trustedProxies, forwardedField: field, peerOf } = options;
  const trusted = compileAddressTable<true>(
    trustedProxies.map((range) => ({ range, value: true })),
  );
  const known = new WeakMap<IncomingMessage, RequestFacts>();
  return (request) => {
    const facts = known.get(request) ?? readFacts(request);
    known.set(request, facts);
    return facts;
  };

  function readFacts(request: IncomingMessage): RequestFacts {
    const fields = request.headersDistinct[field.toLowerCase()];
    const forwarded = fields === undefined ? null : fields.join(',');
    const chain = clientChain({ peer: peerOf(request.socket), field, forwarded }, trusted);
    const client = clientAddress(chain, trusted);
    const isNamed = chain.slice(0, -1).some((hop) => trusted.find(hop).length === 0);
    return { id: randomUUID(), chain, client, isNamed };
  }
}
