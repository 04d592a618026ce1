// `zonegate quickstart` as a person meets it: what it prints works as printed, and it starts and stops cleanly.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { linesOf } from '../../cli/quickstart/lines.ts';
import { portsFrom } from '../../cli/quickstart.ts';
import { areFree, findPortBase } from '../support/ports.ts';
import { program, type RunningCommand, run, startZonegate, zonegate } from '../support/program.ts';

const ready = 'Ctrl-C stops it';
let home: string;
let base: number;
let running: RunningCommand;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'zonegate-quickstart-'));
  base = await findPortBase();
  running = start('state', base);
  await running.shows(ready);
});
after(async () => {
  await running[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});

const start = (name: string, portBase: number) =>
  startZonegate('quickstart', '--state', join(home, name), '--port-base', String(portBase));

test('every line it prints shows what it promises', program('curl'), async (context) => {
  assert.ok(running.stdout().includes(`\ncd ${home}\n`), 'it says where');
  const lines = linesOf({ folder: 'state', ports: portsFrom(base) });
  for (const { title, command, shows } of lines) {
    await context.test(title, async () => {
      assert.ok(running.stdout().includes(`\n# ${title}\n${command}\n`), 'it is printed');
      const { stdout, stderr } = await run('bash', ['-c', command], { cwd: home });
      assert.ok(stdout.includes(shows), `expected ${shows}; got ${stdout}${stderr}`);
    });
  }
});

test('it says where everything is, and keeps its secrets out of what it prints and logs', async () => {
  for (const port of Object.values(portsFrom(base))) {
    assert.ok(running.stdout().includes(`:${port}`));
  }
  const log = await readFile(join(home, 'state/zonegate.log'), 'utf8');
  for (const name of ['admin-token', 'uem-client-secret', 'webhook-password', 'ann-password']) {
    const secret = (await readFile(join(home, 'state/secrets', name), 'utf8')).trim();
    assert.ok(!`${running.stdout()}${running.stderr()}${log}`.includes(secret), name);
  }
});

test('openssl sees the authority it accepts certificates from', program('openssl'), async () => {
  for (const version of ['-tls1_2', '-tls1_3']) {
    const { stdout } = await run('openssl', ['s_client', '-connect', `127.0.0.1:${base}`, version]);
    const [, accepted = ''] = /Acceptable client certificate CA names\n(.*)\n/.exec(stdout) ?? [];
    assert.equal(accepted, 'CN = Zonegate quickstart device CA', version);
  }
});

test('openssl is refused TLS 1.1 (T14)', program('openssl'), async () => {
  const old = ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'];
  const { code, stderr } = await run('openssl', [
    's_client',
    '-connect',
    `127.0.0.1:${base}`,
    ...old,
  ]);
  assert.equal(code, 1);
  assert.match(stderr, /alert protocol version/);
});

test('promtool finds nothing wrong with the metrics', program('promtool'), async () => {
  const { admin } = portsFrom(base);
  const page = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  const { code, stdout, stderr } = await run('promtool', ['check', 'metrics'], { input: page });
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' });
});

test('check accepts the folder, in words and as JSON', async () => {
  const config = join(home, 'state/zonegate.yaml');
  const words = await zonegate('check', '--config', config);
  assert.equal(words.code, 0);
  assert.match(words.stdout, /6 traffic rules, 2 rule tests passed, 1 zone, 2 sign-on rules/);
  const json = await zonegate('check', '--config', config, '--json');
  assert.equal(json.code, 0);
  const lint = { errors: 0, warnings: 0 };
  assert.deepEqual(JSON.parse(json.stdout), {
    ok: true,
    file: config,
    issues: [],
    warnings: [],
    lint,
  });
});

test('check names every issue of a broken copy with its place, and exits with 2', async () => {
  const config = join(home, 'state/broken.yaml');
  const text = (await readFile(join(home, 'state/zonegate.yaml'), 'utf8'))
    .replace('graceFor: 15m', 'graceFor: soon')
    .replace('seenWithin: 30d', 'seenWithin: 30 moons');
  await writeFile(config, text);
  const placeOf = (part: string) =>
    `${config}:${text.slice(0, text.indexOf(part)).split('\n').length}`;
  const { code, stdout, stderr } = await zonegate('check', '--config', config);
  assert.equal(code, 2);
  assert.equal(stdout, '');
  const lines = stderr.trimEnd().split('\n');
  assert.equal(lines.length, 3);
  assert.ok(lines[0]?.startsWith(`${placeOf('graceFor:')}:32: expected a duration`));
  assert.match(lines[0] ?? '', /, got `soon` /);
  assert.ok(lines[1]?.startsWith(`${placeOf('seenWithin:')}:17: expected a duration`));
  assert.match(lines[1] ?? '', /, got `30 moons` /);
  assert.equal(lines[2], '2 issues');
  const json = await zonegate('check', '--config', config, '--json');
  assert.equal(json.code, 2);
  const { ok, issues } = JSON.parse(json.stdout) as { ok: boolean; issues: { column: number }[] };
  assert.equal(ok, false);
  assert.deepEqual(
    issues.map(({ column }) => column),
    [32, 17],
  );
  await rm(config);
});

const explain = (...args: readonly string[]) =>
  zonegate('explain', '--config', join(home, 'state/zonegate.yaml'), ...args);

test('explain says which rule lets a device through, and where it stands', async () => {
  const asked = [
    'login.microsoftonline.com:443',
    '--posture',
    'healthy',
    '--address',
    '20.190.160.1',
  ];
  const words = await explain(...asked);
  assert.equal(words.code, 0);
  assert.match(words.stdout, /let through, by microsoft-login of staff \(.*dtr\.yaml:\d+:\d+\)/);
  assert.match(words.stdout, /to 20\.190\.160\.1 from 127\.0\.0\.10/);
  const json = await explain(...asked, '--json');
  assert.equal(json.code, 0);
  const { action, rule, candidates } = JSON.parse(json.stdout) as Record<string, unknown>;
  assert.equal(action, 'tunnel');
  assert.equal(rule, 'microsoft-login');
  assert.deepEqual(candidates, [{ address: '20.190.160.1', egress_address: '127.0.0.10' }]);
});

test('explain names the reason of a refusal and exits with 1', async () => {
  const refusals = [
    [['www.gambling.example:443', '--posture', 'healthy'], 'rules.block'],
    [['acme.okta.com:443', '--posture', 'unhealthy'], 'posture.non_compliant'],
    [['acme.okta.com:443', '--compliance', 'pending'], 'posture.pending'],
    [['acme.okta.com:443', '--compliance', 'unknown_device'], 'posture.unknown_device'],
    [['acme.okta.com:443', '--posture', 'healthy', '--address', '10.0.0.1'], 'address.special'],
    // Asked of the stand-in UEM, which is running.
    [
      ['acme.okta.com:443', '--device', '6bf0c9a14e5d4f3c8a1b000000000002'],
      'posture.non_compliant',
    ],
  ] as const;
  for (const [args, reason] of refusals) {
    const words = await explain(...args);
    assert.equal(words.code, 1);
    assert.ok(words.stdout.includes(`refused  ${reason}`), words.stdout);
  }
  const json = await explain('www.example.com:443', '--posture', 'healthy', '--json');
  assert.equal(json.code, 1);
  const { action, reason, status, at } = JSON.parse(json.stdout) as Record<string, unknown>;
  assert.deepEqual([action, reason, status], ['refuse', 'rules.bypass', 403]);
  assert.match(String(at), /dtr\.yaml:\d+:\d+$/);
});

test('explain exits with 2 when the question is none', async () => {
  const { code, stdout, stderr } = await explain('acme.okta.com', '--posture', 'healthy');
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /^zonegate: `acme.okta.com` is not a target; expected host:port/);
  const twice = ['--posture', 'healthy', '--compliance', 'pending'];
  const both = await explain('acme.okta.com:443', ...twice);
  assert.equal(both.code, 2);
  assert.match(both.stderr, /'--compliance <state>' cannot be used with .*'--posture <posture>'/);
});

