// The configured posture source across reloads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Loaded } from '../../gateway/config/load.ts';
import type { InventoryDevice } from '../../gateway/posture/inventory.ts';
import { createSource } from '../../gateway/posture-source.ts';

const device: InventoryDevice = {
  udid: 'device-1',
  serial: null,
  user: null,
  platform: null,
  groups: [],
  tags: [],
  ownership: null,
  osVersion: null,
  model: null,
  enrolled: true,
  compliant: true,
  compromised: false,
  lastSeen: null,
};

function loadedWith(inventory: readonly InventoryDevice[] | null): Loaded {
  const posture = { source: { kind: 'inventory', file: 'devices.yaml' }, timeout: 1000 };
  return { config: { posture }, inventory } as unknown as Loaded;
}

test('a source that waits for a restart leaves the devices known so far as they are', async () => {
  const source = createSource(loadedWith([device]), () => 0);
  const signal = new AbortController().signal;
  source.update(loadedWith(null));
  assert.equal((await source.fetch('device-1', signal))?.compliance, 'compliant');
  source.update(loadedWith([]));
  assert.equal(await source.fetch('device-1', signal), null);
  await source.close();
});
