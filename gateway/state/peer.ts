// Takes over what other gateways have learnt of devices, in batches, for as long as the store answers.

import type { Log } from '../../runtime/log.ts';
import type { PostureReport } from '../decision/posture.ts';
import type { PostureCache } from '../posture/cache.ts';
import type { PosturePeer } from './device-state.ts';
import type { PostureRows } from './posture-rows.ts';

export interface PeerOptions {
  readonly rows: Pick<PostureRows, 'read' | 'load'>;
  readonly cache: Pick<PostureCache, 'take' | 'peek' | 'refresh'>;
  /** An inventory is this machine's own: what another machine's says is only a reason to look. */
  readonly believes: boolean;
  readonly log: Log;
}

const keysAtOnce = 500;
const none: ReadonlyMap<string, PostureReport> = new Map();

export function createPeer({ rows, cache, believes, log }: PeerOptions): PosturePeer {
  const waiting = new Set<string>();
  let isReading = false;

  /** Nothing is known of it any more, or it is not for us to believe. */
  async function lookAgain(deviceId: string): Promise<void> {
    if (cache.peek(deviceId) !== undefined) await cache.refresh(deviceId);
  }
  async function readAll(): Promise<void> {
    while (waiting.size > 0) {
      const keys = [...waiting].slice(0, keysAtOnce);
      for (const key of keys) waiting.delete(key);
      const reports = believes ? await rows.read(keys).catch(unread) : none;
      for (const deviceId of keys) {
        const report = reports.get(deviceId);
        if (report === undefined) lookAgain(deviceId).catch(failed);
        else cache.take(report);
      }
    }
  }
  async function everything(): Promise<void> {
    if (!believes) return;
    for await (const report of rows.load()) cache.take(report);
  }
  // The store is gone, which it says itself; all is read again when it is back.
  function failed(error: unknown): void {
    log.warn({ err: error }, 'what other gateways have learnt could not be read');
  }
  // Slow, and not gone, it would not be read again: whoever told this is not asked, the source is.
  function unread(error: unknown): typeof none {
    failed(error);
    return none;
  }

  return {
    learnt(deviceIds) {
      for (const deviceId of deviceIds) waiting.add(deviceId);
      if (isReading) return;
      isReading = true;
      readAll()
        .catch(failed)
        .finally(() => {
          isReading = false;
        });
    },
    missed: () => void everything().catch(failed),
  };
}
