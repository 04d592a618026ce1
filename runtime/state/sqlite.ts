// SQLite as the state of one process: one file, only its owner's, and nobody else's while it is open.

import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { type SqliteDatabase, SqliteDialect } from 'kysely';
import type { Engine, StateAddress } from './state.ts';

// Another reader (a backup) holds the file for moments only.
const busyMs = 2000;

export function createSqliteParts(address: Exclude<StateAddress, { kind: 'postgres' }>): Engine {
  const release = address.kind === 'file' ? own(address.file) : () => undefined;
  let database: DatabaseSync;
  try {
    database = openDatabase(address.kind === 'file' ? address.file : ':memory:');
  } catch (error) {
    release();
    throw error;
  }
  return {
    name: 'sqlite',
    dialect: new SqliteDialect({ database: adapted(database) }),
    // With a write-ahead log, `normal` loses the last transactions with the power, and only then.
    durability: (how) => ({
      before: `pragma synchronous = ${how === 'durable' ? 'full' : 'normal'}`,
      in: '',
    }),
    schemaLock: '',
    tell: () => Promise.resolve(),
    listen: () => undefined,
    open: () => Promise.resolve(),
    close() {
      release();
      return Promise.resolve();
    },
  };
}

function openDatabase(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: busyMs });
  try {
    database.exec(
      'pragma journal_mode = wal; pragma foreign_keys = on; pragma temp_store = memory',
    );
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** What one gateway writes, another on the same file would not hear of: the second is not started. The lock is that
 *  of a database beside it, which the system takes back from a process that dies; backups read the file all the same. */
function own(file: string): () => void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const lockFile = `${file}.lock`;
  for (const one of [file, lockFile]) {
    closeSync(openSync(one, 'a', 0o600));
    // It says who has which device: nobody else's business, whatever the file was before.
    chmodSync(one, 0o600);
  }
  const lock = new DatabaseSync(lockFile, { timeout: 0 });
  try {
    lock.exec('pragma locking_mode = exclusive; begin exclusive');
  } catch (error) {
    lock.close();
    throw error;
  }
  return () => {
    if (lock.isOpen) lock.close();
  };
}

const nothing: ReturnType<SqliteDatabase['prepare']> = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  iterate: () => [].values(),
};

/** Kysely asks for the shape of `better-sqlite3`. */
function adapted(database: DatabaseSync): SqliteDatabase {
  return {
    close: () => {
      if (database.isOpen) database.close();
    },
    prepare(text) {
      // A full disk has undone the transaction already: that it cannot be undone twice would hide why.
      if (text === 'rollback' && !database.isTransaction) return nothing;
      const statement = database.prepare(text);
      return {
        reader: statement.columns().length > 0,
        all: (values) => statement.all(...asInputs(values)),
        run: (values) => statement.run(...asInputs(values)),
        iterate: (values) => statement.iterate(...asInputs(values)),
      };
    },
  };
}

function asInputs(values: readonly unknown[]): SQLInputValue[] {
  return values as SQLInputValue[];
}
