// The signing keys in force: read again when the file changes, and changed by the clock where that is configured.
import { isDeepStrictEqual } from 'node:util';
import type { Log } from '../../runtime/log.ts';
import type { Readiness } from '../../runtime/readiness.ts';
import type { KeyPlan } from './key-plan.ts';
import { type KeySet, readKeys, rotateKeys } from './keys.ts';

export interface LiveKeysOptions {
  readonly file: string;
  /** Null: only hands change the file. */
  readonly plan: KeyPlan | null;
  readonly now: () => number;
  readonly log: Log;
  readonly readiness: Readiness;
}

export interface LiveKeys {
  current(): KeySet;
  /** Called with other keys than before. */
  onChange(listener: (keys: KeySet) => void): void;
  /** Resolves when what the file and the clock say is in force, or could not be. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}

const LOOK_MS = 3_600_000;

/** Fails when the file cannot be used: there is nothing to sign with. */
export async function openLiveKeys(options: LiveKeysOptions): Promise<LiveKeys> {
  const { file, plan, now, log, readiness } = options;
  let keys = await readKeys(file);
  let tell: (keys: KeySet) => void = () => undefined;
  let last: Promise<void> = Promise.resolve();

  async function look(): Promise<void> {
    try {
      const next = await (plan === null
        ? readKeys(file)
        : rotateKeys(file, { ...plan, now: now() }));
      readiness.set('sign-in keys', 'ok');
      if (isDeepStrictEqual(next, keys)) return;
      keys = next;
      tell(keys);
      const ids = keys.keys.map(({ alg, kid }) => `${alg} ${kid}`);
      log.info({ 'event.name': 'zonegate.keys', 'zonegate.keys': ids }, 'signing keys changed');
    } catch (error) {
      log.error({ err: error }, 'signing keys not read again, the old ones stay in use');
      readiness.set('sign-in keys', 'ok: they could not be read again; the old ones are in use');
    }
  }
  function refresh(): Promise<void> {
    last = last.then(look);
    return last;
  }

  await refresh();
  const timer = plan === null ? undefined : setInterval(() => void refresh(), LOOK_MS);
  timer?.unref();
  return {
    current: () => keys,
    onChange(listener) {
      tell = listener;
    },
    refresh,
    async close() {
      clearInterval(timer);
      await last;
    },
  };
}
