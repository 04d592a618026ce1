// Brings a schema up to date, one numbered step after the other, whole or not at all.

import { type Kysely, sql, type Transaction } from 'kysely';
import { StateError } from './state-error.ts';

export type EngineName = 'sqlite' | 'postgres';

/** One step of the schema; it works on both engines. */
export type Migration = (transaction: Transaction<unknown>, engine: EngineName) => Promise<void>;

interface Versions {
  readonly zonegate_schema: { version: number };
}

/** The tables of one part of the program: where their version is noted, and how they came to be, in order. Each step is
 *  made once, and never changed afterwards. */
export interface Schema {
  readonly versions: 'zonegate_schema' | `zonegate_${string}_schema`;
  readonly migrations: readonly Migration[];
}

/** All steps that are missing, in one transaction. A schema of a newer program is left alone: what this one would
 *  write into it, the other might misread. */
export async function migrate(
  db: Kysely<unknown>,
  { versions: table, migrations }: Schema,
  { name, schemaLock: lock }: { readonly name: EngineName; readonly schemaLock: string },
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    if (lock !== '') await sql.raw(lock).execute(transaction);
    const versions = transaction as unknown as Transaction<Versions>;
    const named = table as keyof Versions;
    await versions.schema
      .createTable(named)
      .ifNotExists()
      .addColumn('version', 'integer', (column) => column.notNull())
      .execute();
    const row = await versions.selectFrom(named).select('version').executeTakeFirst();
    const version = row?.version ?? 0;
    if (version === migrations.length) return;
    if (version > migrations.length) {
      const message = `its schema has version ${version}, and this program knows ${migrations.length}`;
      throw new StateError('newer', message, 'start the newer program, or restore a backup');
    }
    for (const migration of migrations.slice(version)) await migration(transaction, name);
    await versions.deleteFrom(named).execute();
    await versions.insertInto(named).values({ version: migrations.length }).execute();
  });
}