test('a busy port gives one line with the fix, exit code 2, and leaves nothing running (R13)', async () => {
  const other = await findPortBase();
  const { device, idp, admin, uem } = portsFrom(other);
  const squatter = net.createServer().listen(admin, '127.0.0.1');
  await once(squatter, 'listening');
  await using refused = start('busy', other);
  assert.equal(await refused.ended, 2);
  assert.equal(refused.stdout(), '');
  const lines = refused.stderr().trimEnd().split('\n');
  assert.match(
    lines.at(-1) ?? '',
    new RegExp(`^zonegate: 127\\.0\\.0\\.1:${admin} is in use by another program; stop it, or`),
  );
  assert.ok(!refused.stderr().includes('    at '), 'no stack');
  assert.ok(await areFree([device, idp, uem]));
  await once(squatter.close(), 'close');
});

test('a folder with something else in it gives one line, exit code 2, and stays as it is', async () => {
  const { code, stdout, stderr } = await zonegate('quickstart', '--state', home);
  assert.deepEqual([code, stdout], [2, '']);
  const line = stderr.trimEnd().split('\n').at(-1) ?? '';
  assert.match(
    line,
    /^zonegate: the folder .* has something in it, but no zonegate\.yaml; .* --state$/,
  );
  assert.ok(!stderr.includes('a fault in zonegate'));
});

test('SIGTERM ends it with exit code 0, and a second start uses the same folder', async () => {
  const files = ['zonegate.yaml', 'dtr.yaml', 'secrets/admin-token', 'devices/compliant.pem'];
  const read = () => Promise.all(files.map((file) => readFile(join(home, 'state', file), 'utf8')));
  const before = await read();
  running.stop('SIGTERM');
  assert.equal(await running.ended, 0);
  running = start('state', base);
  await running.shows(ready);
  assert.match(running.stderr(), /^using the folder /m);
  assert.deepEqual(await read(), before);
  running.stop('SIGTERM');
  assert.equal(await running.ended, 0);
});
