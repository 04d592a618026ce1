// What a UEM's answer means before its devices are looked at: a JSON object, or an outage.

import type { Answer } from './exchange.ts';
import { SourceError } from './source.ts';

export type Fields = ReadonlyMap<string, unknown>;

// The object's own properties as a map, so that `__proto__` is a name like any other (threats A07).
export function fieldsOf(value: unknown): Fields | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return new Map(Object.entries(value));
}

// `who` begins the sentence, for example `the UEM`.
export function parseJsonObject(answer: Answer, who: string): Fields {
  const fields = readObject(answer.text);
  if (fields === null)
    throw new SourceError('outage', `${who} answered something else than a JSON object`);
  return fields;
}

export function refusedAnswer(answer: Answer, who: string, now: number): SourceError {
  const isRedirect = answer.status >= 300 && answer.status <= 399;
  const what = isRedirect ? 'a redirect, which is not followed' : `status ${answer.status}`;
  return new SourceError('outage', `${who} answered ${what}`, {
    retryAfterMs: parseRetryAfter(answer.retryAfter, now),
  });
}

// Seconds or an HTTP date (RFC 9110, 10.2.3).
function parseRetryAfter(text: string | null, now: number): number | null {
  if (text === null) return null;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const moment = /^[A-Z][a-z]{2}, .+ GMT$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(moment) ? null : Math.max(0, moment - now);
}

// Null for what is no JSON object, an empty body among it.
export function readObject(text: string): Fields | null {
  try {
    return fieldsOf(JSON.parse(text));
  } catch {
    return null;
  }
}
