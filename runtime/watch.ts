// Tells when one of some files has new content, however it got there: written, replaced, or linked anew.
import { createHash } from 'node:crypto';
import { type FSWatcher, readFileSync, realpathSync, statSync, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

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
  const names = new Set<string>();
  let timer: NodeJS.Timeout | null = null;

  const check = () => {
    timer = null;
    watchFolders(paths, { watchers, names }, schedule);
    if (hasNewContent(paths, hashes)) onChange();
  };
  // Later events do not put it off: a folder that never rests would never be read.
  const schedule = () => {
    timer ??= setTimeout(check, options.debounceMs);
  };

  watchFolders(paths, { watchers, names }, schedule);
  hasNewContent(paths, hashes);
  return {
    close() {
      if (timer !== null) clearTimeout(timer);
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
    },
  };
}

interface Watched {
  readonly watchers: Map<string, FSWatcher>; // by folder
  readonly names: Set<string>; // of the files, and of what they link to
}

// Brings the watches in line with where the files are now: their own folders, and those they link into.
function watchFolders(
  paths: readonly string[],
  { watchers, names }: Watched,
  onEvent: () => void,
): void {
  const places = paths.flatMap((path) => [path, realPath(path)]);
  const folders = new Set(places.map(dirname));
  names.clear();
  for (const place of places) names.add(basename(place));
  for (const [folder, watcher] of watchers) {
    if (folders.has(folder)) continue;
    watcher.close();
    watchers.delete(folder);
  }
  for (const folder of folders) {
    if (watchers.has(folder)) continue;
    const watcher = openWatcher(folder, names, onEvent);
    if (watcher === null) continue;
    watchers.set(folder, watcher);
    watcher.on('error', () => {
      watcher.close();
      if (watchers.get(folder) === watcher) watchers.delete(folder);
      onEvent();
    });
  }
}

function openWatcher(
  folder: string,
  names: ReadonlySet<string>,
  onEvent: () => void,
): FSWatcher | null {
  try {
    return watch(folder, (event, name) => {
      if (isNews(event, name, names)) onEvent();
    });
  } catch {
    return null; // not there at the moment; tried again at the next event
  }
}

// A log written beside the files must not have them read again and again; a name that comes or goes may be a
// link on the way to one of them.
export function isNews(
  event: 'rename' | 'change',
  name: string | null,
  names: ReadonlySet<string>,
): boolean {
  return event === 'rename' || name === null || names.has(name);
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

// Reading is synchronous so that two checks never overlap; the files are small or known by their inode, and they rarely change.
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

// A database of places has a hundred megabytes: reading that here would hold everything else up.
const LARGEST_HASHED_BYTES = 4 * 1024 * 1024;

function contentHash(path: string): string | null {
  try {
    const { size, ino, mtimeNs } = statSync(path, { bigint: true });
    if (size > LARGEST_HASHED_BYTES) return `${ino} ${size} ${mtimeNs}`;
    const content = readFileSync(path);
    return content.length === 0 ? null : createHash('sha256').update(content).digest('hex');
  } catch {
    return null;
  }
}
