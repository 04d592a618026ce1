// Forgets what is over, a bounded number of rows at a time, and the oldest of what strangers begin and never end.

import type { State } from '../../runtime/state/state.ts';
import type { Row } from './rows.ts';
import type { Tables } from './tables.ts';

export interface SweepOptions {
  readonly state: State<Tables>;
  readonly now: () => number;
  /** How many rows there may be before anybody has signed in: everybody who can reach the service makes them. */
  readonly maxStrangers: number;
  /** Null: what was to be forgotten is. Else, why not; it is tried again. */
  readonly onTrouble: (error: Error | null) => void;
  readonly everyMs?: number;
}

export interface Sweep {
  added(row: Row): void;
  /** Resolves when what is over now is forgotten, or could not be. */
  run(): Promise<void>;
  close(): Promise<void>;
}

// Writing to a file keeps the process from anything else: some milliseconds at a time.
const rowsAtOnce = 500;
// Of the limit, how much may be added before it is looked at.
const looks = 10;

export function createSweep(options: SweepOptions): Sweep {
  const { state, now, maxStrangers, onTrouble, everyMs = 60_000 } = options;
  let strangers = 0;
  let closed = false;
  let running: Promise<void> = Promise.resolve();
  const timer = setInterval(() => void run(), everyMs);
  timer.unref();

  async function forget(keys: () => Promise<readonly { readonly key: string }[]>): Promise<void> {
    for (let found = rowsAtOnce; found === rowsAtOnce && !closed; ) {
      const rows = await keys();
      found = rows.length;
      if (found === 0) return;
      await state.write('soon', (change) =>
        change
          .deleteFrom('zonegate_sign_ins')
          .where(
            'key',
            'in',
            rows.map(({ key }) => key),
          )
          .execute(),
      );
    }
  }
  async function sweep(): Promise<void> {
    strangers = 0;
    const keys = state.db.selectFrom('zonegate_sign_ins').select('key').limit(rowsAtOnce);
    try {
      await forget(() => keys.where('expires_at', '<=', now()).execute());
      const unknown = keys.where('account', 'is', null).orderBy('expires_at', 'desc');
      await forget(() => unknown.offset(maxStrangers).execute());
      onTrouble(null);
    } catch (error) {
      onTrouble(error as Error);
    }
  }
  function run(): Promise<void> {
    running = running.then(() => (closed ? undefined : sweep()));
    return running;
  }

  return {
    added(row) {
      if (row.account !== null) return;
      strangers += 1;
      if (strangers * looks > maxStrangers) {
        strangers = 0;
        void run();
      }
    },
    run,
    async close() {
      closed = true;
      clearInterval(timer);
      await running;
    },
  };
}
