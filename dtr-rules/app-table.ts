// Owns telling which applications of a file a name stands for.

import type { Application } from './rule.ts';

/** An application answers to its name and each of its identifiers, exactly as written; paths in any case, as
 *  Windows takes them. */
export function compileAppTable(
  applications: readonly Application[],
): (app: string | null) => ReadonlySet<Application> {
  const exact = new Map<string, Set<Application>>();
  const paths = new Map<string, Set<Application>>();
  for (const one of applications) {
    for (const known of [one.name, one.bundleId, one.packageName, one.publisher]) {
      if (known !== null) add(exact, known, one);
    }
    if (one.path !== null) add(paths, one.path.toLowerCase(), one);
  }
  const nobody: ReadonlySet<Application> = new Set();
  return (app) => {
    if (app === null) return nobody;
    const [named, located] = [exact.get(app), paths.get(app.toLowerCase())];
    if (named === undefined || located === undefined) return named ?? located ?? nobody;
    return named.union(located);
  };
}

function add(table: Map<string, Set<Application>>, key: string, one: Application): void {
  const present = table.get(key);
  if (present === undefined) table.set(key, new Set([one]));
  else present.add(one);
}
