// What can be wrong with a piece of input, where it stands in its file, and how that is printed.

export interface Issue {
  readonly path: readonly (string | number)[];
  readonly message: string; // what is wrong and what was expected
  readonly hint: string | null; // the fix, when we know one
}

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly issues: readonly Issue[] };

export interface PlacedIssue extends Issue {
  readonly file: string;
  readonly line: number; // both count from 1
  readonly column: number;
}

export function formatIssue(issue: PlacedIssue): string {
  const hint = issue.hint === null ? '' : ` (${issue.hint})`;
  return `${issue.file}:${issue.line}:${issue.column}: ${issue.message}${hint}`;
}
