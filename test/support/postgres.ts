// A database of a test's own on a PostgreSQL server, gone when the test is over.

import { randomBytes } from 'node:crypto';
import { Client } from 'pg';

/** Of a user who may create databases. */
const server =
  process.env['ZONEGATE_TEST_POSTGRES'] ?? 'postgres://postgres@127.0.0.1:5432/postgres';

export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  query(text: string): Promise<readonly Record<string, unknown>[]>;
  /** Ends every connection to it, and lets nobody in until `up`. */
  down(): Promise<void>;
  up(): Promise<void>;
}

/** For the options of a test: skipped where there is no server, and in CI a failure. */
export async function postgres(): Promise<{ readonly skip: string | false }> {
  try {
    await onServer('select 1');
    return { skip: false };
  } catch (error) {
    const missing = `no PostgreSQL server: ${(error as Error).message}`;
    if (process.env['ZONEGATE_CI'] === '1') throw new Error(missing, { cause: error });
    return { skip: missing };
  }
}

export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `zonegate_test_${randomBytes(6).toString('hex')}`;
  await onServer(`create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  const end = `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`;
  return {
    url: url.href,
    query: (text) => onServer(text, url.href),
    async down() {
      await onServer(`alter database ${name} allow_connections false`);
      await onServer(end);
    },
    up: () => onServer(`alter database ${name} allow_connections true`).then(() => undefined),
    async [Symbol.asyncDispose]() {
      await onServer(`drop database ${name} with (force)`);
    },
  };
}

async function onServer(text: string, url = server): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 3000 });
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(text);
    return rows;
  } finally {
    await client.end();
  }
}
