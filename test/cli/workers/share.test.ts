// What each worker gets of the limits.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Order } from '../../../cli/workers/calls.ts';
import { shareOf } from '../../../cli/workers/share.ts';
import type { Loaded } from '../../../gateway/config/load.ts';

const order: Order = { file: '', version: '', workers: 3, ticketKeys: 'aGVsbG8=', ports: [] };

const configured = {
  tunnels: 50_000,
  tunnelsPerDevice: 256,
  newTunnelsPerDevice: 500,
  unauthenticated: 2000,
  unauthenticatedPerSource: 64,
  connectionsPerSource: 200,
  handshakesPerCertificate: 20,
};

function limitsOf(change: Readonly<Record<string, number>>) {
  const loaded = { config: { limits: { ...configured, ...change } }, tls: {} } as unknown as Loaded;
  return shareOf(loaded, order).config.limits;
}

test('counts are divided, so that all workers together never pass what was configured', () => {
  const share: Readonly<Record<string, unknown>> = limitsOf({});
  for (const [name, count] of Object.entries(configured)) {
    assert.equal(share[name], Math.floor(count / 3), name);
  }
});

test('nobody gets nothing', () => {
  assert.equal(limitsOf({ tunnelsPerDevice: 2 }).tunnelsPerDevice, 1);
});

test('what is counted for each connection, and every duration, stays as it is', () => {
  const { streamsPerConnection, idleTunnel } = limitsOf({
    streamsPerConnection: 100,
    idleTunnel: 600_000,
  });
  assert.deepEqual([streamsPerConnection, idleTunnel], [100, 600_000]);
});

test('all workers get the same ticket keys', () => {
  const loaded = { config: { limits: configured }, tls: {} } as unknown as Loaded;
  assert.deepEqual(shareOf(loaded, order).tls.ticketKeys, Buffer.from('hello'));
});
