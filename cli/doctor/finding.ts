// Owns what the doctor finds: one sentence on one thing, how bad it is, what was expected and how to mend it.

export type Level = 'ok' | 'warning' | 'problem';

export interface Finding {
  readonly level: Level;
  /** Where: a key of the configuration, a file, or a part of the machine. */
  readonly place: string;
  readonly message: string;
  readonly expected: string | null;
  readonly fix: string | null;
}

interface Wrong {
  readonly message: string;
  readonly expected: string;
  readonly fix: string;
}

export function ok(place: string, message: string): Finding {
  return { level: 'ok', place, message, expected: null, fix: null };
}

export function warning(place: string, wrong: Wrong): Finding {
  return { level: 'warning', place, ...wrong };
}

export function problem(place: string, wrong: Wrong): Finding {
  return { level: 'problem', place, ...wrong };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
