// Trouble with the log costs lines and says how many; it never costs the process, its memory or its time.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openLogOutput } from '../../runtime/log-output.ts';

async function folderOf(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'zonegate-log-'));
  context.after(() => rm(folder, { recursive: true }));
  return folder;
}

const atEnd = (): void => undefined;

const flushed = (output: ReturnType<typeof openLogOutput>) =>
  new Promise<void>((resolve) => output.flush(resolve));

test('on a full disk lines are kept while there is room, and then counted', async () => {
  const output = openLogOutput({
    dest: '/dev/full',
    recovered: () => assert.fail(),
    maxWaitingBytes: 100,
    atEnd,
  });
  for (let i = 0; i < 10; i += 1) output.write('nineteen characters\n');
  await flushed(output);
  let lost = 0;
  output.onLost((lines) => {
    lost += lines;
  });
  assert.equal(lost, 5);
  output.write('nineteen characters\n');
  assert.equal(lost, 6);
});

test('when there is space again what was kept is written, and what was lost is said', async (context) => {
  const folder = await folderOf(context);
  const [path, real] = [join(folder, 'log'), join(folder, 'real')];
  await symlink('/dev/full', path);
  const said: number[] = [];
  const recovered = (lines: number) => void said.push(lines);
  const output = openLogOutput({ dest: path, recovered, maxWaitingBytes: 10, atEnd });
  for (const line of ['kept\n', 'too\n', 'lost\n']) output.write(line);
  await flushed(output);
  await rm(path);
  await symlink(real, path);
  output.reopen();
  await flushed(output);
  assert.equal(await readFile(real, 'utf8'), 'kept\ntoo\n');
  assert.deepEqual(said, [1]);
});

test('a file that cannot be opened anew is written on as it is', async (context) => {
  const folder = await folderOf(context);
  const path = join(folder, 'sub', 'log');
  await assert.rejects(
    async () => openLogOutput({ dest: path, recovered: () => undefined, atEnd }),
    {
      code: 'ENOENT',
    },
  );
  const [named, moved] = [join(folder, 'log'), join(folder, 'moved')];
  const output = openLogOutput({ dest: named, recovered: () => undefined, atEnd });
  output.write('before\n');
  await flushed(output);
  await rename(named, moved);
  await symlink(path, named);
  output.reopen();
  output.write('after\n');
  await flushed(output);
  assert.equal(await readFile(moved, 'utf8'), 'before\nafter\n');
});

/** A process that logs to a pipe of which nothing is read until the test does. */
function start(script: string): ChildProcess {
  const module = JSON.stringify(new URL('../../runtime/log.ts', import.meta.url));
  const whole = `
    import { setTimeout as sleep } from 'node:timers/promises';
    import { countLostLines, createLog } from ${module};
    const log = createLog({ level: 'info', secrets: [] });
    let lost = 0;
    countLostLines(log, { counter: () => ({ inc: (by) => { lost += by; } }) });
    const say = (text) => process.stderr.write(text + '\\n');
    ${script}`;
  const args = ['--input-type=module', '--eval', whole];
  return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
}

const said = async ({ stderr }: ChildProcess): Promise<string> => {
  assert.ok(stderr);
  const [text] = (await once(stderr.setEncoding('utf8'), 'data')) as [string];
  return text.trim();
};

const flood = `
  const text = 'x'.repeat(1000);
  for (let i = 0; i < 20_000; i += 1) {
    log.info({ i }, text);
    if (i % 100 === 0) await new Promise(setImmediate);
  }`;

test('a reader that does not read holds up nothing, and learns later how many lines it lost', async () => {
  const child = start(`${flood}
    await sleep(20);
    say('memory ' + (process.memoryUsage().rss < 300e6) + ' ' + (lost > 0));
    for await (const _ of process.stdin);
    log.info('last');
    const stay = setInterval(() => {}, 1000);
    log.flush(() => { clearInterval(stay); say(String(lost)); });`);
  assert.equal(await said(child), 'memory true true');
  assert.ok(child.stdout);
  let read = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    read += text;
  });
  child.stdin?.end();
  const lost = said(child);
  await once(child, 'close');
  const lines = read
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const told = lines.filter((line) => line['event.name'] === 'zonegate.log');
  const sum = told.reduce((total, line) => total + Number(line['zonegate.log.lost']), 0);
  assert.equal(sum, Number(await lost));
  assert.equal(lines.length - told.length + sum, 20_001);
  assert.equal(
    lines.some(({ msg }) => msg === 'last'),
    true,
  );
});

test('a process ends although nobody reads its log', async () => {
  for (const end of ['process.exit(7)', 'process.exitCode = 7']) {
    const child = start(`${flood} ${end};`);
    const [code] = (await once(child, 'exit')) as [number];
    assert.equal(code, 7, end);
    child.stdout?.destroy();
  }
});

test('when its reader is gone a process goes on, counts what is lost, and ends by itself', async () => {
  const child = start(`
    log.info('first');
    for await (const _ of process.stdin);
    for (let i = 0; i < 100; i += 1) log.info({ i }, 'nobody reads this');
    await new Promise((resolve) => log.flush(resolve));
    log.info('nor this');
    say(String(lost));
    process.exitCode = 7;`);
  assert.ok(child.stdout);
  await once(child.stdout, 'data');
  child.stdout.destroy();
  child.stdin?.end();
  assert.equal(await said(child), '101');
  const [code] = (await once(child, 'exit')) as [number];
  assert.equal(code, 7);
});

test('however many outputs there are, one listener waits for the end of the process', async () => {
  const open = () => openLogOutput({ dest: '/dev/null', recovered: () => assert.fail() });
  await flushed(open());
  const count = process.listenerCount('exit');
  for (let i = 0; i < 20; i += 1) await flushed(open());
  assert.equal(process.listenerCount('exit'), count);
});
