// Finds and reads the rule file a command is about: the one named, or the one the configuration names.

import { dirname, join } from 'node:path';
import { splitDestinations } from '../../dtr-rules/destination.ts';
import { parseRuleFile } from '../../dtr-rules/parse.ts';
import type { Path, RuleFile } from '../../dtr-rules/rule.ts';
import { readConfigFile } from '../../runtime/config-file.ts';
import { formatIssue, type PlacedIssue } from '../../runtime/issue.ts';
import { findConfigFile } from '../config-file.ts';
import { plural, print, sayIssues } from '../output.ts';
import { readStandardInput } from './standard-input.ts';

export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface ReadRules {
  readonly file: string;
  readonly rules: RuleFile;
  /** Also knows the places of destinations as the linter counts them. */
  readonly place: (path: Path) => Place;
}

export type RulesRead =
  | { readonly ok: true; readonly read: ReadRules }
  | { readonly ok: false; readonly file: string; readonly issues: readonly PlacedIssue[] };

export interface FileChoice {
  readonly config?: string;
}

export async function findRuleFile(
  named: string | undefined,
  { config }: FileChoice,
): Promise<string> {
  if (named !== undefined) return named;
  const main = findConfigFile(config);
  const read = await readConfigFile(main, (value) => ({ ok: true, value }));
  const value: unknown = read.ok ? read.config.value : null;
  const rules =
    typeof value === 'object' && value !== null && 'rules' in value ? value.rules : null;
  return join(dirname(main), typeof rules === 'string' ? rules : 'dtr.yaml');
}

/** `-` is standard input. */
export async function readRules(file: string): Promise<RulesRead> {
  let raw: unknown = null;
  const parse = (value: unknown) => {
    raw = value;
    return parseRuleFile(value);
  };
  const read = await (file === '-'
    ? readConfigFile(file, parse, process.env, readStandardInput)
    : readConfigFile(file, parse));
  if (!read.ok) return { ok: false, file, issues: read.issues };
  const { config } = read;
  const place = (path: Path) => ({ file, ...config.place(writtenPath(raw, path)) });
  return { ok: true, read: { file, rules: config.value, place } };
}

/** A file that cannot be read is an error of usage, whatever was asked of it. */
export function sayUnreadable(
  { file, issues }: Extract<RulesRead, { ok: false }>,
  asJson: boolean,
): 2 {
  if (asJson) print(JSON.stringify({ ok: false, file, issues: issues.map(toJson) }));
  else sayIssues(issues, plural(issues.length, 'issue'));
  return 2;
}

function toJson({ file, line, column, message, hint }: PlacedIssue) {
  return { file, line, column, message, hint };
}

export function placeText({ file, line, column }: Place): string {
  return formatIssue({ path: [], file, line, column, message: '', hint: null }).slice(0, -2);
}

/** One item of a list may hold several destinations, and the whole list may be one pasted string. */
function writtenPath(raw: unknown, path: Path): Path {
  const at = path.indexOf('destinations');
  const index = path[at + 1];
  if (at === -1 || typeof index !== 'number') return path;
  const above = path.slice(0, at + 1);
  const list = valueAt(raw, above);
  if (!Array.isArray(list)) return above;
  let before = 0;
  const item = list.findIndex((text: unknown) => {
    before += splitDestinations(String(text)).length;
    return index < before;
  });
  return item === -1 ? above : [...above, item];
}

function valueAt(raw: unknown, path: Path): unknown {
  let value = raw;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return null;
    value = new Map<string, unknown>(Object.entries(value)).get(String(step));
  }
  return value;
}
