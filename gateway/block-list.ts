// The blocks this process knows, in memory: looked up for every connection, told on to those whose tunnels they end.

import type { DeviceBlock } from './decision/block.ts';

export interface BlockChange {
  readonly blocks: readonly DeviceBlock[];
  /** Devices that are blocked no longer. */
  readonly lifted: readonly string[];
}

export interface BlockList {
  find(deviceId: string): DeviceBlock | null;
  all(): readonly DeviceBlock[];
  count(): number;
  apply(change: BlockChange): void;
  /** These and no others. */
  replace(blocks: readonly DeviceBlock[]): void;
  /** Returns how to stop listening. */
  onChange(listener: (change: BlockChange) => void): () => void;
}

export function createBlockList(): BlockList {
  const byDevice = new Map<string, DeviceBlock>();
  const listeners = new Set<(change: BlockChange) => void>();

  function apply(change: BlockChange): void {
    for (const deviceId of change.lifted) byDevice.delete(deviceId);
    for (const block of change.blocks) byDevice.set(block.deviceId, block);
    for (const listener of listeners) listener(change);
  }

  return {
    find: (deviceId) => byDevice.get(deviceId) ?? null,
    all: () => [...byDevice.values()],
    count: () => byDevice.size,
    apply,
    replace(blocks) {
      const kept = new Set(blocks.map(({ deviceId }) => deviceId));
      apply({ blocks, lifted: [...byDevice.keys()].filter((deviceId) => !kept.has(deviceId)) });
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
