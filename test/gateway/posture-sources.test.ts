// The configured posture source across reloads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Loaded } from '../../gateway/config/load.ts';
import type { InventoryDevice } from '../../gateway/posture/inventory.ts';
import { createSources } from '../../gateway/posture-sources.ts';

const device: InventoryDevice = {
  udid: 'device-1',
  serial: null,
  user: null,
  platform: null,
  ownership: null,
  osVersion: null,
  model: null,
  groups: [],
  tags: [],
  enrolled: true,
  compliant: true,
  compromised: false,
  lastSeen: null,
};

function loadedWith(inventory: readonly InventoryDevice[] | null): Loaded {
  const source = { kind: 'inventory', name: 'list', whileDown: 'refuse', file: 'devices.yaml' };
  const posture = { source, sources: null, timeout: 1000 };
  const inventories = new Map(inventory === null ? [] : [['list', inventory]]);
  return { config: { posture }, inventories } as unknown as Loaded;
}

test('a source that waits for a restart leaves the devices known so far as they are', async () => {
  const sources = createSources(loadedWith([device]), () => 0);
  const source = sources.inOrder[0]?.source;
  const signal = new AbortController().signal;
  sources.update(loadedWith(null));
  assert.equal((await source?.fetch('device-1', signal))?.compliance, 'compliant');
  sources.update(loadedWith([]));
  assert.equal(await source?.fetch('device-1', signal), null);
  await sources.close();
});
