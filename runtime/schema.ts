// Building blocks for describing configuration, and zod's findings turned into issues.
import { isIP } from 'node:net';
import { z } from 'zod';
import type { Parsed } from './issue.ts';
import { issuesOf, type KnownKeys } from './schema-issues.ts';
import { SHORTEST_SECRET } from './secret.ts';

export interface ListenAddress {
  readonly host: string; // '' is every address of the machine
  readonly port: number; // 0 lets the system choose
}

// A map with exactly these keys: an unknown key is more often a misspelt setting than a harmless one.
// `.meta({ moved: { old: 'what to write instead' } })` on it explains keys it had once.
export function section<S extends z.core.$ZodLooseShape>(shape: S) {
  return z.strictObject(shape);
}

// A value that may be left out; what is absent is null.
export function optional<S extends z.ZodType>(schema: S) {
  return schema.nullable().default(null);
}

export function parseWith<T>(schema: z.ZodType<T>): (value: unknown) => Parsed<T> {
  return (value) => {
    const knownKeys = new Map<unknown, KnownKeys>();
    const result = schema.safeParse(value, {
      reportInput: true,
      // Only here is the schema that found the unknown key at hand.
      error(issue) {
        if (issue.code === 'unrecognized_keys' && issue.inst instanceof z.ZodObject) {
          const known = knownKeys.get(issue.input) ?? { keys: new Set(), moved: {} };
          const keys = known.keys.union(new Set(Object.keys(issue.inst.shape)));
          const moved = { ...known.moved, ...(issue.inst.meta()?.['moved'] as KnownKeys['moved']) };
          knownKeys.set(issue.input, { keys, moved });
        }
        return undefined;
      },
    });
    if (result.success) return { ok: true, value: result.data };
    return { ok: false, issues: issuesOf(result.error.issues, knownKeys) };
  };
}

// Text that `read` understands, as what it reads; null from `read` is the issue `expected …`.
function textAs<T>(
  expected: string,
  read: (text: string) => T | null,
  {
    example,
    got = () => '',
  }: { readonly example: string; readonly got?: (text: string) => string },
) {
  return z
    .string()
    .meta({ description: expected, examples: [example] })
    .transform((text, context) => {
      const value = read(text);
      if (value !== null) return value;
      const params = { hint: `for example \`${example}\`` };
      const message = `expected ${expected}${got(text)}`;
      context.addIssue({ code: 'custom', message, input: text, params });
      return z.NEVER;
    });
}

// Only of what can hold no secret: a URL may have a password in it.
function gotText(text: string): string {
  return `, got \`${text}\``;
}

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export function durationMs(limits: { readonly minMs?: number; readonly maxMs?: number } = {}) {
  const { minMs = 0, maxMs = Number.MAX_SAFE_INTEGER } = limits;
  const between = rangeText(minMs, maxMs, printMs);
  return textAs(
    `a duration in ms, s, m, h or d${between}`,
    (text) => {
      const [, amount, unit] = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text) ?? [];
      const ms = Number(amount) * MS[unit as keyof typeof MS];
      return ms >= minMs && ms <= maxMs ? ms : null; // NaN when it did not match
    },
    { example: '30s', got: gotText },
  );
}

function printMs(ms: number): string {
  const units = Object.entries(MS).reverse();
  const [unit, size] = units.find(([, size]) => ms > 0 && ms % size === 0) ?? ['s', 1];
  return `${ms / size}${unit}`;
}

function rangeText(min: number, max: number, print: (value: number) => string): string {
  const from = min > 0 ? `, at least ${print(min)}` : '';
  return max < Number.MAX_SAFE_INTEGER ? `${from}, at most ${print(max)}` : from;
}

export function listenAddress() {
  const expected = 'an address and port to listen on';
  return textAs(expected, readListenAddress, { example: '127.0.0.1:8446', got: gotText });
}

function readListenAddress(text: string): ListenAddress | null {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (!(port <= 65_535)) return null;
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? { host: bracketed, port } : null;
  const host = plain ?? '';
  return host === '' || host === 'localhost' || isIP(host) === 4 ? { host, port } : null;
}

// Credentials in a URL end up in logs; a fragment never reaches the other side.
export function httpUrl() {
  return textAs(
    'an http or https URL without credentials and fragment',
    (text) => {
      const url = URL.parse(text);
      if (url === null || !/^https?:\/\//i.test(text) || /[\s#]/.test(text)) return null;
      return url.username === '' && url.password === '' ? url.href : null;
    },
    { example: 'https://uem.example.com/api' },
  );
}

export function secretText() {
  return textAs(
    `a secret of at least ${SHORTEST_SECRET} characters on one line`,
    (text) => {
      const oneLine = !/\p{Cc}/u.test(text);
      return oneLine && text.length >= SHORTEST_SECRET ? text : null;
    },
    { example: `\${file:secrets/token}` },
  );
}

export function name() {
  return textAs(
    'a name of up to 63 characters from a-z, 0-9 and -, beginning with a letter or digit',
    (text) => (/^[a-z0-9][a-z0-9-]{0,62}$/.test(text) ? text : null),
    { example: 'head-office' },
  );
}
