// Writes the generated parts of docs/*.md from the product itself; with --check it only names the files that differ.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { alertParts } from './docs/alerts.ts';
import { fieldTable, keyTable } from './docs/configuration.ts';
import { metricTable } from './docs/metrics.ts';
import { reasonTable, signOnReasonTable } from './docs/reasons.ts';

const root = join(import.meta.dirname, '..');

// Between these two comments stands what a script has written; everything else in docs/ is written by hand.
const part = /(<!-- generated: ([\w-]+) ?([^>]*?) -->)[\s\S]*?(<!-- end -->)/g;

const writers: Readonly<Record<string, (words: readonly string[]) => string | Promise<string>>> = {
  keys: ([file = '', ...sections]) => keyTable(file, sections),
  field: () => fieldTable(),
  reasons: ([stage = '']) => reasonTable(stage),
  'sign-on-reasons': () => signOnReasonTable(),
  metrics: () => metricTable(),
  alerts: () => alertParts(),
};

export interface Document {
  readonly file: string;
  readonly before: string;
  readonly after: string;
}

export async function generateDocs(): Promise<readonly Document[]> {
  const folder = join(root, 'docs');
  const files = (await readdir(folder)).filter((name) => name.endsWith('.md')).toSorted();
  const documents: Document[] = [];
  for (const name of files) {
    const file = join(folder, name);
    const before = await readFile(file, 'utf8');
    documents.push({ file: relative(root, file), before, after: await generated(before) });
  }
  return documents;
}

async function generated(text: string): Promise<string> {
  let after = '';
  let end = 0;
  for (const match of text.matchAll(part)) {
    const [whole, opening = '', name = '', words = '', closing = ''] = match;
    const write = writers[name];
    if (write === undefined) throw new Error(`nothing writes a part called \`${name}\``);
    const body = await write(words.split(' ').filter((word) => word !== ''));
    after += `${text.slice(end, match.index)}${opening}\n\n${body}\n\n${closing}`;
    end = match.index + whole.length;
  }
  return after + text.slice(end);
}

async function main(isCheck: boolean): Promise<void> {
  const stale = (await generateDocs()).filter(({ before, after }) => before !== after);
  for (const { file, after } of stale) {
    console.error(isCheck ? `${file} is not up to date` : `written: ${file}`);
    if (!isCheck) await writeFile(join(root, file), after);
  }
  if (!isCheck || stale.length === 0) return;
  console.error('run `node scripts/docs.ts`');
  process.exitCode = 1;
}

if (import.meta.main) await main(process.argv.includes('--check'));
