// Blocks that last: in force here at once, durable before anybody is told so, and ended by time without traffic.

import type { Selectable } from 'kysely';
import type { Log } from '../../runtime/log.ts';
import type { State } from '../../runtime/state/state.ts';
import { type BlockList, createBlockList } from '../block-list.ts';
import { blockHolds, type DeviceBlock } from '../decision/block.ts';
import { createRetry } from './retry.ts';
import type { Tables } from './tables.ts';

export interface BlocksOptions {
  readonly state: State<Tables>;
  readonly log: Log;
  readonly now: () => number;
  readonly onTrouble: (error: Error | null) => void;
}

export interface Blocks {
  readonly list: BlockList;
  /** In force at once, instead of what was said of the device before; resolves when it is durable. A StateError: it is in
   *  force here only, and written as soon as that is possible. */
  set(block: DeviceBlock): Promise<void>;
  /** Like `set`, but never ends a block earlier than it would have ended. */
  extend(block: DeviceBlock): Promise<void>;
  /** Resolves when it is durable; false: the device was not blocked. A StateError: it is still blocked. */
  lift(deviceId: string): Promise<boolean>;
  /** Other gateways have changed these, or, with null, perhaps any. */
  reread(deviceIds: readonly string[] | null): Promise<void>;
  close(): Promise<void>;
}

export const blocksTopic = 'blocks';

// A timer cannot wait longer than 24 days.
const longestWaitMs = 3_600_000;

/** Fails with a StateError when they cannot be read: without them nobody may be let through. */
export async function openBlocks(options: BlocksOptions): Promise<Blocks> {
  const { state, log, now, onTrouble } = options;
  const list = createBlockList();
  /** In force, and not written yet. */
  const unsaved = new Map<string, DeviceBlock>();
  /** Their present block is about to end, and must not stand for one that begins meanwhile. */
  const lifting = new Set<string>();
  let last: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let isStale = false;
  const retry = createRetry(() => void catchUp());

  /** One after the other: what was read before a change must not undo it. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  }
  async function attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      onTrouble(null);
      return result;
    } catch (error) {
      onTrouble(error as Error);
      retry.failed();
      throw error;
    }
  }
  async function save(block: DeviceBlock): Promise<void> {
    const row = rowOf(block);
    const { device_id, ...rest } = row;
    await state.write('durable', async (transaction) => {
      await transaction
        .insertInto('zonegate_blocks')
        .values(row)
        .onConflict((conflict) => conflict.column('device_id').doUpdateSet(rest))
        .execute();
      await state.tell(transaction, { topic: blocksTopic, keys: [device_id] });
    });
    if (unsaved.get(device_id) === block) unsaved.delete(device_id);
  }
  async function remove(deviceIds: readonly string[]): Promise<void> {
    await state.write('durable', async (transaction) => {
      await transaction
        .deleteFrom('zonegate_blocks')
        .where('device_id', 'in', [...deviceIds])
        .execute();
      await state.tell(transaction, { topic: blocksTopic, keys: deviceIds });
    });
  }
  /** Another gateway may have made them longer, and this one not have heard of it. */
  async function removeEnded(deviceIds: readonly string[]): Promise<void> {
    await state.write('durable', async (transaction) => {
      await transaction
        .deleteFrom('zonegate_blocks')
        .where('device_id', 'in', [...deviceIds])
        .where('until', '<=', now())
        .execute();
      await state.tell(transaction, { topic: blocksTopic, keys: deviceIds });
    });
  }
  async function read(deviceIds: readonly string[] | null): Promise<void> {
    const rows = await state.read((db) => {
      const all = db.selectFrom('zonegate_blocks').selectAll();
      return (deviceIds === null ? all : all.where('device_id', 'in', [...deviceIds])).execute();
    });
    const blocks = [...rows.map(blockOf), ...unsaved.values()];
    if (deviceIds === null) {
      list.replace(blocks);
      isStale = false;
    } else {
      const found = new Set(blocks.map(({ deviceId }) => deviceId));
      list.apply({ blocks, lifted: deviceIds.filter((deviceId) => !found.has(deviceId)) });
    }
    waitForEnd();
  }
  async function catchUp(): Promise<void> {
    await inTurn(() =>
      attempt(async () => {
        for (const block of unsaved.values()) await save(block);
        if (isStale) await read(null);
        retry.succeeded();
      }),
    ).catch(() => undefined);
  }
  /** Nobody has to come by for a block to be over. */
  function waitForEnd(): void {
    clearTimeout(timer);
    const ends = list.all().flatMap(({ until }) => (until === null ? [] : [until]));
    if (ends.length === 0) return;
    const next = ends.reduce((a, b) => Math.min(a, b));
    const waitMs = Math.min(Math.max(next - now(), 0), longestWaitMs);
    timer = setTimeout(() => void inTurn(endThose), waitMs);
  }
  async function endThose(): Promise<void> {
    const ended = list.all().filter((block) => !blockHolds(block, now()));
    const deviceIds = ended.map(({ deviceId }) => deviceId);
    for (const deviceId of deviceIds) {
      unsaved.delete(deviceId);
      log.info({ 'event.name': 'zonegate.block', 'device.id': deviceId }, 'block has ended');
    }
    list.apply({ blocks: [], lifted: deviceIds });
    waitForEnd();
    if (deviceIds.length === 0) return;
    try {
      await attempt(async () => {
        await removeEnded(deviceIds);
        await read(deviceIds);
      });
    } catch {
      isStale = true;
    }
  }
  function set(block: DeviceBlock): Promise<void> {
    unsaved.set(block.deviceId, block);
    list.apply({ blocks: [block], lifted: [] });
    waitForEnd();
    return inTurn(() => attempt(() => save(block)));
  }

  async function lift(deviceId: string): Promise<boolean> {
    const present = list.find(deviceId);
    if (!blockHolds(present, now())) return false;
    lifting.add(deviceId);
    try {
      await attempt(() => remove([deviceId]));
    } finally {
      lifting.delete(deviceId);
    }
    // A block that began meanwhile is not the one that was lifted.
    if (list.find(deviceId) !== present) return true;
    unsaved.delete(deviceId);
    list.apply({ blocks: [], lifted: [deviceId] });
    waitForEnd();
    return true;
  }

  await read(null);
  return {
    list,
    set,
    extend(block) {
      const present = list.find(block.deviceId);
      const isLonger = blockHolds(present, now()) && endOf(present) >= endOf(block);
      if (!isLonger || lifting.has(block.deviceId)) return set(block);
      return unsaved.has(block.deviceId) ? set(present) : Promise.resolve();
    },
    lift: (deviceId) => inTurn(() => lift(deviceId)),
    reread(deviceIds) {
      return inTurn(async () => {
        try {
          await attempt(() => read(deviceIds));
        } catch {
          // What was known stays in force; everything is read when the store is back.
          isStale = true;
        }
      });
    },
    async close() {
      clearTimeout(timer);
      retry.close();
      await last;
      clearTimeout(timer);
    },
  };
}

function endOf({ until }: DeviceBlock): number {
  return until ?? Number.POSITIVE_INFINITY;
}

type Row = Selectable<Tables['zonegate_blocks']>;

function rowOf({ deviceId, reason, by, since, until }: DeviceBlock): Row {
  return { device_id: deviceId, reason, blocked_by: by, since, until };
}

function blockOf({ device_id, reason, blocked_by, since, until }: Row): DeviceBlock {
  return { deviceId: device_id, reason, by: blocked_by, since, until };
}
