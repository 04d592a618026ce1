// An inventory kept as CSV: a line for each device under a line of column names.

import { setImmediate } from 'node:timers/promises';
import { readCsvLines } from '../../dtr-rules/import/csv-lines.ts';
import type { Issue } from '../../runtime/issue.ts';
import { parseWith, section } from '../../runtime/schema.ts';
import { deviceShape, type InventoryDevice } from './inventory.ts';

export interface CsvIssue extends Omit<Issue, 'path'> {
  readonly line: number;
}

export type CsvInventory =
  | { readonly ok: true; readonly devices: readonly InventoryDevice[] }
  | { readonly ok: false; readonly issues: readonly CsvIssue[] };

const NAMES = Object.keys(deviceShape) as (keyof typeof deviceShape)[];
const COLUMNS = new Map(NAMES.map((name) => [name.toLowerCase(), name]));
// The rest may be left out, like in YAML.
const NEEDED = ['udid', 'enrolled', 'compliant', 'compromised'] as const;
const LISTS: ReadonlySet<string> = new Set(['groups', 'tags']);
const VERDICTS: ReadonlySet<string> = new Set(['enrolled', 'compliant', 'compromised']);
// A file of another kind would have one for each of its lines.
const MOST_ISSUES = 50;
// About five milliseconds.
const LINES_AT_ONCE = 500;

const parseDevice = parseWith(section(deviceShape));

type Column = (typeof NAMES)[number];

// All that is wrong, with its line, or all devices: half an inventory would refuse the other half. A hundred thousand
// lines take more than a second: tunnels get their turns meanwhile.
export async function parseInventoryCsv(text: string): Promise<CsvInventory> {
  const read = readCsvLines(text);
  if (typeof read === 'number') {
    const hint = 'put the field in quotes, and write each of its own twice';
    return { ok: false, issues: [{ line: read, message: 'a quote within a field', hint }] };
  }
  const [header, ...lines] = read;
  const head = readHeader(header?.fields ?? []);
  if (head.issues.length > 0) return { ok: false, issues: head.issues };
  const issues: CsvIssue[] = [];
  const devices: InventoryDevice[] = [];
  const lineOf = new Map<string, number>();
  for (const [at, { fields, line }] of lines.entries()) {
    if (at % LINES_AT_ONCE === LINES_AT_ONCE - 1) await setImmediate();
    const parsed = readLine(fields, head.columns);
    if (!parsed.ok) issues.push(...parsed.issues.map((issue) => ({ ...issue, line })));
    else {
      const { udid } = parsed.value;
      const before = lineOf.get(udid);
      if (before !== undefined) {
        // They may disagree, and then nobody knows which one holds.
        const message = `device \`${udid}\` is in line ${before} already`;
        issues.push({ line, message, hint: null });
      }
      lineOf.set(udid, line);
      devices.push(parsed.value);
    }
    if (issues.length >= MOST_ISSUES) break;
  }
  return issues.length === 0 ? { ok: true, devices } : { ok: false, issues };
}

function readHeader(titles: readonly string[]): {
  readonly columns: readonly Column[];
  readonly issues: readonly CsvIssue[];
} {
  const columns: Column[] = [];
  const issues: CsvIssue[] = [];
  const hint = `the columns are ${NAMES.join(', ')}`;
  for (const title of titles) {
    // `OS version`, `os_version` and `osVersion` are one name.
    const column = COLUMNS.get(title.toLowerCase().replaceAll(/[\s_-]/g, ''));
    if (column === undefined)
      issues.push({ line: 1, message: `unknown column \`${title}\``, hint });
    else if (columns.includes(column)) {
      issues.push({ line: 1, message: `column \`${column}\` is there twice`, hint: null });
    } else columns.push(column);
  }
  for (const needed of NEEDED) {
    if (columns.includes(needed)) continue;
    issues.push({ line: 1, message: `the column \`${needed}\` is missing`, hint });
  }
  return { columns, issues };
}

function readLine(fields: readonly string[], columns: readonly Column[]) {
  if (fields.length !== columns.length) {
    const message = `expected ${columns.length} fields as in the first line, got ${fields.length}`;
    return { ok: false, issues: [{ message, hint: null }] } as const;
  }
  const device: Partial<Record<Column, unknown>> = {};
  for (const [at, column] of columns.entries()) {
    const text = (fields[at] ?? '').trim();
    if (text !== '') device[column] = readValue(text, column);
  }
  return parseDevice(device);
}

// Spreadsheets write `TRUE`. Any other word stays a text, which the schema refuses.
function readValue(text: string, column: Column): unknown {
  if (LISTS.has(column)) return text.split('|').map((one) => one.trim());
  const word = text.toLowerCase();
  return VERDICTS.has(column) && (word === 'true' || word === 'false') ? word === 'true' : text;
}
