// Reading one configuration file: secrets, places, and what is refused.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the files under test hold such references
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { z } from 'zod';
import { type ConfigRead, readConfigFile } from '../../runtime/config-file.ts';
import { formatIssue } from '../../runtime/issue.ts';
import { parseWith, section } from '../../runtime/schema.ts';

const anything = parseWith(z.unknown());
const ENVIRONMENT = { TOKEN: 'from-the-environment', EMPTY: '' };

async function folderOf(context: TestContext, files: Record<string, string> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'zonegate-config-'));
  context.after(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, name), text, { mode: 0o600 });
  }
  return folder;
}

async function read<T>(
  context: TestContext,
  text: string,
  parse: Parameters<typeof readConfigFile<T>>[1],
): Promise<ConfigRead<T>> {
  const folder = await folderOf(context, { 'zonegate.yaml': text });
  return readConfigFile(join(folder, 'zonegate.yaml'), parse, ENVIRONMENT);
}

async function issuesOf(
  context: TestContext,
  text: string,
  schema: z.ZodType = z.unknown(),
): Promise<readonly string[]> {
  const result = await read(context, text, parseWith(schema));
  assert.equal(result.ok, false);
  return result.issues.map((issue) => formatIssue({ ...issue, file: 'zonegate.yaml' }));
}

test('a good file gives its value, its hash and where everything stands', async (context) => {
  const result = await read(
    context,
    'admin:\n  listen: :8446\n  tokens:\n    - one\n    - two\n',
    anything,
  );
  assert.ok(result.ok);
  const { value, hash, place, secrets } = result.config;
  assert.deepEqual(value, { admin: { listen: ':8446', tokens: ['one', 'two'] } });
  assert.match(hash, /^[0-9a-f]{64}$/);
  assert.deepEqual(secrets, []);
  assert.deepEqual(place(['admin', 'listen']), { line: 2, column: 11 });
  assert.deepEqual(place(['admin', 'tokens', 1]), { line: 5, column: 7 });
  assert.deepEqual(place([]), { line: 1, column: 1 });
});

test('a missing key is placed at its map, an empty one at its key', async (context) => {
  const result = await read(context, 'a:\n  b: {c: 1}\n  d:\n', anything);
  assert.ok(result.ok);
  assert.deepEqual(result.config.place(['a', 'b', 'x', 'y']), { line: 2, column: 6 });
  assert.deepEqual(result.config.place(['a', 'd']).line, 3);
});

test('every issue of the schema stands at its line and column', async (context) => {
  const schema = section({ listen: z.string(), limits: section({ tunnels: z.int() }) });
  const text = '# gateway\nlimits:\n  tunnels: many\n  tunels: 3\n';
  assert.deepEqual(await issuesOf(context, text, schema), [
    'zonegate.yaml:2:1: key `listen` is missing, expected text',
    'zonegate.yaml:3:12: expected a number, got `many`',
    'zonegate.yaml:4:3: unknown key `tunels` (did you mean `tunnels`?)',
  ]);
});

const nested: readonly (readonly [what: string, text: string, place: string])[] = [
  ['lists', `a: 1\nb: ${'['.repeat(100_000)}`, '2:104'],
  ['closed lists', `${'['.repeat(101)}${']'.repeat(101)}`, '1:101'],
  ['megabytes of lists', '['.repeat(5_000_000), '1:101'],
  ['maps', '{a: '.repeat(100_000), '1:401'],
  ['list items on a line', '- '.repeat(100_000), '1:201'],
  ['keys on a line', '? '.repeat(100_000), '1:201'],
];

for (const [what, text, place] of nested) {
  test(`${what} without an end are one sentence`, async (context) => {
    const sentence = 'values stand inside one another more than 100 deep';
    const hint = 'no file needs that: see whether a bracket is missing';
    assert.deepEqual(await issuesOf(context, text), [
      `zonegate.yaml:${place}: ${sentence} (${hint})`,
    ]);
  });
}

