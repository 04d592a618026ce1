// Posture reports as rows of the state: written in batches off the path of connections, read by key and by page.

import type { Kysely, Selectable, Transaction } from 'kysely';
import type { State } from '../../runtime/state/state.ts';
import type { PostureReport } from '../decision/posture.ts';
import type { PostureStore } from '../posture/cache.ts';
import { createRetry } from './retry.ts';
import type { Tables } from './tables.ts';

export interface PostureRowsOptions {
  readonly state: State<Tables>;
  /** Null: what was written is written. Else, why not; it is tried again. */
  readonly onTrouble: (error: Error | null) => void;
  readonly delayMs?: number;
}

export interface PageQuery {
  readonly after: string | null;
  readonly limit: number;
  readonly source: string | null;
  readonly compliance: string | null;
  /** Blocks that hold at `now`; null is whether or not. */
  readonly blocked: boolean | null;
  readonly now: number;
}

export interface PostureRows extends PostureStore {
  load(): AsyncIterable<PostureReport>;
  /** By device; a device without a report is not in it. */
  read(deviceIds: readonly string[]): Promise<ReadonlyMap<string, PostureReport>>;
  /** In the order of their ids. */
  page(query: PageQuery): Promise<readonly PostureReport[]>;
  /** What waits to be written. */
  pending(): number;
  /** Resolves when everything told until now is written, or could not be. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

type Row = Selectable<Tables['zonegate_posture']>;

export const postureTopic = 'posture';

// A change is on disk before anybody could start this program anew; many changes are one transaction.
const defaultDelayMs = 100;
// Writing to a file keeps the process from anything else: some milliseconds at a time.
const rowsAtOnce = 500;
const rowsOfPage = 2000;

export function createPostureRows(options: PostureRowsOptions): PostureRows {
  const { state, delayMs = defaultDelayMs } = options;
  /** By device; null is forgotten. */
  let waiting = new Map<string, PostureReport | null>();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  let closed = false;
  const retry = createRetry(() => void flush());

  function note(deviceId: string, report: PostureReport | null): void {
    waiting.set(deviceId, report);
    if (closed || retry.isWaiting()) return;
    timer ??= setTimeout(() => void flush(), delayMs);
  }
  function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    writing = writing.then(writeAll);
    return writing;
  }
  async function writeAll(): Promise<void> {
    while (waiting.size > 0) {
      const batch = new Map([...waiting].slice(0, rowsAtOnce));
      for (const deviceId of batch.keys()) waiting.delete(deviceId);
      try {
        await state.write('soon', (transaction) => writeBatch(transaction, batch, state));
        retry.succeeded();
        options.onTrouble(null);
      } catch (error) {
        // What was learnt since is newer.
        waiting = new Map([...batch, ...waiting]);
        options.onTrouble(error as Error);
        if (!closed) retry.failed();
        return;
      }
    }
  }
  async function* load(): AsyncGenerator<PostureReport> {
    for (let after: string | null = ''; after !== null; ) {
      const from: string = after;
      const rows: readonly Row[] = await state.read((db) =>
        db
          .selectFrom('zonegate_posture')
          .selectAll()
          .where('device_id', '>', from)
          .orderBy('device_id')
          .limit(rowsOfPage)
          .execute(),
      );
      yield* rows.map(reportOf);
      after = rows.length < rowsOfPage ? null : (rows.at(-1)?.device_id ?? null);
    }
  }

  return {
    load,
    remember(reports) {
      for (const report of reports) note(report.deviceId, report);
    },
    forget(deviceIds) {
      for (const deviceId of deviceIds) note(deviceId, null);
    },
    async read(deviceIds) {
      const rows = await state.read((db) =>
        db
          .selectFrom('zonegate_posture')
          .selectAll()
          .where('device_id', 'in', [...deviceIds])
          .execute(),
      );
      return new Map(rows.map((row) => [row.device_id, reportOf(row)]));
    },
    page: (query) => state.read((db) => readPage(db, query)),
    pending: () => waiting.size,
    flush,
    async close() {
      closed = true;
      retry.close();
      await flush();
    },
  };
}

