// Owns reading another product's JSON: what is there under a name, and what is there that nobody asked for.

import { lose, type Notes } from './imported.ts';

export type Json = { readonly [key: string]: unknown };

export function recordOf(value: unknown): Json | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Json)
    : null;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function textOf(value: unknown): string | null {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : null;
}

/** Those that are texts; what is none is named, because a rule that lost a destination stops less. */
export function textsOf(
  values: readonly unknown[],
  { notes, place }: { readonly notes: Notes; readonly place: string },
): readonly string[] {
  return values.flatMap((value, i) => {
    const text = textOf(value);
    if (text === null)
      lose(notes, `${place}[${i}]`, 'it is no text, and left out', 'write it anew');
    return text ?? [];
  });
}

/** Names every key that is neither read nor known to mean nothing here. */
export function loseUnknown(
  record: Json,
  known: readonly string[],
  { notes, place }: { readonly notes: Notes; readonly place: string },
): void {
  for (const [key, value] of Object.entries(record)) {
    const isEmpty =
      value === null ||
      value === '' ||
      value === false ||
      (Array.isArray(value) && value.length === 0);
    if (known.includes(key) || isEmpty) continue;
    lose(
      notes,
      `${place}.${key}`.replace(/^\./, ''),
      `\`${key}\` is not carried over`,
      'see whether it matters to you; Zonegate has nothing of that name',
    );
  }
}
