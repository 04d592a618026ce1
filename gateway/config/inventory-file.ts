// Reads an inventory file, YAML or CSV by its name, with the place of whatever is wrong.

import { readFile } from 'node:fs/promises';
import { readConfigFile } from '../../runtime/config-file.ts';
import { fileTrouble } from '../../runtime/file-trouble.ts';
import type { PlacedIssue } from '../../runtime/issue.ts';
import { type InventoryDevice, parseInventory } from '../posture/inventory.ts';
import { parseInventoryCsv } from '../posture/inventory-csv.ts';

export type InventoryRead =
  | { readonly ok: true; readonly devices: readonly InventoryDevice[] }
  | { readonly ok: false; readonly issues: readonly PlacedIssue[] };

export async function readInventoryFile(file: string): Promise<InventoryRead> {
  if (!file.toLowerCase().endsWith('.csv')) {
    const read = await readConfigFile(file, parseInventory);
    return read.ok ? { ok: true, devices: read.config.value } : read;
  }
  const at = (line: number, message: string, hint: string | null): PlacedIssue => {
    return { file, line, column: 1, path: [], message, hint };
  };
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
  } catch (error) {
    const hint = 'save it as CSV in UTF-8';
    if (error instanceof TypeError) {
      return { ok: false, issues: [at(1, 'the file is not UTF-8 text', hint)] };
    }
    return { ok: false, issues: [at(1, `the file cannot be read: ${fileTrouble(error)}`, null)] };
  }
  const parsed = await parseInventoryCsv(text);
  if (parsed.ok) return parsed;
  return {
    ok: false,
    issues: parsed.issues.map(({ line, message, hint }) => at(line, message, hint)),
  };
}
