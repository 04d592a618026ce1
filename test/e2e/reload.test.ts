// Reloads of a running process: a broken file changes nothing and is reported with its place; a good one is in force.

import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { makeFolder } from '../../cli/quickstart/folder.ts';
import { startUem } from '../../cli/quickstart.ts';
import { openTls } from '../support/client.ts';
import { connectOver, type RunningFolder, runFolder } from '../support/gateway.ts';
import { startZonegate, zonegate } from '../support/program.ts';
import { freePorts } from '../support/upstream.ts';

const breaks = [
  { file: 'zonegate.yaml', from: 'seenWithin: 30d', to: 'seenWithn: 30d', at: 'seenWithn' },
  { file: 'dtr.yaml', from: 'action: BLOCK', to: 'action: TUNEL', at: 'TUNEL' },
  { file: 'zones.yaml', from: 'gateways: []', to: 'gateways: [10.0.0.1/8]', at: '10.0.0.1/8' },
  { file: 'sign-on.yaml', from: 'access: ALLOW', to: 'access: ALOW', at: 'ALOW' },
] as const;

const stack = new AsyncDisposableStack();
let folder: string;
let running: RunningFolder;
const originals = new Map<string, string>();

async function makeState(home: string): Promise<string> {
  const [device = 0, idp = 0, admin = 0, uem = 0] = await freePorts(4);
  const ports = { device, idp, admin, uem };
  const made = join(home, `state-${device}`);
  await makeFolder({ folder: made, ports, progress: () => undefined });
  const standIn = await startUem(made, ports);
  stack.defer(() => standIn.close());
  return made;
}

before(async () => {
  const home = await mkdtemp(join(tmpdir(), 'zonegate-reload-'));
  stack.defer(() => rm(home, { recursive: true }));
  folder = await makeState(home);
  const token = (await readFile(join(folder, 'secrets/admin-token'), 'utf8')).trim();
  running = stack.use(await runFolder(folder, token));
  for (const { file } of breaks) originals.set(file, await running.text(file));
});
afterEach(async () => {
  // A test that failed half-way must not fail the next.
  for (const [file, text] of originals) {
    if ((await running.text(file)) !== text) await running.edit({ [file]: text });
  }
});
after(() => stack.disposeAsync());

const reloads = (result: 'ok' | 'failed') =>
  running.metric(`zonegate_config_reloads_total{result="${result}"}`);

const isLatest = () => running.metric('zonegate_config_last_reload_successful');

/** The reason for which the healthy device is refused a target. */
async function refusalOf(target: string): Promise<unknown> {
  const pem = (name: string) => running.text(name);
  const wire = await openTls({
    port: running.process.gateway?.port ?? 0,
    ca: await pem('certs/server-ca.pem'),
    keys: { cert: await pem('devices/compliant.pem'), key: await pem('devices/compliant-key.pem') },
  });
  const { reply } = await connectOver(wire, target);
  wire.socket.destroy();
  return (JSON.parse(reply.body) as { reason: unknown }).reason;
}

const changed = async (file: string, from: string, to: string): Promise<string> => {
  const text = await running.text(file);
  assert.ok(text.includes(from), `${file} has ${from}`);
  return text.replace(from, to);
};

/** `line:column` of a part of a text. */
function placeOf(text: string, part: string): string {
  const before = text.slice(0, text.indexOf(part)).split('\n');
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
}

for (const { file, from, to, at } of breaks) {
  test(`a broken ${file} changes nothing, is reported with its place, and mended is in force (A12)`, async () => {
    const good = await running.text(file);
    const failedBefore = await reloads('failed');
    const linesBefore = running.logged.length;
    const broken = await changed(file, from, to);
    const outcome = await running.edit({ [file]: broken });

    const place = `${file}:${placeOf(broken, at)}: `;
    assert.equal(outcome.ok, false);
    const line = running.logged
      .slice(linesBefore)
      .find((one) => one['event.name'] === 'zonegate.reload');
    const [issue = ''] = (line?.['zonegate.issues'] ?? []) as string[];
    assert.ok(issue.startsWith(join(folder, place)), `${issue} begins with ${place}`);
    const unready = await running.api('GET', '/readyz');
    assert.equal(unready.status, 503);
    assert.ok(unready.text.includes(`not in force: ${place}`), unready.text);
    assert.equal(await reloads('failed'), failedBefore + 1);
    assert.equal(await isLatest(), 0);
    assert.equal(await refusalOf('www.gambling.example:443'), 'rules.block');

    const okBefore = await reloads('ok');
    assert.equal((await running.edit({ [file]: good })).ok, true);
    assert.equal((await running.api('GET', '/readyz')).status, 200);
    assert.equal(await reloads('ok'), okBefore + 1);
    assert.equal(await isLatest(), 1);
    assert.equal(await refusalOf('www.gambling.example:443'), 'rules.block');
  });
}

test('a good edit is in force at once, and so is taking it back', async () => {
  const good = await running.text('dtr.yaml');
  assert.equal(await refusalOf('www.example.com:443'), 'rules.bypass');
  const more = await changed(
    'dtr.yaml',
    '[".gambling.example"]',
    '[".gambling.example", ".example.com"]',
  );
  assert.equal((await running.edit({ 'dtr.yaml': more })).ok, true);
  assert.equal(await refusalOf('www.example.com:443'), 'rules.block');
  assert.equal((await running.edit({ 'dtr.yaml': good })).ok, true);
  assert.equal(await refusalOf('www.example.com:443'), 'rules.bypass');
});

