// Reloads the configuration, whole or not at all: when a file changes, when asked, and while what is there is broken.

import { formatIssue, type PlacedIssue } from '../runtime/issue.ts';
import { type FileWatch, watchFiles } from '../runtime/watch.ts';
import { type Everything, loadEverything } from './load.ts';

export type Reload =
  | { readonly ok: true; readonly restartNeeded: readonly string[] }
  | { readonly ok: false; readonly issues: readonly PlacedIssue[] };

export interface ReloadOptions {
  readonly file: string;
  readonly inputs: readonly string[];
  /** Takes what was read, compiled and tested; returns the settings that wait for a restart. */
  readonly apply: (all: Everything) => Promise<readonly string[]>;
  readonly refused: (issues: readonly PlacedIssue[]) => void;
}

export interface Reloading {
  reload(): Promise<Reload>;
  /** Called after every reload, whoever asked for it. */
  onReload(listener: (reload: Reload) => void): void;
  close(): void;
}

const watchDebounceMs = 100;

/** Not everything that repairs a file changes its content: a `chmod`, a mount that comes back. So what
 *  was refused is looked at again, without a word as long as nothing is new. */
const retryMs = 2000;

export function createReloading(options: ReloadOptions): Reloading {
  const listeners: ((reload: Reload) => void)[] = [];
  let watch: FileWatch | null = null;
  let inputs: readonly string[] = [];
  let refusedText: string | null = null;
  let retry: NodeJS.Timeout | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let closed = false;

  function watchInputs(wanted: readonly string[]): void {
    if (closed || (watch !== null && wanted.join() === inputs.join())) return;
    watch?.close();
    inputs = wanted;
    watch = watchFiles(wanted, () => void request('aloud'), { debounceMs: watchDebounceMs });
  }
  async function run(voice: 'aloud' | 'quiet'): Promise<Reload> {
    clearTimeout(retry);
    const read = await loadEverything(options.file);
    if (read.ok) {
      refusedText = null;
      const restartNeeded = await options.apply(read.all);
      watchInputs(read.all.inputs);
      return tell({ ok: true, restartNeeded });
    }
    // A file that is named only now is part of it too, and may be the one to be repaired.
    watchInputs([...new Set([...inputs, ...read.inputs])]);
    if (!closed) retry = setTimeout(() => void request('quiet'), retryMs).unref();
    const { issues } = read;
    const text = issues.map(formatIssue).join('\n');
    const isOld = text === refusedText;
    refusedText = text;
    if (voice === 'quiet' && isOld) return { ok: false, issues };
    options.refused(issues);
    return tell({ ok: false, issues });
  }
  function tell(reload: Reload): Reload {
    for (const listener of listeners) listener(reload);
    return reload;
  }
  /** One at a time, in order. */
  function request(voice: 'aloud' | 'quiet'): Promise<Reload> {
    const next = last.then(() => run(voice));
    last = next.catch(() => undefined);
    return next;
  }

  watchInputs(options.inputs);
  return {
    reload: () => request('aloud'),
    onReload: (listener) => void listeners.push(listener),
    close() {
      closed = true;
      clearTimeout(retry);
      watch?.close();
    },
  };
}
