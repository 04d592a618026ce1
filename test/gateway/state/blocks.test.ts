// Blocks that last, over a store in memory and one that fails: in force at once, never lifted unsaved, ended by time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceBlock } from '../../../gateway/decision/block.ts';
import { openBlocks } from '../../../gateway/state/blocks.ts';
import { migrations, type Tables } from '../../../gateway/state/tables.ts';
import { createLog } from '../../../runtime/log.ts';
import { openState, type State } from '../../../runtime/state/state.ts';

const log = createLog({ level: 'error', secrets: [], stream: { write: () => undefined } });

const blockOf = (change: Partial<DeviceBlock> = {}): DeviceBlock => ({
  deviceId: 'device-1',
  reason: 'lost',
  by: 'sam',
  since: 1000,
  until: null,
  ...change,
});

type Opened = Awaited<ReturnType<typeof openState<Tables>>>;

async function opened(): Promise<{ state: Opened; fail: (on: boolean) => void }> {
  const inner = await openState<Tables>({ address: { kind: 'memory' }, migrations });
  let failing = false;
  const state: Opened = {
    ...inner,
    write: (how, work) =>
      failing ? Promise.reject(new Error('no space')) : inner.write(how, work),
  };
  const fail = (on: boolean): void => {
    failing = on;
  };
  return { state, fail };
}

const open = (state: State<Tables>, now = () => 2000) =>
  openBlocks({ state, log, now, onTrouble: () => undefined });

test('a block is found at once, and by whoever opens the store next', async () => {
  const { state } = await opened();
  const blocks = await open(state);
  const written = blocks.set(blockOf({ until: 9_000_000 }));
  assert.deepEqual(blocks.list.find('device-1'), blockOf({ until: 9_000_000 }));
  await written;
  await blocks.close();
  const again = await open(state);
  assert.deepEqual(again.list.all(), [blockOf({ until: 9_000_000 })]);
  assert.equal(await again.lift('device-1'), true);
  assert.equal(await again.lift('device-1'), false);
  await again.close();
  const last = await open(state);
  assert.equal(last.list.count(), 0);
  await last.close();
  await state.close();
});

test('what cannot be written holds, says so, and is written later; what cannot be lifted holds', async () => {
  const { state, fail } = await opened();
  const blocks = await open(state);
  await blocks.set(blockOf({ deviceId: 'device-2' }));
  fail(true);
  await assert.rejects(blocks.set(blockOf()), /no space/);
  await assert.rejects(blocks.lift('device-2'), /no space/);
  assert.deepEqual(
    blocks.list.all().map(({ deviceId }) => deviceId),
    ['device-2', 'device-1'],
  );
  // Read again from a store that does not have it: it still holds.
  await blocks.reread(null);
  assert.equal(blocks.list.count(), 2);
  fail(false);
  while ((await state.db.selectFrom('zonegate_blocks').selectAll().execute()).length < 2) {
    await new Promise(setImmediate);
  }
  await blocks.close();
  await state.close();
});

test('a signal never ends a block earlier than a person said', async () => {
  const { state } = await opened();
  const blocks = await open(state);
  await blocks.set(blockOf());
  await blocks.extend(blockOf({ by: 'signal', until: 5000 }));
  assert.equal(blocks.list.find('device-1')?.by, 'sam');
  await blocks.set(blockOf({ until: 4000 }));
  await blocks.extend(blockOf({ by: 'signal', until: 5000 }));
  assert.equal(blocks.list.find('device-1')?.until, 5000);
  await blocks.close();
  await state.close();
});

test('a block that ended while nothing ran is gone after the start, and from the store', async () => {
  const { state } = await opened();
  const before = await open(state);
  await before.set(blockOf({ until: 3000 }));
  await before.close();
  const after = await open(state, () => 3000);
  while ((await state.db.selectFrom('zonegate_blocks').selectAll().execute()).length > 0) {
    await new Promise(setImmediate);
  }
  assert.equal(after.list.count(), 0);
  await after.close();
  await state.close();
});

test('a block that begins while another is lifted holds, here and after a start', async () => {
  const { state } = await opened();
  for (const how of ['set', 'extend'] as const) {
    const blocks = await open(state);
    await blocks.set(blockOf());
    const lifted = blocks.lift('device-1');
    // The lifting has begun, and its row is not yet gone.
    await Promise.resolve();
    const later = blockOf({ by: 'signal', until: 9_000_000 });
    await Promise.all([lifted, blocks[how](later)]);
    assert.deepEqual(blocks.list.find('device-1'), later, how);
    await blocks.close();
    const again = await open(state);
    assert.deepEqual(again.list.find('device-1'), later, how);
    await again.close();
  }
  await state.close();
});

test('a block that another gateway made longer unheard does not end with what was known of it here', async () => {
  const { state } = await opened();
  const clock = { now: 2000 };
  const [deaf, other] = [await open(state, () => clock.now), await open(state)];
  await deaf.set(blockOf({ until: 2001 }));
  await other.set(blockOf({ by: 'other' }));
  clock.now = 2001;
  while (deaf.list.find('device-1')?.by !== 'other') await new Promise(setImmediate);
  await Promise.all([deaf.close(), other.close()]);
  const again = await open(state);
  assert.equal(again.list.find('device-1')?.by, 'other');
  await again.close();
  await state.close();
});

test('a signal is not told that its block is durable while a longer one is not', async () => {
  const { state, fail } = await opened();
  const blocks = await open(state);
  fail(true);
  await assert.rejects(blocks.set(blockOf()), /no space/);
  await assert.rejects(blocks.extend(blockOf({ by: 'signal', until: 9_000_000 })), /no space/);
  assert.equal(blocks.list.find('device-1')?.by, 'sam');
  await blocks.close();
  await state.close();
});
