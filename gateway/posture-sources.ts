// Makes the configured posture sources, in their order.

import type { Loaded } from './config/load.ts';
import { type SourceConfig, sourcesOf } from './config/posture-sources.ts';
import type { PostureReport } from './decision/posture.ts';
import { createAskingInOrder, type OrderedSource } from './posture/asking-in-order.ts';
import { createIntuneSource } from './posture/intune.ts';
import { createInventorySource } from './posture/inventory.ts';
import { createJamfSource } from './posture/jamf.ts';
import { type PostureSource, SourceError } from './posture/source.ts';
import { createWorkspaceOneSource } from './posture/workspace-one.ts';

export interface Sources {
  readonly inOrder: readonly OrderedSource[];
  /** Takes what a reload read: the devices of inventory files. Says whether there are any such. */
  update(loaded: Loaded): boolean;
  close(): Promise<void>;
}

interface Source {
  readonly source: PostureSource;
  /** Null for a source that reads no file. */
  readonly update: ((loaded: Loaded) => void) | null;
  close(): Promise<void>;
}

export function createSources(loaded: Loaded, now: () => number): Sources {
  const made = sourcesOf(loaded.config.posture).map(({ source }) => ({
    ...createSource(source, loaded, now),
    whileDown: source.whileDown,
  }));
  return {
    inOrder: made.map(({ source, whileDown }) => ({ source, whileDown })),
    update(next) {
      for (const { update } of made) update?.(next);
      return made.some(({ update }) => update !== null);
    },
    async close() {
      await Promise.all(made.map((one) => one.close()));
    },
  };
}

/** One question, as a connection of this device would ask it; null when no source knows the device. A source that
 *  cannot be asked, or does not answer usably, is a SourceError that names it. */
export async function askOnce(loaded: Loaded, deviceId: string): Promise<PostureReport | null> {
  const sources = createSources(loaded, Date.now);
  const { timeout: deadlineMs } = loaded.config.posture;
  const asking = createAskingInOrder(sources.inOrder, { deadlineMs, now: Date.now });
  try {
    const outcome = await asking.ask(deviceId, () => null);
    if (outcome.kind === 'answered') return outcome.report;
    const failed = asking.health().find(({ lastError }) => lastError !== null);
    throw new SourceError(
      outcome.kind === 'unbelievable' ? 'answer' : 'outage',
      `the posture source \`${failed?.source}\` does not answer: ${failed?.lastError}`,
    );
  } finally {
    asking.close();
    await sources.close();
  }
}

function createSource(configured: SourceConfig, loaded: Loaded, now: () => number): Source {
  const { name } = configured;
  switch (configured.kind) {
    case 'inventory': {
      const devices = loaded.inventories.get(name) ?? [];
      const source = createInventorySource({ name, devices, now });
      return {
        source,
        // Another kind of source waits for a restart: until then the devices are those known now.
        update({ inventories }) {
          const read = inventories.get(name);
          if (read !== undefined) source.update(read);
        },
        close: () => Promise.resolve(),
      };
    }
    case 'jamf': {
      const { kind: _, inventories: kinds, ...given } = configured;
      const deadlineMs = loaded.config.posture.timeout;
      const ca = loaded.uemAuthorities.get(name) ?? null;
      const source = createJamfSource({ ...given, kinds, ca, deadlineMs, now });
      return { source, update: null, close: () => source.close() };
    }
    case 'intune': {
      const deadlineMs = loaded.config.posture.timeout;
      const ca = loaded.uemAuthorities.get(name) ?? null;
      const source = createIntuneSource({ ...configured, ca, deadlineMs, now });
      return { source, update: null, close: () => source.close() };
    }
    case 'workspace-one': {
      const { url, auth, tenantCode } = configured;
      const deadlineMs = loaded.config.posture.timeout;
      const ca = loaded.uemAuthorities.get(name) ?? null;
      const options = { name, url, auth, tenantCode, ca, deadlineMs, now };
      const source = createWorkspaceOneSource(options);
      return { source, update: null, close: () => source.close() };
    }
  }
}
