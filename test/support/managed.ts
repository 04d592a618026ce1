// Starts a program that reads its policies from one folder of the machine so that it, and nobody else, sees ours there.

import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface Managed {
  readonly program: string;
  /** A folder of the machine that is covered by an empty one. */
  readonly cover: string;
  /** Where in it the program looks, and what it shall find there. */
  readonly place: string;
  readonly policy: string;
}

/** Writes a script that stands for the program, in a mount namespace of its own. */
export async function managed(
  path: string,
  { program, cover, place, policy }: Managed,
): Promise<string> {
  const steps = [
    `mount -t tmpfs none ${cover}`,
    `mkdir -p ${dirname(place)}`,
    `cp ${policy} ${place}`,
    `exec ${program} "$@"`,
  ];
  const own = process.getuid?.() === 0 ? '-m' : '-rm';
  await mkdir(dirname(path), { recursive: true });
  const script = `exec unshare ${own} sh -c '${steps.join(' && ')}' ${program} "$@"`;
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}
