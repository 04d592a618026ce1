// Makes a finished log line safe to keep: no secrets, no characters that a terminal or log reader obeys.
// It works on the whole line, so no depth, spelling or serializer gets past it (threats A05, A09).
import { REMOVED, SHORTEST_SECRET } from './secret.ts';

// Fields whose values are never logged, at any depth and in any case.
const SECRET_FIELDS = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'password',
  'passphrase',
  'token',
  'access_token',
  'refresh_token',
  'id_token',
  'secret',
  'client_secret',
  'client_assertion',
  'api_key',
  'apikey',
  'aw-tenant-code',
]);
// Credentials inside text: after an authentication scheme's name, and in the user part of a URL.
const CREDENTIALS = /\b(Bearer|Basic|DPoP) [\w.~+/-]{12,}=*/gi;
// The name ends at the first colon: were there a choice, 16 KB of colons would take 0.7 s.
const URL_CREDENTIALS = /(:\/\/)[^\s/@":]*:[^\s/@"]*@/g;

// JSON leaves these as they are: DEL and C1 (terminals), line separators, marks that turn text around.
const UNSAFE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const HAS_UNSAFE = new RegExp(UNSAFE.source);

// One search for all of them, through every line.
const MAY_HOLD_SECRET = new RegExp(
  [`"(?:${[...SECRET_FIELDS].join('|')})":`, CREDENTIALS.source, URL_CREDENTIALS.source].join('|'),
  'i',
);

// The set may grow: a reload brings new secrets, and the old ones stay secret.
export function createLineCleaner(secrets: ReadonlySet<string>): (line: string) => string {
  let known = secrets.size;
  let spellings = spellingsOf(secrets);
  // A line without anything to hide, nearly every line, costs two searches and no parsing.
  const mayHoldSecret = (line: string) =>
    MAY_HOLD_SECRET.test(line) || spellings.some((spelling) => line.includes(spelling));
  return (line) => {
    if (secrets.size !== known) {
      known = secrets.size;
      spellings = spellingsOf(secrets);
    }
    const safe = mayHoldSecret(line) ? withoutSecrets(line, spellings) : line;
    return HAS_UNSAFE.test(safe) ? safe.replace(UNSAFE, (one) => `\\u${hex(one)}`) : safe;
  };
}

// A secret may stand in a line as it is, within JSON within a text, or within a URL.
function spellingsOf(secrets: ReadonlySet<string>): readonly string[] {
  const spellings = [...secrets]
    .filter((secret) => secret.length >= SHORTEST_SECRET)
    .flatMap((secret) => {
      const once = inJson(secret);
      const url = encodeURIComponent(secret.toWellFormed());
      return [secret, once, inJson(once), inJson(inJson(once)), url];
    });
  return [...new Set(spellings)].toSorted((a, b) => b.length - a.length);
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

// The line is read and written again: cutting in its text could cut through an escape and break it.
function withoutSecrets(line: string, spellings: readonly string[]): string {
  const clean = (text: string) =>
    spellings
      .reduce((rest, spelling) => rest.replaceAll(spelling, REMOVED), text)
      .replace(CREDENTIALS, `$1 ${REMOVED}`)
      .replace(URL_CREDENTIALS, `$1${REMOVED}@`);
  const walk = (value: unknown): unknown => {
    if (typeof value === 'string') return clean(value);
    if (typeof value === 'number') return clean(String(value)) === String(value) ? value : REMOVED;
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) =>
        SECRET_FIELDS.has(key.toLowerCase()) && inner !== null
          ? [key, REMOVED]
          : [clean(key), walk(inner)],
      ),
    );
  };
  return `${JSON.stringify(walk(JSON.parse(line)))}\n`;
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(4, '0');
}