const failingTests = [
  {
    file: 'dtr.yaml',
    text: '  - { name: gambling is fine, accept: ["www.gambling.example:443"] }\n',
    named: 'test `gambling is fine`',
  },
  {
    file: 'sign-on.yaml',
    text: '  - { name: guests are fine, user: guest, zones: [egress], client: demo-app, expect: ALLOW }\n',
    named: 'guests are fine',
  },
];

for (const { file, text, named } of failingTests) {
  test(`a reload is refused when a test in ${file} fails`, async () => {
    const good = await running.text(file);
    const outcome = await running.edit({ [file]: good + text });
    assert.ok(!outcome.ok);
    const [issue] = outcome.issues;
    assert.equal(outcome.issues.length, 1);
    assert.ok(issue?.message.includes(named), issue?.message);
    assert.equal(issue?.line, good.split('\n').length);
    assert.equal((await running.api('GET', '/readyz')).status, 503);
    assert.equal((await running.edit({ [file]: good })).ok, true);
  });
}

test('POST /api/v1/reload answers 422 with every issue of every file, and 200 when there is none', async () => {
  const rules = await running.text('dtr.yaml');
  const broken = rules
    .replace('action: BLOCK', 'action: BLOK')
    .replace('defaultAction: BYPASS', '');
  await running.edit({ 'dtr.yaml': broken });
  await running.edit({ 'sign-on.yaml': await changed('sign-on.yaml', 'ALLOW', 'ALOW') });
  const refused = await running.api('POST', '/api/v1/reload');
  assert.equal(refused.status, 422);
  const problem = JSON.parse(refused.text) as { status: number; errors: { detail: string }[] };
  const files = problem.errors.map(({ detail }) => /([a-z-]+\.yaml):\d+:\d+: /.exec(detail)?.[1]);
  assert.deepEqual(files, ['dtr.yaml', 'dtr.yaml', 'sign-on.yaml']);
  await running.edit({ 'sign-on.yaml': await changed('sign-on.yaml', 'ALOW', 'ALLOW') });
  await running.edit({ 'dtr.yaml': rules });
  assert.equal((await running.api('POST', '/api/v1/reload')).status, 200);
});

test('a broken main file does not hide what is wrong with the others', async () => {
  const good = new Map<string, string>();
  for (const { file } of breaks) good.set(file, await running.text(file));
  for (const { file, from, to } of breaks) {
    await running.edit({ [file]: await changed(file, from, to) });
  }
  const refused = await running.process.reload();
  const files = refused.ok ? [] : refused.issues.map((issue) => basename(issue.file));
  assert.deepEqual(files.toSorted(), breaks.map(({ file }) => file).toSorted());
  for (const [file, text] of good) await running.edit({ [file]: text });
  assert.equal((await running.api('GET', '/readyz')).status, 200);
});

test('a secret file that others may read is refused, and taken as soon as they may not', async () => {
  const secret = join(folder, 'secrets/webhook-password');
  await chmod(secret, 0o644);
  assert.equal((await running.process.reload()).ok, false);
  const unready = await running.api('GET', '/readyz');
  assert.match(unready.text, /secrets\/webhook-password/);
  assert.ok(!unready.text.includes(folder), 'no path of this machine');
  // Nothing but its mode changes: no file event tells.
  const { promise, resolve } = Promise.withResolvers<boolean>();
  running.process.onReload((reload) => resolve(reload.ok));
  await chmod(secret, 0o600);
  assert.equal(await promise, true);
  assert.equal((await running.api('GET', '/readyz')).status, 200);
});

test('POST /api/v1/reload names the settings that wait for a restart', async () => {
  const good = await running.text('zonegate.yaml');
  const outcome = await running.edit({
    'zonegate.yaml': good.replace('maxReportAge: 60s', 'maxReportAge: 50s'),
  });
  assert.deepEqual(outcome, { ok: true, restartNeeded: ['posture.maxReportAge'] });
  const { status, text } = await running.api('POST', '/api/v1/reload');
  assert.equal(status, 200);
  assert.deepEqual(JSON.parse(text), { restart_needed: ['posture.maxReportAge'] });
  await running.edit({ 'zonegate.yaml': good });
});

test('a served process reloads at SIGHUP', async () => {
  const served = await makeState(join(folder, '..'));
  await using serving = startZonegate('serve', '--config', join(served, 'zonegate.yaml'));
  await serving.shows('"msg":"ready"');
  serving.stop('SIGHUP');
  await serving.shows('"msg":"configuration reloaded"');
  serving.stop('SIGTERM');
  assert.equal(await serving.ended, 0);
});

test('a start on a broken file ends with exit code 2 and names the place (A12)', async () => {
  const served = await makeState(join(folder, '..'));
  const file = join(served, 'dtr.yaml');
  const broken = (await readFile(file, 'utf8')).replace('action: BLOCK', 'action: BLOK');
  await writeFile(file, broken);
  const { code, stdout, stderr } = await zonegate(
    'serve',
    '--config',
    join(served, 'zonegate.yaml'),
  );
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.ok(stderr.startsWith(`${file}:${placeOf(broken, 'BLOK')}: `), stderr);
  assert.ok(stderr.endsWith('not started: 1 issue in the configuration\n'), stderr);
});
