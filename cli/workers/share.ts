// What a worker makes of the configuration: its share of the limits, and the ticket keys of all.

import type { Loaded } from '../../gateway/config/load.ts';
import type { Order } from './calls.ts';

// Each worker counts for itself: one count for all would need a question to the primary for every connection.
// Connections are dealt out in turn, so the shares fill evenly; a device may meet its limit early, never late.
const shared = [
  'tunnels',
  'tunnelsPerDevice',
  'newTunnelsPerDevice',
  'unauthenticated',
  'unauthenticatedPerSource',
  'connectionsPerSource',
  'handshakesPerCertificate',
] as const;

export function shareOf(loaded: Loaded, { workers, ticketKeys }: Order): Loaded {
  const { limits } = loaded.config;
  const parts = shared.map((key) => [key, Math.max(1, Math.floor(limits[key] / workers))] as const);
  return {
    ...loaded,
    tls: { ...loaded.tls, ticketKeys: Buffer.from(ticketKeys, 'base64') },
    config: { ...loaded.config, limits: { ...limits, ...Object.fromEntries(parts) } },
  };
}
