// What a worker makes of the configuration: its share of the limits it cannot share, and the ticket keys of all.

import type { Loaded } from '../../gateway/config/load.ts';
import type { Order } from './calls.ts';

/** Connections of nobody identified yet come and go in milliseconds: to tell others of them would cost more than they
 *  do. They are dealt out in turn, so a total fills evenly; those of one source only nearly so. Where too many means
 *  that the oldest makes room, too small a share would cost honest devices theirs. */
export function shareOf(loaded: Loaded, { workers, ticketKeys }: Order): Loaded {
  const { limits } = loaded.config;
  return {
    ...loaded,
    tls: { ...loaded.tls, ticketKeys: Buffer.from(ticketKeys, 'base64') },
    config: {
      ...loaded.config,
      limits: {
        ...limits,
        unauthenticated: Math.ceil(limits.unauthenticated / workers),
        unauthenticatedPerSource: unevenShare(limits.unauthenticatedPerSource, workers),
      },
    },
  };
}

/** Of that many, dealt out at random, one worker in a thousand gets more. */
function unevenShare(limit: number, workers: number): number {
  const even = limit / workers;
  return Math.min(limit, Math.ceil(even + 3 * Math.sqrt(even)));
}
