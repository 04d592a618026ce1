// Whom an event is about: subject identifiers (RFC 9493, SSF 1.0 section 3) read the way the configuration says.

import type { DeviceHint } from '../device-index.ts';
import { canonicalDeviceId } from '../source.ts';
import { type Fields, fieldsOf } from '../uem-answer.ts';

export const SUBJECT_FORMATS = ['opaque', 'iss_sub', 'email', 'account', 'uri', 'did'] as const;
export type SubjectFormat = (typeof SUBJECT_FORMATS)[number];

/** What the texts of one format name. */
export interface SubjectRow {
  readonly format: SubjectFormat;
  /** Of `iss_sub`: whose names they are. */
  readonly issuer: string | null;
  /** What stands before the name, `urn:udid:` for example. */
  readonly prefix: string;
  readonly names: 'device' | 'serial' | 'number' | 'user';
  /** Whose numbers they are. */
  readonly source: string;
}

export type Subject =
  | { readonly kind: 'device'; readonly hints: readonly DeviceHint[] }
  | { readonly kind: 'user'; readonly users: readonly string[] }
  | { readonly kind: 'nobody' };

const NOBODY: Subject = { kind: 'nobody' };
const MAX_ALIASES = 10;
const MAX_NAME = 320; // the longest e-mail address

const TEXT_OF: Readonly<Record<SubjectFormat, string>> = {
  opaque: 'id',
  iss_sub: 'sub',
  email: 'email',
  account: 'uri',
  uri: 'uri',
  did: 'url',
};

export function readSubject(value: unknown, rows: readonly SubjectRow[]): Subject {
  const fields = fieldsOf(value);
  if (fields === null) return NOBODY;
  const device = fields.get('device');
  const user = fields.get('user');
  const isComplex =
    fields.get('format') === 'complex' ||
    (!fields.has('format') && (fields.has('device') || fields.has('user')));
  if (!isComplex) return namedBy(fields, rows);
  // All members hold together (SSF 1.0 section 3.3): a device that cannot be read must not become all of a user's.
  if (device !== undefined) return onlyOf('device', namedBy(fieldsOf(device), rows));
  return onlyOf('user', namedBy(fieldsOf(user), rows));
}

function onlyOf(kind: 'device' | 'user', subject: Subject): Subject {
  return subject.kind === kind ? subject : NOBODY;
}

function namedBy(fields: Fields | null, rows: readonly SubjectRow[]): Subject {
  if (fields === null) return NOBODY;
  const hints: DeviceHint[] = [];
  const users: string[] = [];
  for (const one of aliasesOf(fields)) {
    for (const row of rows) {
      const name = nameBy(one, row);
      if (name === null) continue;
      if (row.names === 'user') users.push(name);
      else hints.push(hintOf(row, row.names, name));
    }
  }
  if (hints.length > 0) return { kind: 'device', hints };
  return users.length > 0 ? { kind: 'user', users } : NOBODY;
}

/** `aliases` hold several identifiers of one subject, and no further aliases (RFC 9493 section 3.2.8). */
function aliasesOf(fields: Fields): readonly Fields[] {
  if (fields.get('format') !== 'aliases') return [fields];
  const list = fields.get('identifiers');
  if (!Array.isArray(list)) return [];
  return list
    .slice(0, MAX_ALIASES)
    .map(fieldsOf)
    .filter((one) => one !== null);
}

function nameBy(fields: Fields, { format, issuer, prefix }: SubjectRow): string | null {
  if (fields.get('format') !== format) return null;
  if (format === 'iss_sub' && fields.get('iss') !== issuer) return null;
  const text = fields.get(TEXT_OF[format]);
  if (typeof text !== 'string' || !text.startsWith(prefix)) return null;
  const name = text.slice(prefix.length);
  return name === '' || name.length > MAX_NAME ? null : name;
}

function hintOf(
  { source }: SubjectRow,
  names: 'device' | 'serial' | 'number',
  name: string,
): DeviceHint {
  switch (names) {
    case 'device':
      return { deviceId: canonicalDeviceId(name) };
    case 'serial':
      return { serial: name };
    case 'number':
      return { source, uemId: name };
  }
}
