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
  readonly askMany: (
    deviceIds: readonly string[],
  ) => Promise<readonly (readonly [string, PostureFacts])[]>;
}): RelayedSource {
  const { name, ask, askMany } = options;
  const asking = new Set<string>();
  const together = new Set<string>();
  return {
    name,
    isAsking: (deviceId) => asking.has(deviceId) || together.has(deviceId),
    bulk: {
      most: 500,
      // Those the source is silent about are left out, and asked for alone: each has its own last report.
      async fetch(deviceIds) {
        for (const deviceId of deviceIds) together.add(deviceId);
        try {
          const answers = await askMany(deviceIds);
          return new Map(
            answers.flatMap(([deviceId, { report, known }]) => (known ? [[deviceId, report]] : [])),
          );
        } finally {
          for (const deviceId of deviceIds) together.delete(deviceId);
        }
      },
    },
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
