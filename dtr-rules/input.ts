// Owns reading unknown input piece by piece: every reader returns what it found or null, and notes each issue with its place.

import { quoted, type Reading } from './reading.ts';
import type { Issue, Path } from './rule.ts';

export interface Input {
  readonly value: unknown;
  readonly path: Path;
  /** Shared by all inputs of one file. */
  readonly issues: Issue[];
}

export type Fields<K extends string> = { readonly [key in K]?: Input };

export function note(input: Input, message: string, hint: string | null = null): null {
  input.issues.push({ path: input.path, message, hint });
  return null;
}

/** The known keys of a mapping. Only own keys are looked at; an unknown one is an issue at the key itself. */
export function readFields<K extends string>(
  input: Input,
  keys: readonly K[],
  needed: readonly NoInfer<K>[],
): Fields<K> | null {
  const { value, path, issues } = input;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return note(input, `expected a mapping, got ${describe(value)}`);
  }
  const fields: { [key in K]?: Input } = {};
  for (const [key, inner] of Object.entries(value)) {
    const known = keys.find((one) => one === key);
    const field = { value: inner, path: [...path, key], issues };
    if (known === undefined) note(field, `unknown key ${quoted(key)}`, nearest(key, keys));
    else fields[known] = field;
  }
  for (const key of needed) {
    if (fields[key] === undefined) note(input, `\`${key}\` is missing`);
  }
  return fields;
}

/** The values of a mapping whose keys are names; the key is the last part of each path. */
export function readEntries(input: Input): readonly Input[] | null {
  const { value, path, issues } = input;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return note(input, `expected a mapping, got ${describe(value)}`);
  }
  return Object.entries(value).map(([key, inner]) => ({
    value: inner,
    path: [...path, key],
    issues,
  }));
}

/** Null for a key that is not there. A key without a value is there: blank never means "leave it out". */
export function readField<T>(field: Input | undefined, read: (field: Input) => T | null): T | null {
  return field === undefined ? null : read(field);
}

export function readList(input: Input): readonly Input[] | null {
  const { value, path, issues } = input;
  if (!Array.isArray(value)) return note(input, `expected a list, got ${describe(value)}`);
  return value.map((item: unknown, index) => ({ value: item, path: [...path, index], issues }));
}

/** A list that must hold something, or be left out: an empty one reads as "none" to some and as "all" to others. */
export function readFilledList(input: Input): readonly Input[] | null {
  const list = readList(input);
  return list !== null && list.length === 0 ? note(input, 'the list is empty') : list;
}

export function readText(input: Input): string | null {
  const { value } = input;
  if (typeof value !== 'string') return note(input, `expected text, got ${describe(value)}`);
  return value.trim() === '' ? note(input, 'expected text, got none') : value;
}

/** Names of people's things: groups, rule sets, tests. */
export function readLabel(input: Input): string | null {
  const text = readText(input);
  if (text === null || /^[^\p{Cc}\s](?:[^\p{Cc}]{0,98}[^\p{Cc}\s])?$/u.test(text)) return text;
  return note(
    input,
    `${quoted(text)} is not a name: expected 1 to 100 characters without line breaks or outer spaces`,
  );
}

/** Names that other files and the log refer to. */
export function readId(input: Input): string | null {
  const text = readText(input);
  if (text === null || /^[a-z0-9][a-z0-9-]{0,62}$/.test(text)) return text;
  return note(
    input,
    `${quoted(text)} is not an id: expected up to 63 of \`a-z\`, \`0-9\` and \`-\`, not beginning with \`-\``,
  );
}

export function readChoice<T extends string>(input: Input, choices: readonly T[]): T | null {
  const text = readText(input);
  if (text === null) return null;
  const chosen = choices.find((choice) => choice === text);
  const expected = choices.map((choice) => `\`${choice}\``).join(', ');
  return chosen ?? note(input, `${quoted(text)} is not one of ${expected}`, nearest(text, choices));
}

export function readFlag(input: Input): boolean | null {
  const { value } = input;
  return typeof value === 'boolean'
    ? value
    : note(input, `expected \`true\` or \`false\`, got ${describe(value)}`);
}

/** Text that a reader from another file understands. */
export function readWith<T>(input: Input, read: (text: string) => Reading<T>): T | null {
  const text = readText(input);
  if (text === null) return null;
  const reading = read(text);
  return reading.ok ? reading.value : note(input, reading.message, reading.hint);
}

/** The items that could be read; those that could not have noted why. */
export function readEach<T>(
  items: readonly Input[] | null,
  read: (item: Input) => T | null,
): readonly T[] {
  return (items ?? []).flatMap((item) => {
    const value = read(item);
    return value === null ? [] : [value];
  });
}

function describe(value: unknown): string {
  if (value === null) return 'nothing';
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'a mapping';
  if (typeof value === 'string') return quoted(value);
  return typeof value === 'number' || typeof value === 'boolean' ? `\`${value}\`` : typeof value;
}

function nearest(text: string, known: readonly string[]): string | null {
  const given = spelling(text);
  for (const edits of [0, 1, 2]) {
    // Two edits turn any two letters into `id`: short words need to be closer.
    const near = known.filter((word) => word.length >= edits * 3);
    const found = near.find((word) => isWithin(edits, given, spelling(word)));
    if (found !== undefined) return `did you mean \`${found}\`?`;
  }
  return null;
}

function spelling(word: string): string {
  return word.toLowerCase().replace(/[-_\s]/g, '');
}

/** True when so many insertions, deletions and replacements turn one word into the other. */
function isWithin(edits: number, a: string, b: string): boolean {
  const equal = commonPrefix(a, b);
  const [restA, restB] = [a.slice(equal), b.slice(equal)];
  if (restA === '' || restB === '') return restA.length + restB.length <= edits;
  if (edits === 0) return false;
  const [shorterA, shorterB] = [restA.slice(1), restB.slice(1)];
  return (
    isWithin(edits - 1, shorterA, restB) ||
    isWithin(edits - 1, restA, shorterB) ||
    isWithin(edits - 1, shorterA, shorterB)
  );
}

function commonPrefix(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}
