// What is known about a request before anybody is asked: an id for it, and the hops it came over.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type Address, type AddressRange, compileAddressTable } from '../../dtr-rules/address.ts';
import { clientAddress, clientChain } from '../decision/client-address.ts';

export interface RequestFacts {
  readonly id: string; // on pages, in errors and in the log: the same
  readonly chain: readonly Address[];
  readonly client: Address | null;
}

export type ReadFacts = (request: IncomingMessage) => RequestFacts;

// Invariant: the one place that reads addresses off a request. The provider's own `ctx.ip` is never used.
export function createFactsReader(trustedProxies: readonly AddressRange[]): ReadFacts {
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
    const field = request.headers['x-forwarded-for'];
    const forwardedFor = Array.isArray(field) ? field.join(',') : (field ?? null);
    const chain = clientChain(
      { peer: request.socket.remoteAddress ?? null, forwardedFor },
      trusted,
    );
    return { id: randomUUID(), chain, client: clientAddress(chain, trusted) };
  }
}
