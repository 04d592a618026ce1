// What other gateways have learnt, when the store that has it cannot be read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPeer } from '../../../gateway/state/peer.ts';
import { createLog } from '../../../runtime/log.ts';
import { healthyReport, settled } from '../posture/fake-source.ts';

const log = createLog({ level: 'error', secrets: [], stream: { write: () => undefined } });

test('a device of which another gateway has news that cannot be read is asked about here', async () => {
  const asked: string[] = [];
  const facts = { report: healthyReport(), known: true };
  const peer = createPeer({
    rows: {
      read: () => Promise.reject(new Error('statement timeout')),
      load: () => assert.fail('one is asked for, not all'),
    },
    cache: {
      take: () => assert.fail('nothing was read'),
      peek: (deviceId) => (deviceId === 'met' ? facts : undefined),
      refresh: (deviceId) => {
        asked.push(deviceId);
        return Promise.resolve(facts);
      },
    },
    believes: true,
    log,
  });
  peer.learnt(['met', 'never-met']);
  await settled();
  assert.deepEqual(asked, ['met']);
});
