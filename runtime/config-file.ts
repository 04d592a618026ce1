// Reads one YAML file: secrets put in, parsed, and every issue with its line and column.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileTrouble } from './file-trouble.ts';
import type { Issue, Parsed, PlacedIssue } from './issue.ts';
import { REMOVED } from './secret.ts';
import { fillSecrets } from './secret-reference.ts';
import { type Path, type Place, readYamlText, type YamlText } from './yaml-text.ts';

export interface ConfigFile<T> {
  readonly file: string; // as it was given
  readonly value: T;
  readonly hash: string; // of the file's own bytes: it may be shown, so no secret goes into it
  readonly place: (path: Path) => Place;
  readonly secrets: readonly string[];
  readonly inputs: readonly string[]; // every file read for it, absolute
}

export type ConfigRead<T> =
  | { readonly ok: true; readonly config: ConfigFile<T> }
  | { readonly ok: false; readonly issues: readonly PlacedIssue[] };

export async function readConfigFile<T>(
  file: string,
  parse: (value: unknown) => Parsed<T>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
  /** For what is no file: its bytes, under the name of one in the current folder. */
  readBytes: (file: string) => Promise<Buffer> = readFile,
): Promise<ConfigRead<T>> {
  const read = await readText(file, readBytes);
  if (!read.ok) return { ok: false, issues: [placed(file, read.issue, { line: 1, column: 1 })] };
  const yaml = readYamlText(read.text);
  if (yaml.problems.length > 0) return refused(yaml.problems.map((p) => placed(file, p, p.place)));
  const filled = await fillDocument(yaml, { folder: dirname(resolve(file)), environment });
  const parsed = parseValue(yaml, parse);
  // A value whose secret is missing would be found wrong a second time, for what stands in its place.
  const found = parsed.ok
    ? []
    : parsed.issues.filter((issue) => !isBelow(issue.path, filled.issues));
  if (parsed.ok && filled.issues.length === 0) {
    const config = {
      file,
      value: parsed.value,
      hash: read.hash,
      place: (path: Path) => yaml.place(path, 'value'),
      secrets: filled.secrets,
      inputs: [resolve(file), ...filled.files],
    };
    return { ok: true, config };
  }
  return refused(
    [...filled.issues, ...found].map((issue) => {
      const part = issue.message.startsWith('unknown key') ? 'key' : 'value';
      const clean = { ...issue, message: withoutSecrets(issue.message, filled.secrets) };
      return placed(file, clean, yaml.place(issue.path, part));
    }),
  );
}

type TextRead =
  | { readonly ok: true; readonly text: string; readonly hash: string }
  | { readonly ok: false; readonly issue: Issue };

async function readText(
  file: string,
  readBytes: (file: string) => Promise<Buffer>,
): Promise<TextRead> {
  const trouble = (message: string): TextRead => ({
    ok: false,
    issue: { path: [], message, hint: null },
  });
  try {
    const bytes = await readBytes(file);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return { ok: true, text, hash: createHash('sha256').update(bytes).digest('hex') };
  } catch (error) {
    if (error instanceof TypeError) return trouble('the file is not UTF-8 text');
    return trouble(`the file cannot be read: ${fileTrouble(error)}`);
  }
}

interface FilledDocument {
  readonly issues: readonly Issue[];
  readonly secrets: readonly string[];
  readonly files: readonly string[];
}

async function fillDocument(
  yaml: YamlText,
  sources: Parameters<typeof fillSecrets>[1],
): Promise<FilledDocument> {
  const issues: Issue[] = [];
  const secrets = new Set<string>();
  const files = new Set<string>();
  for (const { node, path, isKey } of yaml.scalars) {
    if (typeof node.value !== 'string' || !node.value.includes('${')) continue;
    if (isKey) {
      issues.push({ path, message: 'a key cannot hold a `${` reference', hint: null });
      continue;
    }
    const filled = await fillSecrets(node.value, sources);
    for (const problem of filled.problems) issues.push({ path, ...problem });
    for (const secret of filled.secrets) secrets.add(secret);
    for (const file of filled.files) files.add(file);
    node.value = filled.text;
  }
  return { issues, secrets: [...secrets], files: [...files] };
}

function parseValue<T>(yaml: YamlText, parse: (value: unknown) => Parsed<T>): Parsed<T> {
  let value: unknown;
  try {
    value = yaml.value();
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    return { ok: false, issues: [{ path: [], message: 'too many aliases', hint: null }] };
  }
  return parse(value);
}

function isBelow(path: Path, issues: readonly Issue[]): boolean {
  return issues.some((issue) => issue.path.every((step, index) => path[index] === step));
}

function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, REMOVED), text);
}

function placed(file: string, issue: Issue, place: Place): PlacedIssue {
  const { path, message, hint } = issue;
  return { path, message, hint, file, line: place.line, column: place.column };
}

function refused(issues: readonly PlacedIssue[]): { ok: false; issues: readonly PlacedIssue[] } {
  const ordered = issues.toSorted((a, b) => a.line - b.line || a.column - b.column);
  return { ok: false, issues: ordered };
}
