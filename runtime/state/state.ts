// What outlives the process: one schema in SQLite or PostgreSQL, versioned, and word of changes to other gateways.

import { CompiledQuery, type Dialect, Kysely, type Transaction } from 'kysely';
import { type EngineName, type Migration, migrate, type Schema } from './migrate.ts';
import { createPostgresParts } from './postgres.ts';
import { createSqliteParts } from './sqlite.ts';
import { stateErrorOf } from './state-error.ts';

/** Where the state is: a file (absolute), this process's memory, or a server that gateways share. */
export type StateAddress =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'memory' }
  | { readonly kind: 'postgres'; readonly url: string };

/** What another gateway has changed: rows of this topic, by key. */
export interface StateChange {
  readonly topic: string;
  readonly keys: readonly string[];
}

export interface StateListener {
  changed(change: StateChange): void;
  /** From now on nothing is heard; it is tried again for as long as it takes. */
  lost(why: string): void;
  /** It is heard again, and changes may have been missed: read everything anew. */
  missed(): void;
}

export interface State<Tables> {
  readonly kind: StateAddress['kind'];
  readonly db: Kysely<Tables>;
  /** Reads only. Fails with a StateError. */
  read<T>(work: (db: Kysely<Tables>) => Promise<T>): Promise<T>;
  /** One transaction. `durable`: what it wrote has reached the disk when this resolves, and survives a loss of power;
   *  `soon`: it survives the end of this process, and is cheaper. Fails with a StateError. */
  write<T>(
    how: 'durable' | 'soon',
    work: (transaction: Transaction<Tables>) => Promise<T>,
  ): Promise<T>;
  /** Tells the other gateways what the transaction changes, when it commits. */
  tell(transaction: Transaction<Tables>, change: StateChange): Promise<void>;
  /** Of the other gateways' changes; never told with a file or memory, which only one process has. */
  listen(listener: StateListener): void;
}

/** An open store: the parts of one process share it, each with tables of its own. */
export interface Store {
  readonly address: StateAddress;
  /** Brings the tables of a part up to date. Fails with a StateError that says what to do. */
  open<Tables>(schema: Schema): Promise<State<Tables>>;
  close(): Promise<void>;
}

/** What an engine brings beside its dialect. */
export interface Engine {
  readonly name: EngineName;
  readonly dialect: Dialect;
  /** At the start of a transaction, or before it. */
  readonly durability: (how: 'durable' | 'soon') => {
    readonly before: string;
    readonly in: string;
  };
  /** Statement that keeps others from changing the schema until the end of the transaction. */
  readonly schemaLock: string;
  readonly tell: (transaction: Transaction<unknown>, change: StateChange) => Promise<void>;
  readonly listen: (listener: StateListener) => void;
  /** Begins to listen; fails when there is nobody to listen to. */
  readonly open: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface StateOptions {
  readonly address: StateAddress;
  readonly migrations: readonly Migration[];
}

/** A store for one part alone. */
export async function openState<Tables>({
  address,
  migrations,
}: StateOptions): Promise<State<Tables> & Pick<Store, 'close'>> {
  const store = await openStore(address);
  try {
    const state = await store.open<Tables>({ versions: 'zonegate_schema', migrations });
    return { ...state, close: () => store.close() };
  } catch (error) {
    await store.close().catch(() => undefined);
    throw error;
  }
}

/** Fails with a StateError that says what to do. */
export async function openStore(address: StateAddress): Promise<Store> {
  const explain = (error: unknown) => stateErrorOf(error, address);
  let engine: Engine;
  try {
    engine =
      address.kind === 'postgres' ? createPostgresParts(address.url) : createSqliteParts(address);
  } catch (error) {
    throw explain(error);
  }
  const db = new Kysely<unknown>({ dialect: engine.dialect });
  const close = async (): Promise<void> => {
    await engine.close();
    await db.destroy();
  };
  try {
    await engine.open();
  } catch (error) {
    await close().catch(() => undefined);
    throw explain(error);
  }
  return {
    address,
    async open<Tables>(schema: Schema) {
      try {
        await migrate(db, schema, engine);
      } catch (error) {
        throw explain(error);
      }
      return stateOf(db as unknown as Kysely<Tables>, engine, address);
    },
    close,
  };
}

function stateOf<Tables>(db: Kysely<Tables>, engine: Engine, address: StateAddress): State<Tables> {
  return {
    kind: address.kind,
    db,
    async read(work) {
      try {
        return await work(db);
      } catch (error) {
        throw stateErrorOf(error, address);
      }
    },
    async write(how, work) {
      const steps = engine.durability(how);
      try {
        return await db.connection().execute(async (connection) => {
          if (steps.before !== '') await raw(connection, steps.before);
          return await connection.transaction().execute(async (transaction) => {
            if (steps.in !== '') await raw(transaction, steps.in);
            return await work(transaction);
          });
        });
      } catch (error) {
        throw stateErrorOf(error, address);
      }
    },
    tell: (transaction, change) =>
      engine.tell(transaction as unknown as Transaction<unknown>, change),
    listen: engine.listen,
  };
}

async function raw<Tables>(db: Kysely<Tables>, text: string): Promise<void> {
  await db.executeQuery(CompiledQuery.raw(text));
}
