// Posture from another process of this machine that asks the source for all of them: a worker's source.

import type { PostureFacts } from '../decision/posture.ts';
import { type PostureSource, SourceError } from './source.ts';

export interface RelayedSource extends PostureSource {
  /** Whether an answer about this device is on its way; what it says may already be outdated. */
  isAsking(deviceId: string): boolean;
}

export function createRelayedSource(options: {
  readonly name: string;
  readonly ask: (deviceId: string) => Promise<PostureFacts>;
}): RelayedSource {
  const { name, ask } = options;
  const asking = new Set<string>();
  return {
    name,
    isAsking: (deviceId) => asking.has(deviceId),
    async fetch(deviceId) {
      asking.add(deviceId);
      try {
        const { report, known } = await ask(deviceId);
        if (known) return report;
        throw new SourceError('outage', 'the posture source cannot be asked', {
          relayed: { last: report },
        });
      } finally {
        asking.delete(deviceId);
      }
    },
  };
}
