// Owns reading the applications of a rule file, and which of them a rule is for.

import {
  type Input,
  note,
  readEach,
  readEntries,
  readField,
  readFields,
  readFilledList,
  readId,
  readText,
} from './input.ts';
import { quoted } from './reading.ts';
import type { Application } from './rule.ts';

const identifiers = ['bundleId', 'packageName', 'path', 'publisher'] as const;

export function readApplications(input: Input): readonly Application[] {
  return readEach(readEntries(input), readApplication);
}

function readApplication(input: Input): Application | null {
  const name = readId({ ...input, value: input.path.at(-1) });
  if (name === 'all') return note(input, '`all` is every application, not a name for one');
  const fields = readFields(input, identifiers, []);
  if (fields === null) return null;
  const known = {
    bundleId: readField(fields.bundleId, readIdentifier),
    packageName: readField(fields.packageName, readIdentifier),
    path: readField(fields.path, readIdentifier),
    publisher: readField(fields.publisher, readIdentifier),
  };
  if (Object.keys(fields).length === 0) {
    const hint = `add ${identifiers.map((key) => `\`${key}\``).join(', ')}, or several of them`;
    return note(input, 'nothing says which application this is', hint);
  }
  return name === null ? null : { name, ...known };
}

/** Compared with what a certificate, a listener or a header says, character by character. */
function readIdentifier(input: Input): string | null {
  const text = readText(input);
  if (text === null || /^[^\p{Cc}\s](?:[^\p{Cc}]{0,253}[^\p{Cc}\s])?$/u.test(text)) return text;
  return note(
    input,
    `${quoted(text)} is no identifier: expected 1 to 255 characters without line breaks or outer spaces`,
  );
}

/** `all`, or names of applications of this file. */
export function readApps(
  input: Input,
  applications: ReadonlyMap<string, Application>,
): readonly Application[] | null {
  if (input.value === 'all') return null;
  const hint =
    applications.size === 0
      ? 'the file has no `applications`'
      : `known: ${[...applications.keys()].slice(0, 20).join(', ')}`;
  return readEach(readFilledList(input), (item) => {
    const name = readText(item);
    if (name === null) return null;
    return (
      applications.get(name) ?? note(item, `no application ${quoted(name)} in this file`, hint)
    );
  });
}
