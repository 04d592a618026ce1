// Tells when one of some files has new content, however it got there: written, replaced, or linked anew.
import { createHash } from 'node:crypto';
import { type FSWatcher, readFileSync, realpathSync, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';

export interface FileWatch {
  close(): void;
}

// Directories are watched, not files: a watch on a file stays with the old content when a ConfigMap's
// `..data` link is swapped or an editor renames a new file over the old one.
export function watchFiles(
  files: readonly string[],
  onChange: () => void,
  options: { readonly debounceMs: number },
): FileWatch {
  const paths = files.map((file) => resolve(file));
  const hashes = new Map<string, string>();
  const watchers = new Map<string, FSWatcher>();
  let timer: NodeJS.Timeout | null = null;

  const check = () => {
    timer = null;
    watchFolders(paths, watchers, schedule);
    if (hasNewContent(paths, hashes)) onChange();
  };
  // Later events do not put it off: a folder that never rests would never be read.
  const schedule = () => {
    timer ??= setTimeout(check, options.debounceMs);
  };

  watchFolders(paths, watchers, schedule);
  hasNewContent(paths, hashes);
  return {
    close() {
      if (timer !== null) clearTimeout(timer);
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
    },
  };
}

// Brings the watches in line with where the files are now: their own folders, and those they link into.
function watchFolders(
  paths: readonly string[],
  watchers: Map<string, FSWatcher>,
  onEvent: () => void,
): void {
  const folders = new Set(paths.flatMap((path) => [dirname(path), realFolder(path)]));
  for (const [folder, watcher] of watchers) {
    if (folders.has(folder)) continue;
    watcher.close();
    watchers.delete(folder);
  }
  for (const folder of folders) {
    if (watchers.has(folder)) continue;
    const watcher = openWatcher(folder, onEvent);
    if (watcher === null) continue;
    watchers.set(folder, watcher);
    watcher.on('error', () => {
      watcher.close();
      if (watchers.get(folder) === watcher) watchers.delete(folder);
      onEvent();
    });
  }
}

function openWatcher(folder: string, onEvent: () => void): FSWatcher | null {
  try {
    return watch(folder, onEvent);
  } catch {
    return null; // not there at the moment; tried again at the next event
  }
}

function realFolder(path: string): string {
  try {
    return dirname(realpathSync(path));
  } catch {
    return dirname(path);
  }
}

// Reading is synchronous so that two checks never overlap; these are small files, and they rarely change.
function hasNewContent(paths: readonly string[], hashes: Map<string, string>): boolean {
  let changed = false;
  for (const path of paths) {
    const hash = contentHash(path);
    // A file that is gone or empty is most likely between two versions: what was read stays in force.
    if (hash === null || hash === hashes.get(path)) continue;
    hashes.set(path, hash);
    changed = true;
  }
  return changed;
}

function contentHash(path: string): string | null {
  try {
    const content = readFileSync(path);
    return content.length === 0 ? null : createHash('sha256').update(content).digest('hex');
  } catch {
    return null;
  }
}
