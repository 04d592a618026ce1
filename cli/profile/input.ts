// Reads the files that a profile is made from.

import { readFile } from 'node:fs/promises';
import { fileTrouble } from '../../runtime/file-trouble.ts';
import { UsageError } from '../output.ts';

/** `role` says what the file is for, where its name alone does not. */
export async function readInput(file: string, role = ''): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const what = role === '' ? `\`${file}\`` : `\`${file}\` ${role}`;
    throw new UsageError(`cannot read ${what}: ${fileTrouble(error)}`, { cause: error });
  }
}
