// The state store on both engines: one schema, transactions, word of changes, and errors in words.

import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'kysely';
import type { Migration } from '../../../runtime/state/migrate.ts';
import { payloadsOf } from '../../../runtime/state/postgres.ts';
import { openState, type StateAddress, type StateChange } from '../../../runtime/state/state.ts';
import { placeOf, StateError } from '../../../runtime/state/state-error.ts';
import { createTestDatabase, postgres } from '../../support/postgres.ts';

interface Tables {
  readonly things: { name: string; at: number };
}

const makeThings: Migration = async ({ schema }) => {
  await schema
    .createTable('things')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('at', 'bigint', (column) => column.notNull())
    .execute();
};
const fill: Migration = async (transaction) => {
  await sql`insert into things (name, at) values ('first', 1)`.execute(transaction);
};
const broken: Migration = () => Promise.reject(new Error('half way'));

type Use = (address: StateAddress) => Promise<void>;

async function onFile(use: Use): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'zonegate-state-'));
  try {
    await use({ kind: 'file', file: join(folder, 'below', 'zonegate.db') });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function onServer(use: Use): Promise<void> {
  await using database = await createTestDatabase();
  await use({ kind: 'postgres', url: database.url });
}

const engines = [
  ['SQLite', onFile, {}],
  ['PostgreSQL', onServer, await postgres()],
] as const;

const open = (address: StateAddress, migrations: readonly Migration[]) =>
  openState<Tables>({ address, migrations });

for (const [name, on, options] of engines) {
  test(`${name}: what is written is there after closing, numbers as numbers`, options, () =>
    on(async (address) => {
      const state = await open(address, [makeThings]);
      const at = 1_790_000_000_000;
      for (const how of ['durable', 'soon'] as const) {
        await state.write(how, (t) => t.insertInto('things').values({ name: how, at }).execute());
      }
      await state.close();
      const again = await open(address, [makeThings]);
      const rows = await again.db.selectFrom('things').selectAll().orderBy('name').execute();
      await again.close();
      assert.deepEqual(
        rows.map((row) => ({ ...row })),
        [
          { name: 'durable', at },
          { name: 'soon', at },
        ],
      );
    }),
  );

  test(`${name}: a transaction that fails leaves nothing`, options, () =>
    on(async (address) => {
      const state = await open(address, [makeThings]);
      const failing = state.write('durable', async (t) => {
        await t.insertInto('things').values({ name: 'a', at: 1 }).execute();
        await t.insertInto('things').values({ name: 'a', at: 2 }).execute();
      });
      await assert.rejects(failing, StateError);
      assert.deepEqual(await state.db.selectFrom('things').selectAll().execute(), []);
      await state.close();
    }),
  );

  test(`${name}: steps of the schema are made once, whole or not at all`, options, () =>
    on(async (address) => {
      await (await open(address, [makeThings])).close();
      await assert.rejects(open(address, [makeThings, fill, broken]), /half way/);
      const state = await open(address, [makeThings, fill]);
      const rows = await state.db.selectFrom('things').select('name').execute();
      assert.deepEqual(
        rows.map((row) => row.name),
        ['first'],
      );
      await state.close();
      await (await open(address, [makeThings, fill])).close();
    }),
  );

  test(`${name}: what a newer program has written is left alone`, options, () =>
    on(async (address) => {
      await (await open(address, [makeThings, fill])).close();
      await assert.rejects(open(address, [makeThings]), (error: StateError) => {
        assert.equal(error.trouble, 'newer');
        assert.match(error.message, /^state `.*schema has version 2, and this program knows 1$/);
        return true;
      });
    }),
  );
}

test('a file is open in one process at a time, and free again when that has closed it', () =>
  onFile(async (address) => {
    const state = await open(address, [makeThings]);
    await assert.rejects(open(address, [makeThings]), (error: StateError) => {
      assert.equal(error.trouble, 'locked');
      assert.match(error.fix, /several gateways share a PostgreSQL server/);
      return true;
    });
    await state.close();
    await (await open(address, [makeThings])).close();
  }));

test('a full disk is said in words, and what was there stays', () =>
  onFile(async (address) => {
    const state = await open(address, [makeThings, fill]);
    await sql`pragma max_page_count = 8`.execute(state.db);
    const large = { name: 'x'.repeat(100_000), at: 1 };
    const full = state.write('durable', (t) => t.insertInto('things').values(large).execute());
    await assert.rejects(full, (error: StateError) => error.trouble === 'full');
    const rows = await state.db.selectFrom('things').select('name').execute();
    assert.deepEqual(
      rows.map((row) => row.name),
      ['first'],
    );
    await state.close();
  }));

test('a file that others could read is closed to them', () =>
  onFile(async (address) => {
    assert.ok(address.kind === 'file');
    await (await open(address, [])).close();
    await chmod(address.file, 0o644);
    await (await open(address, [])).close();
    assert.equal((await stat(address.file)).mode & 0o777, 0o600);
  }));

test('what is no database, or cannot be made, is said in words', async () => {
  await onFile(async (address) => {
    assert.ok(address.kind === 'file');
    await (await open(address, [])).close();
    await writeFile(address.file, 'x'.repeat(4096));
    await assert.rejects(open(address, []), /it is no SQLite database/);
    const below = { kind: 'file', file: join(address.file, 'zonegate.db') } as const;
    await assert.rejects(open(below, []), /it cannot be made \(E\w+\)/);
  });
});

test('a server that is not there is said in words, without the password', async () => {
  const address = { kind: 'postgres', url: 'postgres://u:secret-word@127.0.0.1:1/db' } as const;
  await assert.rejects(open(address, []), (error: StateError) => {
    assert.equal(error.trouble, 'unreachable');
    assert.match(error.message, /^state `postgres:\/\/127\.0\.0\.1:1\/db`: nobody listens there$/);
    return true;
  });
  assert.doesNotMatch(placeOf(address), /secret-word/);
});

test(
  'other gateways hear of a change when it is committed, and whoever made it does not',
  engines[1][2],
  () =>
    onServer(async (address) => {
      const [here, there] = [await open(address, [makeThings]), await open(address, [makeThings])];
      const heard = Promise.withResolvers<StateChange>();
      const echoes: StateChange[] = [];
      const quiet = { lost: () => undefined, missed: () => undefined };
      there.listen({ ...quiet, changed: heard.resolve });
      here.listen({ ...quiet, changed: (change) => void echoes.push(change) });
      const change = { topic: 'things', keys: ['a', 'b'] };
      const undone = here.write('soon', async (t) => {
        await here.tell(t, { topic: 'undone', keys: ['x'] });
        throw new Error('not this time');
      });
      await assert.rejects(undone);
      await here.write('durable', (t) => here.tell(t, change));
      const { topic, keys } = await heard.promise;
      assert.deepEqual({ topic, keys }, change);
      assert.deepEqual(echoes, []);
      await here.close();
      await there.close();
    }),
);

test('many keys go into as many notifications as they need', () => {
  const keys = Array.from({ length: 1000 }, (_, i) => `00008110-000a1b2c3d4e5f${i}`);
  const payloads = payloadsOf('me', { topic: 'posture', keys });
  assert.ok(payloads.length > 1);
  for (const payload of payloads) assert.ok(Buffer.byteLength(payload) < 8000);
  const all = payloads.flatMap((one) => (JSON.parse(one) as { keys: string[] }).keys);
  assert.deepEqual(all, keys);
  assert.deepEqual(payloadsOf('me', { topic: 'posture', keys: [] }), []);
});
