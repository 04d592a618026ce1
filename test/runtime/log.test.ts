// One event is one line of JSON, and no line tells a secret.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLog, hideSecrets, inform, type Log, reopenLog } from '../../runtime/log.ts';

function collect(secrets: readonly string[] = []): {
  log: Log;
  lines: string[];
  last: () => unknown;
} {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const log = createLog({ level: 'info', secrets, stream });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '') };
}

test('a line has time, level and text in words, the service, and nothing of the machine', () => {
  const { log, last } = collect();
  log.info({ pool: 'main' }, 'ready');
  const { time, ...rest } = last() as Record<string, unknown>;
  assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual(rest, { level: 'info', service: 'zonegate', pool: 'main', msg: 'ready' });
});

// Were the search quadratic, this would take minutes.
test('a text of colons only is searched once for credentials', () => {
  const { log, last } = collect();
  log.info(`https://${':'.repeat(300_000)}`);
  log.info('asked https://ann:a:b@example.com:1/');
  const { msg } = last() as { msg: string };
  assert.match(msg, /^asked https:\/\/[^a:]+@example\.com:1\/$/);
});

test('a line made in one go is the line that pino makes, cleaned like it and of the same level', () => {
  const { log, lines } = collect(['open-sesame']);
  const fields = {
    id: 1,
    gone: undefined,
    none: null,
    hostile: 'a"\u0085\n',
    list: ['open-sesame'],
  };
  const child = log.child({ worker: 2 });
  const timeless = (line = '') => line.replace(/"time":"[^"]*"/, '');
  child.info(fields, 'said');
  inform(child, { ...fields, msg: 'said' });
  assert.equal(timeless(lines[1]), timeless(lines[0]));
  log.level = 'warn';
  inform(log, { msg: 'quiet' });
  assert.equal(lines.length, 2);
});

test('fields that hold credentials are never shown, at any depth and in any case', () => {
  const { log, lines, last } = collect();
  const headers = {
    Authorization: 'Negotiate abc',
    'proxy-authorization': 'x',
    'Set-Cookie': ['a=1'],
  };
  const error = Object.assign(new Error('no'), {
    request: { headers, body: { client_secret: 'y' } },
  });
  log.error({ err: error, a: { b: { c: { d: { e: { password: 1 } } } } } }, 'failed');
  log.child({ token: 'abcdef' }).info('by a child');
  for (const line of lines) assert.doesNotMatch(line, /Negotiate|a=1|"y"|:1\}|abcdef/);
  assert.equal((last() as Record<string, unknown>)['token'], '[secret]');
});

test('a known secret is taken out wherever and however it is spelt', () => {
  const secret = 'pa"ss\\wörd/1';
  const { log, lines } = collect([secret]);
  log.info({ [secret]: { deep: [`x ${secret} y`] } }, `msg ${secret}`);
  log.info({ body: JSON.stringify({ key: secret }) }, 'in JSON');
  log.info({ body: JSON.stringify({ key: JSON.stringify({ key: secret }) }) }, 'in JSON in JSON');
  log.info({ path: `/x/${encodeURIComponent(secret)}` }, 'in a URL');
  for (const line of lines) {
    assert.match(line, /\[secret\]/);
    assert.doesNotMatch(line, /ss\\+w|rd\/1|%5Cw/);
    JSON.parse(line);
  }
});

test('a secret that a reload brought is taken out from then on, by children too', () => {
  const { log, lines } = collect(['first-secret']);
  const child = log.child({ part: 'idp' });
  hideSecrets(log, ['second-secret']);
  child.info('first-secret second-secret');
  hideSecrets(child, ['third-secret']);
  log.info('first-secret second-secret third-secret');
  for (const line of lines) assert.doesNotMatch(line, /(first|second|third)-secret/);
});

test('a secret that would match inside an escape does not break the line', () => {
  const { log, lines, last } = collect(['n12345678', '","msg":"', '1234567890']);
  log.info({ text: 'line\n12345678', number: 91_234_567_890 }, 'whole');
  assert.equal(lines.length, 1);
  assert.equal((last() as Record<string, unknown>)['msg'], 'whole');
  assert.equal((last() as Record<string, unknown>)['number'], '[secret]');
});

test('credentials inside text are taken out even when nobody knows them', () => {
  const { log, lines } = collect();
  log.info('sent Bearer eyJhbGciOiJub25lIn0.e30.x to https://user:hunter2@a.example/x');
  assert.doesNotMatch(lines[0] ?? '', /eyJ|hunter2/);
  assert.match(lines[0] ?? '', /a\.example/);
});

test('a secret too short to be told from a word is left alone', () => {
  const { log, last } = collect(['info']);
  log.info('info');
  assert.equal((last() as Record<string, unknown>)['msg'], 'info');
});

test('whatever a peer sends stays one valid line without control characters', () => {
  const { log, lines } = collect();
  const hostile =
    'a\r\nb\u0000\u001b[2J\u007f\u009b31m\u2028\u2029\u202e\ufeff"}{"level":"fatal"\ud800';
  log.info({ host: hostile, [hostile]: 1 }, hostile);
  assert.equal(lines.length, 1);
  const line = lines[0] ?? '';
  assert.match(line, /^[^\p{Cc}\u2028\u2029\u202e\ufeff]*\n$/u);
  const event = JSON.parse(line) as Record<string, unknown>;
  assert.equal(event['level'], 'info');
  assert.equal(String(event['host']).slice(0, -1), hostile.slice(0, -1));
});

test('a log file that was moved away is begun anew when asked', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'zonegate-log-'));
  context.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'zonegate.log');
  const log = createLog({ level: 'info', secrets: [], file });
  log.info('before');
  await shows(file, /before/);
  await rename(file, `${file}.1`);
  reopenLog(log);
  log.info('after');
  await shows(file, /after/);
  assert.match(await readFile(`${file}.1`, 'utf8'), /before/);
});

test('what was logged is written when asked for', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'zonegate-log-'));
  context.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'zonegate.log');
  const log = createLog({ level: 'info', secrets: [], file });
  for (let i = 0; i < 100; i += 1) log.info({ i }, 'line');
  await new Promise((resolve) => log.flush(resolve));
  assert.equal((await readFile(file, 'utf8')).split('\n').length, 101);
});

test('nothing that was logged is lost when the process ends', async () => {
  const module = JSON.stringify(new URL('../../runtime/log.ts', import.meta.url));
  const lines = 'for (let i = 0; i < 1000; i += 1) log.info({ i }, "line");';
  for (const end of ['', 'process.exit(0)', 'throw new Error("a fault")']) {
    const script = `
      const { createLog } = await import(${module});
      const log = createLog({ level: 'info', secrets: [] });
      await new Promise(setImmediate);
      ${lines}
      ${end}`;
    const output = await run(script);
    const numbers = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).i);
    assert.deepEqual(
      numbers,
      Array.from({ length: 1000 }, (_, i) => i),
      end,
    );
  }
});

function run(script: string): Promise<string> {
  return new Promise((resolve) => {
    const args = ['--input-type=module', '--eval', script];
    execFile(process.execPath, args, (_, output) => resolve(output));
  });
}

async function shows(file: string, wanted: RegExp): Promise<void> {
  for (const until = Date.now() + 5000; ; ) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (wanted.test(text)) return;
    assert.ok(Date.now() < until, `never in the log: ${wanted}`);
  }
}

test('a log that is no file needs no reopening', () => {
  reopenLog(collect().log);
});
