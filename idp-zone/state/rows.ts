// What the provider remembers, as rows: identifiers only as hashes, given under a grant and gone with it.

import { hash } from 'node:crypto';
import type { Selectable, Transaction } from 'kysely';
import type { AdapterPayload } from 'oidc-provider';
import type { State } from '../../runtime/state/state.ts';
import type { Tables } from './tables.ts';

export type Row = Selectable<Tables['zonegate_sign_ins']>;
export type Change = Transaction<Tables>;

// What a client holds because of a grant. An interaction names one, too, and outlives it.
const givenKinds: ReadonlySet<string> = new Set([
  'AccessToken',
  'AuthorizationCode',
  'RefreshToken',
]);

/** Every identifier that is a secret has at least 126 bits of randomness: nobody finds it by trying. */
export function keyOf(kind: string, id: string): string {
  return hash('sha256', `${kind}:${id}`, 'base64url');
}

export interface Kept {
  readonly kind: string;
  readonly id: string;
  readonly payload: AdapterPayload;
  readonly expiresAt: number;
}

export function rowOf({ kind, id, payload, expiresAt }: Kept): Row {
  const { jti: _secret, consumed: _column, ...rest } = payload;
  const { grantId, uid, accountId } = payload;
  return {
    key: keyOf(kind, id),
    kind,
    grant_key: givenKinds.has(kind) && grantId !== undefined ? keyOf('Grant', grantId) : null,
    uid: kind === 'Session' ? (uid ?? null) : null,
    account: accountId ?? null,
    payload: JSON.stringify(rest.session === undefined ? rest : withoutCookie(rest)),
    consumed_at: null,
    expires_at: expiresAt,
  };
}

/** An interaction carries the secret of the session that it began with, and has no use for it. */
function withoutCookie(payload: AdapterPayload): AdapterPayload {
  const { cookie: _secret, ...session } = Object(payload.session) as Record<string, unknown>;
  return { ...payload, session: session as unknown as NonNullable<AdapterPayload['session']> };
}

/** `id` is what it was found by; null where that was not its identifier, which nobody can tell then. */
export function payloadOf({ payload, consumed_at }: Row, id: string | null): AdapterPayload {
  return {
    ...(JSON.parse(payload) as AdapterPayload),
    ...(id !== null && { jti: id }),
    ...(consumed_at !== null && { consumed: Math.floor(consumed_at / 1000) }),
  };
}

/** False: its grant has been revoked, and nothing is given under it any more. */
export async function insert(change: Change, row: Row, kind: State<Tables>['kind']) {
  if (row.grant_key !== null && !(await holdGrant(change, row.grant_key, kind))) return false;
  const { key: _key, consumed_at: _spent, ...rest } = row;
  await change
    .insertInto('zonegate_sign_ins')
    .values(row)
    .onConflict((conflict) => conflict.column('key').doUpdateSet(rest))
    .execute();
  return true;
}

/** Keeps a grant as it is until the end of the transaction; false when there is none. With one writer, as SQLite has,
 *  nothing else could change it. */
export async function holdGrant(change: Change, grantKey: string, kind: State<Tables>['kind']) {
  const grant = change.selectFrom('zonegate_sign_ins').select('key').where('key', '=', grantKey);
  const held = await (kind === 'postgres' ? grant.forUpdate() : grant).executeTakeFirst();
  return held !== undefined;
}

/** True: it was unspent until now. Of many who ask at once, in one process or in several, one is told so. */
export async function spend(change: Change, key: string, now: number): Promise<boolean> {
  const { numUpdatedRows } = await change
    .updateTable('zonegate_sign_ins')
    .set({ consumed_at: now })
    .where('key', '=', key)
    .where('consumed_at', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** The grant first: whoever is about to give something under it has done so by then, or finds it gone. */
export async function revoke(change: Change, grantKey: string): Promise<void> {
  await change.deleteFrom('zonegate_sign_ins').where('key', '=', grantKey).execute();
  await change.deleteFrom('zonegate_sign_ins').where('grant_key', '=', grantKey).execute();
}
