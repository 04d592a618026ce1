// Joins what the UEM says of a device with whether it is blocked, into the facts the decision takes.

import type { BlockList } from './block-list.ts';
import { blockHolds, type DeviceFacts } from './decision/block.ts';
import type { PostureFacts } from './decision/posture.ts';
import type { PostureCache } from './posture/cache.ts';

export interface DeviceHealth
  extends Omit<PostureCache, 'facts' | 'peek' | 'refresh' | 'onChange'> {
  /** Of a blocked device, what is in memory: it causes no questions. */
  facts(deviceId: string): Promise<DeviceFacts>;
  /** What is in memory, however old. */
  peek(deviceId: string): DeviceFacts | undefined;
  refresh(deviceId: string): Promise<DeviceFacts>;
  /** Told of every change of posture, and of every block that begins. Returns how to stop listening. */
  onChange(listener: (deviceId: string, facts: DeviceFacts, learnedAt: number) => void): () => void;
}

const unknown: PostureFacts = { report: null, known: false };

export function createDeviceHealth(
  cache: PostureCache,
  blocks: BlockList,
  now: () => number = Date.now,
): DeviceHealth {
  const withBlock = (deviceId: string, facts: PostureFacts): DeviceFacts => ({
    ...facts,
    block: blocks.find(deviceId),
  });
  const remembered = (deviceId: string): DeviceFacts =>
    withBlock(deviceId, cache.peek(deviceId) ?? unknown);
  return {
    ...cache,
    async facts(deviceId) {
      if (blockHolds(blocks.find(deviceId), now())) return remembered(deviceId);
      return withBlock(deviceId, await cache.facts(deviceId));
    },
    peek(deviceId) {
      const facts = cache.peek(deviceId);
      return facts && withBlock(deviceId, facts);
    },
    refresh: async (deviceId) => withBlock(deviceId, await cache.refresh(deviceId)),
    onChange(listener) {
      const stops = [
        cache.onChange((deviceId, facts, learnedAt) =>
          listener(deviceId, withBlock(deviceId, facts), learnedAt),
        ),
        // The end of a block closes no tunnel: there are none.
        blocks.onChange((change) => {
          for (const { deviceId } of change.blocks) listener(deviceId, remembered(deviceId), now());
        }),
      ];
      return () => {
        for (const stop of stops) stop();
      };
    },
  };
}
