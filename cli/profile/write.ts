// Writes the files of a profile: each whole or not at all, and what holds a secret for nobody else to read.

import { randomUUID } from 'node:crypto';
import { mkdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ProfileFile } from '../../dtr-rules/profiles/profile.ts';
import { fileTrouble } from '../../runtime/file-trouble.ts';
import { say, UsageError } from '../output.ts';

/** One file to where it is said; several, or what is a folder or written like one, into that folder. */
export async function writeFiles(files: readonly ProfileFile[], out: string): Promise<void> {
  const isOneFile = files.length === 1 && !/[/\\]$/.test(out);
  const isFolder = !isOneFile || (await statOf(out))?.isDirectory() === true;
  for (const file of files) {
    const path = isFolder ? join(out, file.name) : out;
    try {
      await replace(path, file);
    } catch (error) {
      throw new UsageError(`cannot write \`${path}\`: ${fileTrouble(error)}`, { cause: error });
    }
    say(`wrote ${path} (${Buffer.byteLength(file.content)} bytes)`);
  }
}

/** Who reads the file meanwhile, a UEM for example, reads the old one or the new one. */
async function replace(path: string, { content, isSecret = false }: ProfileFile): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const present = await statOf(path);
  // A pipe, or /dev/stdout: nothing to be replaced.
  if (present !== null && !present.isFile()) return await writeFile(path, content);
  // What a link leads to, not the link.
  const place = present === null ? path : await realpath(path);
  const draft = `${place}.${randomUUID()}`;
  try {
    await writeFile(draft, content, { mode: isSecret ? 0o600 : 0o644, flag: 'wx', flush: true });
    await rename(draft, place);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

async function statOf(path: string) {
  return await stat(path).catch(() => null);
}
