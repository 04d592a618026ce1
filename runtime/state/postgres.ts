// PostgreSQL as the state gateways share: a pool for queries, and one connection that hears what others change.

import { PostgresDialect, sql } from 'kysely';
import { Client, Pool, TypeOverrides } from 'pg';
import type { Engine, StateChange, StateListener } from './state.ts';

const channel = 'zonegate';
const connectMs = 5000;
const queryMs = 10_000;
const beatMs = 5000;
const firstRetryMs = 100;
const lastRetryMs = 5000;
// A notification may have 8000 bytes (https://www.postgresql.org/docs/current/sql-notify.html).
const maxPayload = 7000;

const int8 = 20;

export function createPostgresParts(url: string): Engine {
  // Who changed it has no use for hearing of it.
  const self = crypto.randomUUID();
  const types = new TypeOverrides();
  // Moments in milliseconds: far below what a number holds exactly.
  types.setTypeParser(int8, Number);
  const pool = new Pool({
    connectionString: url,
    application_name: 'zonegate',
    max: 4,
    connectionTimeoutMillis: connectMs,
    statement_timeout: queryMs,
    query_timeout: queryMs,
    keepAlive: true,
    types,
  });
  // A connection nobody uses has broken: the next query gets another.
  pool.on('error', () => undefined);
  const ear = createEar(url, self);
  return {
    name: 'postgres',
    dialect: new PostgresDialect({ pool }),
    durability: (how) => ({
      before: '',
      in: how === 'durable' ? '' : 'set local synchronous_commit = off',
    }),
    // Any number nobody else uses.
    schemaLock: 'select pg_advisory_xact_lock(2054123109)',
    async tell(transaction, change) {
      for (const payload of payloadsOf(self, change)) {
        await sql`select pg_notify(${channel}, ${payload})`.execute(transaction);
      }
    },
    listen: ear.listen,
    open: ear.open,
    close: ear.close,
  };
}

/** As many keys in one notification as fit. */
export function payloadsOf(from: string, { topic, keys }: StateChange): readonly string[] {
  const payloads: string[] = [];
  let part: string[] = [];
  let length = 0;
  const send = (): void => {
    if (part.length > 0) payloads.push(JSON.stringify({ from, topic, keys: part }));
    part = [];
    length = 0;
  };
  for (const key of keys) {
    const size = Buffer.byteLength(JSON.stringify(key)) + 1;
    if (length + size > maxPayload) send();
    part.push(key);
    length += size;
  }
  send();
  return payloads;
}

/** Hears notifications, for as long as it takes: a connection that breaks, or says nothing, is made anew. */
function createEar(url: string, self: string) {
  const listeners = new Set<StateListener>();
  let client: Client | null = null;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function hear(payload: string | undefined): void {
    const change = readPayload(payload);
    if (change === null || change.from === self) return;
    for (const listener of listeners) listener.changed(change);
  }
  async function connect(): Promise<void> {
    const fresh = new Client({
      connectionString: url,
      application_name: 'zonegate listen',
      connectionTimeoutMillis: connectMs,
      query_timeout: connectMs,
      keepAlive: true,
    });
    fresh.on('error', ({ message }) => lost(fresh, message));
    fresh.on('end', () => lost(fresh, 'the server has closed the connection'));
    fresh.on('notification', ({ payload }) => hear(payload));
    client = fresh;
    try {
      await fresh.connect();
      await fresh.query(`listen ${channel}`);
    } catch (error) {
      if (client === fresh) client = null;
      end(fresh);
      throw error;
    }
    if (closed) return end(fresh);
    beat(fresh);
  }
  /** A server that has vanished says nothing, and neither does one where nothing changes. */
  function beat(of: Client): void {
    timer = setTimeout(() => {
      of.query('select 1').then(
        () => {
          if (client === of) beat(of);
        },
        (error: Error) => lost(of, error.message),
      );
    }, beatMs);
  }
  function lost(of: Client, why: string): void {
    if (closed || client !== of) return;
    client = null;
    clearTimeout(timer);
    end(of);
    for (const listener of listeners) listener.lost(why);
    again(firstRetryMs);
  }
  function again(pauseMs: number): void {
    if (closed) return;
    // Not all gateways in the same moment.
    const pause = pauseMs * (0.5 + Math.random());
    timer = setTimeout(() => {
      connect().then(
        () => {
          for (const listener of listeners) listener.missed();
        },
        () => again(Math.min(2 * pauseMs, lastRetryMs)),
      );
    }, pause);
  }

  return {
    open: connect,
    listen: (listener: StateListener) => void listeners.add(listener),
    close() {
      closed = true;
      clearTimeout(timer);
      listeners.clear();
      const last = client;
      client = null;
      if (last !== null) end(last);
      return Promise.resolve();
    },
  };
}

function end(client: Client): void {
  // It may be broken already.
  client.end().catch(() => undefined);
}

function readPayload(payload = ''): (StateChange & { readonly from: string }) | null {
  try {
    const { from, topic, keys } = Object(JSON.parse(payload)) as Record<string, unknown>;
    if (typeof from !== 'string' || typeof topic !== 'string' || !Array.isArray(keys)) return null;
    return { from, topic, keys: keys.map(String) };
  } catch {
    // Somebody else's, on a channel of the same name.
    return null;
  }
}
