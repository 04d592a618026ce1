// Reads the repository's Markdown as the tests need it: files, fenced blocks, links, headings.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');

export interface Document {
  /** From the root of the repository. */
  readonly file: string;
  readonly text: string;
}

/** A fenced block; `output` blocks say what the `sh` block before them prints. */
export interface Block {
  readonly kind: string;
  readonly text: string;
  readonly line: number;
}

export async function documents(): Promise<readonly Document[]> {
  const folders = ['.', 'docs', 'deploy', 'dtr-rules'];
  const files: string[] = [];
  for (const folder of folders) {
    const names = (await readdir(join(root, folder))).filter((name) => name.endsWith('.md'));
    files.push(...names.map((name) => join(folder, name)));
  }
  const read = async (file: string) => ({ file, text: await readFile(join(root, file), 'utf8') });
  return await Promise.all(files.toSorted().map(read));
}

export function blocksOf(text: string): readonly Block[] {
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(
    ({ 1: kind = '', 2: body = '', index }) => ({
      kind,
      text: body,
      line: text.slice(0, index).split('\n').length,
    }),
  );
}

/** Targets of links to other places of the repository. */
export function linksOf(text: string): readonly string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !target.startsWith('https://'));
}

/** The anchors that headings get when the text is shown as a page. */
export function anchorsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
