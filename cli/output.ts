// How commands speak: data on stdout, talk on stderr, exit codes, and errors in plain words.

import { styleText } from 'node:util';
import { formatIssue, type PlacedIssue } from '../runtime/issue.ts';

/** 0 fine; 1 refused, or a check failed; 2 wrong usage or configuration. */
export type ExitCode = 0 | 1 | 2;

/** What went wrong is the user's to mend: printed as it is, without a stack. */
export class UsageError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'UsageError';
  }
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Colour only on a terminal that wants it; the words alone say everything. */
export function paint(style: Parameters<typeof styleText>[0], text: string): string {
  const wants = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
  return wants && process.env['TERM'] !== 'dumb' ? styleText(style, text) : text;
}

/** Every issue on a line of its own, the sum last, where the eye is. */
export function sayIssues(issues: readonly PlacedIssue[], sum: string): void {
  for (const issue of issues) say(formatIssue(issue));
  say(sum);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** A port that is taken is the most common first failure: say what to do, not where it happened. */
export function explainListenError(error: unknown, fix: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || !('port' in error)) return error;
  const where = `${'address' in error ? String(error.address) : ''}:${String(error.port)}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return new UsageError(`${where} is in use by another program; ${fix}`, { cause: error });
    case 'EACCES':
      return new UsageError(`this user may not listen on ${where}; ${fix}`, { cause: error });
    case 'EADDRNOTAVAIL':
      return new UsageError(`${where} is not an address of this machine; ${fix}`, { cause: error });
    default:
      return error;
  }
}
