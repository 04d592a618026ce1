// The primary's side of limits that hold for all workers together: adds up what they tell, and tells each about the others.

import type { Row, Usage } from './elsewhere.ts';

export interface UsageDesk<W> {
  /** A worker that can be told: it hears what the others have. */
  join(worker: W): void;
  report(worker: W, usage: Usage): void;
  /** What it had is over with it. */
  leave(worker: W): void;
}

export function createUsageDesk<W>(tell: (worker: W, usage: Usage) => void): UsageDesk<W> {
  /** By limit and key, what each worker has. */
  const counts = new Map<string, { readonly row: Row; readonly byWorker: Map<W, number> }>();
  const workers = new Set<W>();

  function elsewhere(id: string, worker: W): Row[] {
    const found = counts.get(id);
    if (found === undefined) return [];
    const [name, key] = found.row;
    const others = found.byWorker.entries().filter(([other]) => other !== worker);
    return [[name, key, others.reduce((sum, [, count]) => sum + count, 0)]];
  }
  function set(worker: W, row: Row): string {
    const [name, key, count] = row;
    const id = `${name} ${key}`;
    const { byWorker } = counts.get(id) ?? { byWorker: new Map<W, number>() };
    if (count === 0) byWorker.delete(worker);
    else byWorker.set(worker, count);
    counts.set(id, { row, byWorker });
    return id;
  }
  /** What became 0 everywhere is told once more, and forgotten. */
  function spread(from: W, ids: readonly string[], happened: readonly Row[]): void {
    for (const worker of workers) {
      if (worker === from) continue;
      const rows = ids.flatMap((id) => elsewhere(id, worker));
      if (rows.length > 0 || happened.length > 0) tell(worker, { counts: rows, happened });
    }
    for (const id of ids) if (counts.get(id)?.byWorker.size === 0) counts.delete(id);
  }

  return {
    join(worker) {
      workers.add(worker);
      const rows = [...counts.keys()].flatMap((id) => elsewhere(id, worker));
      if (rows.length > 0) tell(worker, { counts: rows, happened: [] });
    },
    report(worker, usage) {
      const ids = usage.counts.map((row) => set(worker, row));
      spread(worker, [...new Set(ids)], usage.happened);
    },
    leave(worker) {
      workers.delete(worker);
      const ids = [...counts].filter(([, { byWorker }]) => byWorker.delete(worker));
      spread(
        worker,
        ids.map(([id]) => id),
        [],
      );
    },
  };
}
