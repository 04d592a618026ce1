// The one way in for "this device may have changed": its source is asked again, whoever said so and however often.

import type { Log } from '../../runtime/log.ts';
import type { PostureCache } from './cache.ts';
import { createRefreshQueue } from './refresh-queue.ts';

export interface DeviceChanges {
  /** The source is asked again about each. False when too many wait: the sender must be told to come again.
   *  With `doubted`, the last report earns no grace if the source turns out to be silent. */
  announce(deviceIds: readonly string[], how?: { readonly doubted: boolean }): boolean;
  close(): void;
}

export interface DeviceChangesOptions {
  readonly cache: Pick<PostureCache, 'refreshMany' | 'together' | 'distrust'>;
  readonly log: Log;
  readonly maxInFlight?: number;
  readonly maxPending?: number;
  readonly retryMs?: number;
}

export function createDeviceChanges(options: DeviceChangesOptions): DeviceChanges {
  const { cache, log, maxInFlight = 16, maxPending = 100_000, retryMs = 1_000 } = options;
  const doubted = new Set<string>();
  const queue = createRefreshQueue({
    async refresh(deviceIds) {
      const found = await cache.refreshMany(deviceIds);
      for (const deviceId of deviceIds) {
        const isDoubted = doubted.delete(deviceId);
        if (isDoubted && found.get(deviceId)?.known !== true) cache.distrust(deviceId);
      }
      return found;
    },
    maxTogether: cache.together,
    maxInFlight,
    maxPending,
    retryMs,
    onGivenUp(deviceId) {
      log.warn({ 'device.id': deviceId }, 'the UEM does not answer about a changed device');
    },
  });

  return {
    announce(deviceIds, how = { doubted: false }) {
      for (const deviceId of deviceIds) {
        if (how.doubted) doubted.add(deviceId);
        if (queue.add(deviceId)) continue;
        doubted.delete(deviceId);
        return false;
      }
      return true;
    },
    close() {
      doubted.clear();
      queue.close();
    },
  };
}
