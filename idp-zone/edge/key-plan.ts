// Which signing keys there are at a moment: one signs for each algorithm, the next is known before it does, the last one after.
import type { KeySet, SigningKey } from './keys.ts';

export interface KeyPlan {
  /** How long a key signs. */
  readonly everyMs: number;
  /** How long applications have to learn of a key before anything is signed with it. */
  readonly leadMs: number;
  /** How long what was signed with a key is believed. */
  readonly keepMs: number;
}

export type Algorithm = SigningKey['alg'];

/** The keys from `now` on, in the order of their file: of each algorithm the first signs. Null when nothing changes. */
export function planKeys(
  { keys }: KeySet,
  plan: KeyPlan & { readonly now: number; readonly make: (alg: Algorithm) => SigningKey },
): KeySet | null {
  const algorithms = [...new Set(keys.map(({ alg }) => alg))];
  const planned = algorithms.flatMap((alg) =>
    planOne(
      keys.filter((key) => key.alg === alg),
      { ...plan, make: () => plan.make(alg) },
    ),
  );
  const isSame = planned.length === keys.length && planned.every((key) => keys.includes(key));
  return isSame ? null : { keys: planned };
}

function planOne(
  keys: readonly SigningKey[],
  { now, everyMs, leadMs, keepMs, make }: KeyPlan & { now: number; make: () => SigningKey },
): readonly SigningKey[] {
  const [current, ...others] = keys;
  if (current === undefined) return [];
  const kept = others.filter(
    ({ retired_at }) => retired_at === undefined || now < retired_at + keepMs,
  );
  const next = kept.find(({ retired_at }) => retired_at === undefined);
  if (next === undefined) {
    // A key that nobody dated may be of any age.
    const isDue = now >= (current.signs_from ?? 0) + everyMs - leadMs;
    return isDue ? [current, { ...make(), published_at: now }, ...kept] : [current, ...kept];
  }
  // Put there by hand without a date: its time counts from now.
  if (next.published_at === undefined) {
    return [current, ...kept.map((key) => (key === next ? { ...key, published_at: now } : key))];
  }
  if (now < next.published_at + leadMs) return [current, ...kept];
  const rest = kept.filter((key) => key !== next);
  return [{ ...next, signs_from: now }, { ...current, retired_at: now }, ...rest];
}