async function readPage(db: Kysely<Tables>, query: PageQuery): Promise<readonly PostureReport[]> {
  const { after, limit, source, compliance, blocked, now } = query;
  let select = db.selectFrom('zonegate_posture').selectAll().orderBy('device_id').limit(limit);
  if (after !== null) select = select.where('device_id', '>', after);
  if (source !== null) select = select.where('source', '=', source);
  if (compliance !== null) select = select.where('compliance', '=', compliance);
  if (blocked !== null) {
    select = select.where(({ exists, not, selectFrom }) => {
      const block = exists(
        selectFrom('zonegate_blocks')
          .select('zonegate_blocks.device_id')
          .whereRef('zonegate_blocks.device_id', '=', 'zonegate_posture.device_id')
          .where((one) => one.or([one('until', 'is', null), one('until', '>', now)])),
      );
      return blocked ? block : not(block);
    });
  }
  return (await select.execute()).map(reportOf);
}

async function writeBatch(
  transaction: Transaction<Tables>,
  batch: ReadonlyMap<string, PostureReport | null>,
  state: State<Tables>,
): Promise<void> {
  const forgotten = [...batch].flatMap(([deviceId, report]) => (report === null ? [deviceId] : []));
  const rows = [...batch.values()].flatMap((report) => (report === null ? [] : [rowOf(report)]));
  const changed = state.kind === 'postgres' ? await changedOf(transaction, rows) : [];
  const gone = forgotten.length > 0 ? await deleteRows(transaction, forgotten) : [];
  if (rows.length > 0) {
    await transaction
      .insertInto('zonegate_posture')
      .values(rows)
      .onConflict((conflict) =>
        conflict
          .column('device_id')
          .doUpdateSet(({ ref }) => ({
            source: ref('excluded.source'),
            compliance: ref('excluded.compliance'),
            fetched_at: ref('excluded.fetched_at'),
            report: ref('excluded.report'),
          }))
          // Another gateway may have asked later than this one, and written earlier.
          .whereRef('excluded.fetched_at', '>=', 'zonegate_posture.fetched_at'),
      )
      .execute();
  }
  await state.tell(transaction, { topic: postureTopic, keys: [...gone, ...changed] });
}

/** Those that were there. That a device is still unknown is no news: two gateways that told each other so would each ask
 *  again, and tell again, for ever. */
async function deleteRows(
  transaction: Transaction<Tables>,
  deviceIds: readonly string[],
): Promise<readonly string[]> {
  const rows = await transaction
    .deleteFrom('zonegate_posture')
    .where('device_id', 'in', [...deviceIds])
    .returning('device_id')
    .execute();
  return rows.map(({ device_id }) => device_id);
}

/** Those that say something new: that a device was asked about again is no news to other gateways. */
async function changedOf(
  transaction: Transaction<Tables>,
  rows: readonly Row[],
): Promise<readonly string[]> {
  if (rows.length === 0) return [];
  const keys = rows.map(({ device_id }) => device_id);
  const found = await transaction
    .selectFrom('zonegate_posture')
    .select(['device_id', 'report'])
    .where('device_id', 'in', keys)
    .execute();
  const before = new Map(found.map(({ device_id, report }) => [device_id, report]));
  return rows
    .filter(({ device_id, report }) => before.get(device_id) !== report)
    .map(({ device_id }) => device_id);
}

function rowOf(whole: PostureReport): Row {
  const { fetchedAt, ...report } = whole;
  return {
    device_id: report.deviceId,
    source: report.source,
    compliance: report.compliance,
    fetched_at: fetchedAt,
    report: JSON.stringify(report),
  };
}

/** What this program wrote itself, in this version of the schema. */
function reportOf({ report, fetched_at }: Row): PostureReport {
  return { ...(JSON.parse(report) as Omit<PostureReport, 'fetchedAt'>), fetchedAt: fetched_at };
}
