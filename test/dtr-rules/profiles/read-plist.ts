// Reads property lists as plutil would, strictly: what it does not know fails.

import assert from 'node:assert/strict';

interface Reader {
  readonly tokens: readonly string[];
  at: number;
}

export function readPlist(text: string): unknown {
  const [, body = ''] =
    /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<!DOCTYPE plist [^>]+>\n<plist version="1\.0">([\s\S]*)<\/plist>\n$/.exec(
      text,
    ) ?? [];
  const tokens = body.match(/<[^>]+>|[^<]+/g) ?? [];
  const reader = { tokens, at: 0 };
  const value = readValue(reader);
  skipSpace(reader);
  assert.equal(reader.at, tokens.length, 'there is something after the value');
  return value;
}

function readValue(reader: Reader): unknown {
  skipSpace(reader);
  const tag = take(reader);
  switch (tag) {
    case '<true/>':
      return true;
    case '<false/>':
      return false;
    case '<string>':
      return readText(reader, '</string>');
    case '<integer>':
      return Number(readText(reader, '</integer>'));
    case '<data>':
      return Buffer.from(readText(reader, '</data>'), 'base64');
    case '<array>':
      return readUntil(reader, '</array>', readValue);
    case '<dict>':
      return Object.fromEntries(readUntil(reader, '</dict>', readMember));
    default:
      return assert.fail(`\`${tag}\` is nothing a property list has`);
  }
}

function readMember(reader: Reader): readonly [string, unknown] {
  assert.equal(take(reader), '<key>');
  return [readText(reader, '</key>'), readValue(reader)];
}

function readUntil<T>(reader: Reader, end: string, read: (reader: Reader) => T): readonly T[] {
  const items: T[] = [];
  for (skipSpace(reader); reader.tokens[reader.at] !== end; skipSpace(reader))
    items.push(read(reader));
  reader.at += 1;
  return items;
}

function readText(reader: Reader, end: string): string {
  const isEmpty = reader.tokens[reader.at] === end;
  const raw = isEmpty ? '' : take(reader);
  assert.equal(take(reader), end);
  assert.doesNotMatch(raw, /&(?!#\d+;)/);
  // A bare carriage return would arrive as a line feed.
  return raw
    .replace(/\r\n?/g, '\n')
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)));
}

function skipSpace(reader: Reader): void {
  while (/^\s+$/.test(reader.tokens[reader.at] ?? '')) reader.at += 1;
}

function take(reader: Reader): string {
  const token = reader.tokens[reader.at];
  assert.ok(token !== undefined, 'it ends too early');
  reader.at += 1;
  return token;
}
