// Owns the outcome of reading one piece of text: its value, or what is wrong with it and how to put it right.

export type Reading<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string; readonly hint: string | null };

export function readAs<T>(value: T): Reading<T> {
  return { ok: true, value };
}

export function unreadable(message: string, hint: string | null = null): Reading<never> {
  return { ok: false, message, hint };
}

/** Input as it may stand in a message: in backticks, short, control characters escaped. */
export function quoted(text: string): string {
  const escaped = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
  return escaped.length <= 80 ? `\`${escaped}\`` : `\`${escaped.slice(0, 79)}…\``;
}
