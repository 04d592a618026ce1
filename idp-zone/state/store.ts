// What the provider remembers (sessions, grants, codes, tokens): durable, expiring, and spent only once, by whichever process.

import type { Adapter, AdapterPayload } from 'oidc-provider';
import type { State } from '../../runtime/state/state.ts';
import { holdGrant, insert, keyOf, payloadOf, type Row, revoke, rowOf, spend } from './rows.ts';
import { createSweep, type SweepOptions } from './sweep.ts';
import type { Tables } from './tables.ts';

export interface StoreOptions extends SweepOptions {
  readonly state: State<Tables>;
  readonly now: () => number;
}

export interface Hooks {
  /** Asked before a code or token is spent; throwing leaves it as it was. */
  readonly beforeConsume: (kind: string, payload: AdapterPayload) => void;
  readonly alreadyConsumed: () => Error;
  /** The request being answered: a refresh token is spent together with the one that takes its place. */
  readonly request: () => object | undefined;
}

export interface Store {
  adapters(hooks: Hooks): (kind: string) => Adapter;
  /** Resolves when what is over now is forgotten, or could not be. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

/** A loss of power may cost a sign-in under way, and what it costs is begun anew; never what a client was promised. */
const lasting: ReadonlySet<string> = new Set(['Session', 'Grant', 'RefreshToken']);

// What has no end of its own is forgotten by then.
const longestMs = 366 * 24 * 3_600_000;

export function createStore(options: StoreOptions): Store {
  const { state, now } = options;
  const sweep = createSweep(options);
  return {
    adapters(hooks) {
      // By request: the refresh token it is about to spend.
      const spending = new WeakMap<object, Row>();
      return (kind) => createKind({ kind, state, now, hooks, spending, added: sweep.added });
    },
    sweep: () => sweep.run(),
    close: () => sweep.close(),
  };
}

interface KindOptions extends Pick<StoreOptions, 'state' | 'now'> {
  readonly kind: string;
  readonly hooks: Hooks;
  readonly spending: WeakMap<object, Row>;
  readonly added: (row: Row) => void;
}

function createKind({ kind, state, now, hooks, spending, added }: KindOptions): Adapter {
  const live = () =>
    state.db.selectFrom('zonegate_sign_ins').selectAll().where('expires_at', '>', now());
  const findRow = (id: string) => live().where('key', '=', keyOf(kind, id)).executeTakeFirst();

  /** Spends, and gives what takes its place, or neither. Used a second time, it was stolen or its successor was: all
   *  that was given with it ends (RFC 9700 4.14.2), however close together the two came. */
  async function spendFor(spent: Row, next: Row | null): Promise<void> {
    const isFirst = await state.write('durable', async (change) => {
      // One at a time for each grant: two who find it spent would wait for each other to revoke it.
      if (spent.grant_key !== null) await holdGrant(change, spent.grant_key, state.kind);
      if (await spend(change, spent.key, now())) {
        return next === null || (await insert(change, next, state.kind));
      }
      if (spent.grant_key !== null) await revoke(change, spent.grant_key);
      return false;
    });
    if (!isFirst) throw hooks.alreadyConsumed();
  }

  return {
    async upsert(id, payload, expiresIn) {
      const expiresAt = now() + (expiresIn === undefined ? longestMs : expiresIn * 1000);
      const row = rowOf({ kind, id, payload, expiresAt });
      const request = hooks.request();
      const spent = request && kind === 'RefreshToken' ? spending.get(request) : undefined;
      if (request !== undefined && spent !== undefined) {
        spending.delete(request);
        return await spendFor(spent, row);
      }
      const how = lasting.has(kind) ? 'durable' : 'soon';
      const isKept = await state.write(how, (change) => insert(change, row, state.kind));
      if (!isKept) throw hooks.alreadyConsumed();
      added(row);
    },
    async find(id) {
      const row = await findRow(id);
      return row && payloadOf(row, id);
    },
    async findByUid(uid) {
      const row = await live().where('uid', '=', uid).executeTakeFirst();
      return row && payloadOf(row, null);
    },
    findByUserCode: () => Promise.resolve(undefined), // the device flow is off
    async consume(id) {
      const row = await findRow(id);
      if (row === undefined) return;
      hooks.beforeConsume(kind, payloadOf(row, id));
      const request = hooks.request();
      // Nothing is written before there is something to give for it: a process that ends in between spends no token.
      if (kind === 'RefreshToken' && request !== undefined) spending.set(request, row);
      else await spendFor(row, null);
    },
    async destroy(id) {
      const key = keyOf(kind, id);
      await state.write(lasting.has(kind) ? 'durable' : 'soon', async (change) => {
        if (kind === 'Grant') await revoke(change, key);
        else await change.deleteFrom('zonegate_sign_ins').where('key', '=', key).execute();
      });
    },
    async revokeByGrantId(grantId) {
      await state.write('durable', async (change) => {
        await change
          .deleteFrom('zonegate_sign_ins')
          .where('grant_key', '=', keyOf('Grant', grantId))
          .where('kind', '=', kind)
          .execute();
      });
    },
  };
}
