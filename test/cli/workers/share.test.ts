// What each worker gets of the limits.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Order } from '../../../cli/workers/calls.ts';
import { shareOf } from '../../../cli/workers/share.ts';
import type { Loaded } from '../../../gateway/config/load.ts';

const order: Order = { file: '', version: '', workers: 4, ticketKeys: 'aGVsbG8=', ports: [] };

const configured = { tunnelsPerDevice: 256, unauthenticated: 2000, unauthenticatedPerSource: 64 };

function limitsOf(workers: number) {
  const loaded = { config: { limits: configured }, tls: {} } as unknown as Loaded;
  return shareOf(loaded, { ...order, workers }).config.limits;
}

test('connections of nobody identified are divided, for all together what was configured', () => {
  assert.equal(limitsOf(4).unauthenticated, 500);
});

test('those of one source are dealt out unevenly: a share has room for that, and is never more than the whole', () => {
  assert.equal(limitsOf(4).unauthenticatedPerSource, 16 + 12);
  assert.equal(limitsOf(16).unauthenticatedPerSource, 4 + 6);
  assert.equal(limitsOf(1).unauthenticatedPerSource, 64);
});

test('every other limit stays whole: workers tell each other what they use of it', () => {
  assert.equal(limitsOf(4).tunnelsPerDevice, 256);
});

test('all workers get the same ticket keys', () => {
  const loaded = { config: { limits: configured }, tls: {} } as unknown as Loaded;
  assert.deepEqual(shareOf(loaded, order).tls.ticketKeys, Buffer.from('hello'));
});
