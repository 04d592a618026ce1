// The tables of the sign-in service's state, and how they came to be: one list of steps, for both engines.

import type { Schema } from '../../runtime/state/migrate.ts';

/** Moments are milliseconds since 1970. Keys are hashes: who reads the table can neither sign in nor refresh with it. */
export interface Tables {
  /** Sessions, grants, codes, tokens, and sign-ins under way. */
  readonly zonegate_sign_ins: {
    /** Of kind and identifier, which for codes, tokens and sessions is the secret itself. */
    key: string;
    /** A model of oidc-provider: `Session`, `RefreshToken`, … */
    kind: string;
    /** `key` of the grant that it was given under. */
    grant_key: string | null;
    /** Of a session: what its tokens call it. */
    uid: string | null;
    /** Whose it is; null as long as nobody has signed in. */
    account: string | null;
    /** The rest as JSON, without the identifier. */
    payload: string;
    consumed_at: number | null;
    expires_at: number;
  };
}

export const schema: Schema = {
  versions: 'zonegate_idp_schema',
  // Never change a step that was in a release: add one.
  migrations: [
    async ({ schema: tables }) => {
      await tables
        .createTable('zonegate_sign_ins')
        .addColumn('key', 'text', (column) => column.primaryKey())
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('grant_key', 'text')
        .addColumn('uid', 'text')
        .addColumn('account', 'text')
        .addColumn('payload', 'text', (column) => column.notNull())
        .addColumn('consumed_at', 'bigint')
        .addColumn('expires_at', 'bigint', (column) => column.notNull())
        .execute();
      const indexes = { grant_key: [], uid: [], account: ['expires_at'], expires_at: [] };
      for (const [column, more] of Object.entries(indexes)) {
        await tables
          .createIndex(`zonegate_sign_ins_by_${column}`)
          .on('zonegate_sign_ins')
          .columns([column, ...more])
          .execute();
      }
    },
  ],
};