test('indentation without an end is one sentence', async (context) => {
  const text = Array.from({ length: 3_000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n');
  const [issue, ...more] = await issuesOf(context, text);
  assert.match(issue ?? '', /: values stand inside one another more than 100 deep/);
  assert.deepEqual(more, []);
});

test('brackets that are text, or beside one another, stand in nothing', async (context) => {
  const open = '['.repeat(200);
  const beside = '[], {}, '.repeat(200);
  const text = `a: "${open}"\nb: |\n  [\nc: [${beside}]\nd:\n${'  - [x]\n'.repeat(200)}`;
  const result = await read(context, text, anything);
  assert.ok(result.ok);
});

test('secrets are put in from the environment and from files', async (context) => {
  const folder = await folderOf(context, { token: 'from-a-file\n' });
  const file = join(folder, 'zonegate.yaml');
  await writeFile(file, 'a: "Bearer ${env:TOKEN}!"\nb: ${file:token}\nc: $${env:TOKEN} $x\n');
  const result = await readConfigFile(file, anything, ENVIRONMENT);
  assert.ok(result.ok);
  const { value, secrets, inputs } = result.config;
  assert.deepEqual(value, {
    a: 'Bearer from-the-environment!',
    b: 'from-a-file',
    c: '${env:TOKEN} $x',
  });
  assert.deepEqual(secrets, ['from-the-environment', 'from-a-file']);
  assert.deepEqual(inputs, [file, join(folder, 'token')]);
});

test('bad references are told together with the issues of the schema', async (context) => {
  const text = [
    'a: ${env:MISSING}',
    'b: ${env:EMPTY}',
    'c: ${vault:x}',
    'd: x${env:TOKEN',
    'e: 1',
    '"${env:TOKEN}": 1',
  ].join('\n');
  const schema = z.looseObject({ a: z.url(), e: z.string() });
  const hint = '(write `$${` for the two characters themselves)';
  const expected = 'expected a reference like `${env:NAME}` or `${file:path}`';
  assert.deepEqual(await issuesOf(context, text, schema), [
    'zonegate.yaml:1:4: environment variable `MISSING` is not set',
    'zonegate.yaml:2:4: environment variable `EMPTY` is empty',
    `zonegate.yaml:3:4: ${expected} ${hint}`,
    `zonegate.yaml:4:4: ${expected} ${hint}`,
    'zonegate.yaml:5:4: expected text, got `1`',
    'zonegate.yaml:6:17: a key cannot hold a `${` reference',
  ]);
});

test('an issue never prints a secret', async (context) => {
  const [issue] = await issuesOf(
    context,
    'level: ${env:TOKEN}',
    section({ level: z.enum(['info']) }),
  );
  assert.equal(issue, 'zonegate.yaml:1:8: expected `info`, got `[secret]`');
});

test('a secret file that others can read is refused with the command that closes it', {
  skip: process.platform === 'win32',
}, async (context) => {
  const folder = await folderOf(context, { token: 'secret', 'zonegate.yaml': 'a: ${file:token}' });
  await chmod(join(folder, 'token'), 0o644);
  const result = await readConfigFile(join(folder, 'zonegate.yaml'), anything);
  assert.equal(result.ok, false);
  assert.equal(result.issues[0]?.message, 'secret file `token` can be read by others');
  assert.equal(result.issues[0]?.hint, 'run `chmod 600 token`');
});

test('a secret file that is missing, empty or a folder is refused', async (context) => {
  const folder = await folderOf(context, { empty: '\n' });
  await mkdir(join(folder, 'folder'));
  const file = join(folder, 'zonegate.yaml');
  await writeFile(file, 'a: ${file:missing}\nb: ${file:empty}\nc: ${file:folder}');
  const result = await readConfigFile(file, anything);
  assert.equal(result.ok, false);
  const messages = result.issues.map(({ message }) => message);
  // By the names in the file: the folder they are in is nobody's business (an issue reaches /readyz).
  assert.deepEqual(messages, [
    'secret file `missing` cannot be read: there is no such file',
    'secret file `empty` is empty',
    'secret file `folder` is not a regular file',
  ]);
});

test('YAML that could be read in two ways is refused', async (context) => {
  const cases: Record<string, string> = {
    'a: 1\nb: 2\na: 3': '3:1: key `a` stands twice in this map (keep one of them)',
    'a: 1\n---\nb: 2': '2:1: expected one document, got a second one (remove the `---` line)',
    'a:\n\t- b': '2:1: a tab cannot indent (use spaces)',
    'a: *b': '1:4: nothing is named `&b`',
    'a: &a\n  - *a': '2:5: `*a` stands inside what it repeats',
    'a: !secret x': '1:4: unresolved tag: !secret',
    '? [a]\n: b': '1:3: expected text as a key',
    '__proto__: {admin: true}': '1:1: unknown key `__proto__`',
    '': '1:1: the file is empty',
    '# only a comment\n': '1:1: the file is empty',
    '---\n': '1:1: the file is empty',
  };
  for (const [text, issue] of Object.entries(cases)) {
    assert.deepEqual(await issuesOf(context, text), [`zonegate.yaml:${issue}`], text);
  }
});

test('an alias repeats a value, and a bomb of them is refused', async (context) => {
  const result = await read(context, 'a: &a [x]\nb: *a', anything);
  assert.ok(result.ok);
  assert.deepEqual(result.config.value, { a: ['x'], b: ['x'] });
  assert.deepEqual(result.config.place(['b', 0]), { line: 1, column: 8 });
  const bomb = Array.from(
    { length: 30 },
    (_, i) => `a${i}: &a${i} [${i === 0 ? 'x' : `*a${i - 1}, *a${i - 1}`}]`,
  );
  assert.deepEqual(await issuesOf(context, bomb.join('\n')), [
    'zonegate.yaml:1:1: too many aliases',
  ]);
});

test('a file that cannot be read is one clear issue', async (context) => {
  const folder = await folderOf(context);
  await writeFile(join(folder, 'binary.yaml'), Buffer.from([0x61, 0x3a, 0x20, 0xff]));
  const read = async (name: string) => {
    const result = await readConfigFile(join(folder, name), anything);
    assert.equal(result.ok, false);
    return result.issues.map((issue) => formatIssue({ ...issue, file: name }));
  };
  const begin = 'the file cannot be read';
  assert.deepEqual(await read('no.yaml'), [`no.yaml:1:1: ${begin}: there is no such file`]);
  assert.deepEqual(await read('.'), [`.:1:1: ${begin}: it is a directory`]);
  assert.deepEqual(await read('binary.yaml'), ['binary.yaml:1:1: the file is not UTF-8 text']);
});

test('the hash changes with the file and tells nothing of its secrets', async (context) => {
  const hashOf = async (text: string, token: string) => {
    const folder = await folderOf(context, { 'zonegate.yaml': text });
    const result = await readConfigFile(join(folder, 'zonegate.yaml'), anything, { TOKEN: token });
    assert.ok(result.ok);
    return result.config.hash;
  };
  const hash = await hashOf('a: ${env:TOKEN}', 'one');
  assert.equal(await hashOf('a: ${env:TOKEN}', 'two'), hash);
  assert.notEqual(await hashOf('a: ${env:TOKEN} ', 'one'), hash);
});
