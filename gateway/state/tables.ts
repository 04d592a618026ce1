// The tables of the gateway's state, and how they came to be: one list of steps, for both engines.

import { sql } from 'kysely';
import type { Migration } from '../../runtime/state/migrate.ts';

/** Moments are milliseconds since 1970. */
export interface Tables {
  /** The last report of every device that was asked about. */
  readonly zonegate_posture: {
    device_id: string;
    source: string;
    compliance: string;
    fetched_at: number;
    /** The whole report as JSON, but for `fetchedAt`: equal texts say the same of the device. */
    report: string;
  };
  readonly zonegate_blocks: {
    device_id: string;
    reason: string;
    blocked_by: string;
    since: number;
    until: number | null;
  };
}

// Never change a step that was in a release: add one.
export const migrations: readonly Migration[] = [
  async ({ schema }, engine) => {
    // In the order of bytes, as cursors compare, whatever the language of the server.
    const id = engine === 'postgres' ? sql`text collate "C"` : 'text';
    await schema
      .createTable('zonegate_posture')
      .addColumn('device_id', id, (column) => column.primaryKey())
      .addColumn('source', 'text', (column) => column.notNull())
      .addColumn('compliance', 'text', (column) => column.notNull())
      .addColumn('fetched_at', 'bigint', (column) => column.notNull())
      .addColumn('report', 'text', (column) => column.notNull())
      .execute();
    await schema
      .createIndex('zonegate_posture_by_compliance')
      .on('zonegate_posture')
      .columns(['compliance', 'device_id'])
      .execute();
    await schema
      .createTable('zonegate_blocks')
      .addColumn('device_id', id, (column) => column.primaryKey())
      .addColumn('reason', 'text', (column) => column.notNull())
      .addColumn('blocked_by', 'text', (column) => column.notNull())
      .addColumn('since', 'bigint', (column) => column.notNull())
      .addColumn('until', 'bigint')
      .execute();
  },
];
