// Files that change in the ways files change in production.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isNews, watchFiles } from '../../runtime/watch.ts';

async function folderOf(context: TestContext): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'zonegate-watch-')));
  context.after(() => rm(folder, { recursive: true }));
  return folder;
}

function watching(context: TestContext, files: readonly string[]) {
  let changes = 0;
  let wake: (() => void) | null = null;
  const onChange = () => {
    changes++;
    wake?.();
  };
  const watch = watchFiles(files, onChange, { debounceMs: 1 });
  context.after(() => watch.close());
  return {
    count: () => changes,
    async next() {
      const { promise, resolve } = Promise.withResolvers<void>();
      const seen = changes;
      wake = resolve;
      if (changes === seen) await promise;
    },
  };
}

test('new content is told, the same content written again is not', async (context) => {
  const folder = await folderOf(context);
  const [file, other] = [join(folder, 'dtr.yaml'), join(folder, 'zones.yaml')];
  await writeFile(file, 'one');
  await writeFile(other, 'one');
  const watch = watching(context, [file, other]);
  await writeFile(file, 'one');
  await writeFile(join(folder, 'unrelated'), 'x');
  const changed = watch.next();
  await writeFile(other, 'two');
  await changed;
  assert.equal(watch.count(), 1);
});

test('where only content changes, only the watched files matter; a name that comes or goes may be a link', () => {
  const names = new Set(['dtr.yaml']);
  assert.equal(isNews('change', 'output.log', names), false);
  assert.equal(isNews('change', 'dtr.yaml', names), true);
  assert.equal(isNews('rename', '..data', names), true);
  assert.equal(isNews('change', null, names), true);
});

test('a file replaced by renaming another over it is seen, again and again', async (context) => {
  const folder = await folderOf(context);
  const file = join(folder, 'dtr.yaml');
  await writeFile(file, 'first');
  const watch = watching(context, [file]);
  for (const content of ['second', 'third']) {
    const changed = watch.next();
    await writeFile(`${file}.new`, content);
    await rename(`${file}.new`, file);
    await changed;
  }
  assert.equal(watch.count(), 2);
});

test('a ConfigMap that is swapped by its `..data` link is seen, again and again', async (context) => {
  const folder = await folderOf(context);
  const publish = async (version: string) => {
    await mkdir(join(folder, version));
    await writeFile(join(folder, version, 'dtr.yaml'), version);
    await symlink(version, join(folder, '..tmp'));
    await rename(join(folder, '..tmp'), join(folder, '..data'));
  };
  await publish('..1');
  const file = join(folder, 'dtr.yaml');
  await symlink('..data/dtr.yaml', file);
  const watch = watching(context, [file]);
  for (const version of ['..2', '..3']) {
    const changed = watch.next();
    await publish(version);
    await changed;
  }
  assert.equal(watch.count(), 2);
});

test('a link into another folder follows what is written there', async (context) => {
  const folder = await folderOf(context);
  await mkdir(join(folder, 'etc'));
  await mkdir(join(folder, 'shared'));
  await writeFile(join(folder, 'shared', 'dtr.yaml'), 'one');
  await symlink('../shared/dtr.yaml', join(folder, 'etc', 'dtr.yaml'));
  const watch = watching(context, [join(folder, 'etc', 'dtr.yaml')]);
  const changed = watch.next();
  await writeFile(join(folder, 'shared', 'dtr.yaml'), 'two');
  await changed;
  assert.equal(watch.count(), 1);
});

test('a file that is emptied or vanishes is no change until it is back with other content', async (context) => {
  const folder = await folderOf(context);
  const [file, other] = [join(folder, 'dtr.yaml'), join(folder, 'zones.yaml')];
  await writeFile(file, 'one');
  const watch = watching(context, [file, other]);
  await writeFile(file, '');
  await rm(file);
  let changed = watch.next();
  await writeFile(other, 'appears');
  await changed;
  assert.equal(watch.count(), 1);
  await writeFile(file, 'one');
  changed = watch.next();
  await writeFile(file, 'two');
  await changed;
  assert.equal(watch.count(), 2);
});

test('a folder that is not there yet does no harm', async (context) => {
  const folder = await folderOf(context);
  const watch = watching(context, [join(folder, 'missing', 'dtr.yaml')]);
  assert.equal(watch.count(), 0);
});

test('a large file is told by its size and time, without being read', async (context) => {
  const folder = await folderOf(context);
  const file = join(folder, 'countries.mmdb');
  const next = join(folder, 'countries.mmdb.new');
  await writeFile(file, Buffer.alloc(5 * 1024 * 1024));
  const watch = watching(context, [file]);
  await writeFile(next, Buffer.alloc(5 * 1024 * 1024));
  const changed = watch.next();
  await rename(next, file);
  await changed;
  assert.equal(watch.count(), 1);
});
