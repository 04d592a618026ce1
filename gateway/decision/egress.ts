// Orders the addresses a device may leave from: out of one pool, the same order every time.

import type { Address } from '../../dtr-rules/address.ts';
import type { Sources } from './decision.ts';
import type { EgressPool } from './policy.ts';

/** Sticky per device. Rendezvous hashing: when an address joins or leaves the pool, only the devices that
 *  used or will use it move. The `unfit` come last and are not left out: that an address could not be used
 *  a moment ago is a reason to prefer its neighbours, not to refuse where there are none. */
export function chooseSources(
  deviceId: string,
  pool: EgressPool,
  unfit: ReadonlySet<string>,
): Sources {
  return { v4: rank(deviceId, pool, 4, unfit), v6: rank(deviceId, pool, 6, unfit) };
}

/** The addresses of a family, as a connection to one of that family needs them. */
export function sourcesOf(sources: Sources, family: Address['family']): readonly Address[] {
  return family === 4 ? sources.v4 : sources.v6;
}

function rank(
  deviceId: string,
  { addresses }: EgressPool,
  family: Address['family'],
  unfit: ReadonlySet<string>,
): readonly Address[] {
  const own = addresses.filter((address) => address.family === family);
  if (own.length < 2) return own;
  return own
    .map((address) => {
      const score = hash(`${deviceId} ${address.text}`);
      return { address, score: unfit.has(address.text) ? score - 2 ** 32 : score };
    })
    .sort((a, b) => b.score - a.score)
    .map(({ address }) => address);
}

/** FNV-1a over UTF-16 units with a final mix (the last characters of addresses differ least). */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
