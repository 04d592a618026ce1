// Turns what zod found into issues that say what was expected, what came, and which key was meant.
import type { z } from 'zod';
import type { Issue } from './issue.ts';

type Finding = z.core.$ZodIssue;
type Path = readonly (string | number)[];
// Of a map with unknown keys: the keys it may have, and hints on those it had once.
export interface KnownKeys {
  readonly keys: ReadonlySet<string>;
  readonly moved: Readonly<Record<string, string>>;
}
type KnownKeysOf = ReadonlyMap<unknown, KnownKeys>;

export function issuesOf(findings: readonly Finding[], knownKeys: KnownKeysOf): readonly Issue[] {
  return findings.flatMap((finding) => issuesOfOne(finding, [], knownKeys));
}

function issuesOfOne(finding: Finding, parent: Path, knownKeys: KnownKeysOf): readonly Issue[] {
  const path = [...parent, ...finding.path.map((key) => (typeof key === 'symbol' ? '' : key))];
  switch (finding.code) {
    case 'unrecognized_keys': {
      const known = knownKeys.get(finding.input) ?? { keys: new Set(), moved: {} };
      return finding.keys.map((key) => unknownKey([...path, key], key, known));
    }
    case 'invalid_union':
      return unionIssues(finding, path, knownKeys);
    case 'invalid_key':
    case 'invalid_element':
      return finding.issues.flatMap((inner) => issuesOfOne(inner, path, knownKeys));
    case 'custom': {
      const { hint }: { hint?: unknown } = finding.params ?? {};
      return [{ path, message: finding.message, hint: typeof hint === 'string' ? hint : null }];
    }
    case 'invalid_value':
      return [notOneOf(path, finding.values, finding.input)];
    case 'invalid_type':
      return [notExpected(path, typeWord(finding.expected), finding.input)];
    case 'too_small':
      return [outOfBounds(path, finding.origin, `at least ${finding.minimum}`, finding.input)];
    case 'too_big':
      return [outOfBounds(path, finding.origin, `at most ${finding.maximum}`, finding.input)];
    case 'not_multiple_of':
      return [notExpected(path, `a multiple of ${finding.divisor}`, finding.input)];
    case 'invalid_format':
      return [{ path, message: finding.message, hint: null }];
  }
}

function unknownKey(path: Path, key: string, { keys, moved }: KnownKeys): Issue {
  const hint = Object.hasOwn(moved, key) ? (moved[key] ?? null) : suggestion(key, [...keys]);
  return { path, message: `unknown key \`${key}\``, hint };
}

function notExpected(path: Path, expected: string, input: unknown): Issue {
  const key = path.at(-1);
  const message =
    input === undefined && typeof key === 'string'
      ? `key \`${key}\` is missing, expected ${expected}`
      : `expected ${expected}, got ${cameWord(input)}`;
  return { path, message, hint: null };
}

function notOneOf(path: Path, values: readonly z.core.util.Primitive[], input: unknown): Issue {
  const words = values.map((value) => `\`${String(value)}\``);
  const issue = notExpected(path, orList(words), input);
  return {
    ...issue,
    hint: typeof input === 'string' ? suggestion(input, values.map(String)) : null,
  };
}

function outOfBounds(path: Path, origin: string, bound: string, input: unknown): Issue {
  if (origin === 'string') return { path, message: `expected ${bound} characters`, hint: null };
  if (origin === 'array') return { path, message: `expected ${bound} in this list`, hint: null };
  if (origin === 'object') return { path, message: `expected ${bound} in this map`, hint: null };
  return notExpected(path, `a number of ${bound}`, input);
}

function unionIssues(
  finding: z.core.$ZodIssueInvalidUnion,
  path: Path,
  knownKeys: KnownKeysOf,
): readonly Issue[] {
  if (finding.discriminator !== undefined && 'options' in finding) {
    // The path already ends in the discriminating key.
    const input = finding.input as Record<string, unknown> | null;
    return [notOneOf(path, finding.options ?? [], input?.[finding.discriminator])];
  }
  const branches = finding.errors.map((errors) => ({
    issues: errors.flatMap((error) => issuesOfOne(error, path, knownKeys)),
    isOfType: !errors.some((error) => isOfOtherType(error, finding.input)),
    expected: errors.flatMap((error) => {
      if (error.code === 'invalid_value')
        return error.values.map((value) => `\`${String(value)}\``);
      return error.code === 'invalid_type' ? [typeWord(error.expected)] : [];
    }),
  }));
  // The alternative that is of the value's own type is the one that was meant; fewer issues is nearer.
  const meant = branches
    .filter((branch) => branch.isOfType)
    .toSorted((a, b) => a.issues.length - b.issues.length)[0];
  if (meant !== undefined) return meant.issues;
  const expected = [...new Set(branches.flatMap((branch) => branch.expected))];
  return [notExpected(path, orList(expected), finding.input)];
}

/** `deny` was not meant by whoever writes a map. */
function isOfOtherType(error: Finding, input: unknown): boolean {
  if (error.path.length > 0) return false;
  if (error.code === 'invalid_type') return true;
  return error.code === 'invalid_value' && !error.values.some((one) => typeof one === typeof input);
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: '`true` or `false`',
  array: 'a list',
  object: 'a map',
  record: 'a map',
  null: 'nothing',
};

function typeWord(expected: string): string {
  return TYPE_WORDS[expected] ?? expected;
}

function cameWord(input: unknown): string {
  if (input === undefined || input === null) return 'nothing';
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'string' || typeof input === 'number' || typeof input === 'boolean') {
    return `\`${input}\``;
  }
  return 'a map';
}

function orList(words: readonly string[]): string {
  return words.length < 2
    ? words.join('')
    : `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}

// The nearest of the words that could have been meant, as a hint; two swapped letters are two edits.
function suggestion(given: string, words: readonly string[]): string | null {
  const near = words
    .map((word) => ({ word, distance: editDistance(given.toLowerCase(), word.toLowerCase()) }))
    .filter(
      ({ word, distance }) => distance <= (word.length < 4 ? 1 : Math.max(2, word.length / 3)),
    )
    .toSorted((a, b) => a.distance - b.distance)[0];
  return near === undefined ? null : `did you mean \`${near.word}\`?`;
}

// Levenshtein's, one row at a time; the input is cut because a peer may have chosen it.
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of a.slice(0, 64).split('').entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const replaced = (row[j] ?? 0) + (letter === b[j] ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
