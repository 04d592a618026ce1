// Chooses the address a device leaves from: out of one pool, the same one every time.

import type { Address } from '../../dtr-rules/address.ts';
import type { Sources } from './decision.ts';
import type { EgressPool } from './policy.ts';

/** One address per family, sticky per device. Rendezvous hashing: when an address joins or leaves
 *  the pool, only the devices that used or will use that address move. */
export function chooseSources(deviceId: string, pool: EgressPool): Sources {
  return {
    v4: highest(deviceId, pool.addresses, 4),
    v6: highest(deviceId, pool.addresses, 6),
  };
}

function highest(
  deviceId: string,
  addresses: readonly Address[],
  family: Address['family'],
): Address | null {
  let best: Address | null = null;
  let bestScore = -1;
  for (const address of addresses) {
    if (address.family !== family) continue;
    const score = hash(`${deviceId} ${address.text}`);
    if (score > bestScore) {
      best = address;
      bestScore = score;
    }
  }
  return best;
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
