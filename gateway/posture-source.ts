// Makes the configured posture source: Workspace ONE UEM, or an inventory file.

import type { Loaded } from './config/load.ts';
import { createInventorySource } from './posture/inventory.ts';
import type { PostureSource } from './posture/source.ts';
import { createWorkspaceOneSource } from './posture/workspace-one.ts';

export interface Source extends PostureSource {
  /** Takes what a reload read: the devices of an inventory file. */
  update(loaded: Loaded): void;
  close(): Promise<void>;
}

export function createSource(loaded: Loaded, now: () => number): Source {
  const { source: configured, timeout } = loaded.config.posture;
  switch (configured.kind) {
    case 'inventory': {
      const devices = loaded.inventory ?? [];
      const source = createInventorySource({ name: 'inventory', devices, now });
      return {
        ...source,
        // Another kind of source waits for a restart: until then the devices are those known now.
        update({ inventory }) {
          if (inventory !== null) source.update(inventory);
        },
        close: () => Promise.resolve(),
      };
    }
    case 'workspace-one': {
      const { name, url, auth, tenantCode } = configured;
      const options = { name, url, auth, tenantCode, ca: loaded.uemAuthority, now };
      const source = createWorkspaceOneSource({ ...options, deadlineMs: timeout });
      return { ...source, update: () => undefined };
    }
  }
}
