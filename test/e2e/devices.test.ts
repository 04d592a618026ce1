// `zonegate devices` against a running gateway: what is known, pages and filters, blocking, asking again; and `explain`.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { zonegate } from '../support/program.ts';
import { freePorts, startEcho } from '../support/upstream.ts';

const stack = new AsyncDisposableStack();
let gateway: RunningGateway;

before(async () => {
  const echo = stack.use(await startEcho());
  const [port = 0] = await freePorts(1);
  gateway = stack.use(
    await startGateway({
      posture: 'uem',
      devices: { failing: { uem: { compliance: 'NonCompliant' } } },
      // On a busy machine the commands below take longer than a report is believed by default.
      settings: { admin: { listen: `127.0.0.1:${port}` }, posture: { maxReportAge: '1h' } },
    }),
  );
  for (const name of ['good', 'other', 'failing']) {
    (await gateway.connect(gateway.device(name), `up.lab.test:${echo.port}`)).socket.destroy();
  }
});
after(() => stack.disposeAsync());

const devices = (...args: readonly string[]) =>
  zonegate('devices', ...args, '--config', join(gateway.folder, 'zonegate.yaml'));

const idsOf = (stdout: string) =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('  ')[0]);

test('list says of each device whether it passes, in the order of ids, and goes on by cursor', async () => {
  const all = await devices('list');
  assert.equal(all.code, 0, all.stderr);
  assert.deepEqual(idsOf(all.stdout), ['device-failing', 'device-good', 'device-other']);
  assert.match(
    all.stdout,
    /^device-failing {2}posture\.non_compliant {2}non_compliant {2}macos {2}uem {2}20/m,
  );
  assert.match(all.stdout, /^device-good {2}passes {2}compliant/m);
  const first = await devices('list', '--limit', '2');
  assert.deepEqual(idsOf(first.stdout), ['device-failing', 'device-good']);
  const cursor = /--cursor (\S+)/.exec(first.stderr)?.[1] ?? '';
  assert.deepEqual(idsOf((await devices('list', '--cursor', cursor)).stdout), ['device-other']);
});

test('list chooses by compliance, source and block', async () => {
  assert.equal((await devices('block', 'device-other', '--reason', 'lost')).code, 0);
  assert.equal((await devices('block', 'never-seen', '--reason', 'lost')).code, 0);
  const chosen: readonly (readonly [args: string[], ids: string[]])[] = [
    [['--compliance', 'non_compliant'], ['device-failing']],
    [['--source', 'nowhere'], []],
    [['--source', 'uem', '--blocked'], ['device-other']],
    [['--blocked'], ['device-other', 'never-seen']],
    [['--no-blocked'], ['device-failing', 'device-good']],
  ];
  for (const [args, ids] of chosen) {
    assert.deepEqual(idsOf((await devices('list', ...args)).stdout), ids, args.join(' '));
  }
  for (const id of ['device-other', 'never-seen'])
    assert.equal((await devices('unblock', id)).code, 0);
  assert.equal((await devices('list', '--limit', '0')).code, 2);
});

test('show says what the UEM said, when, which check fails, and what the person reads', async () => {
  const { code, stdout } = await devices('show', 'device-failing');
  assert.equal(code, 0);
  assert.match(stdout, /^device-failing: refused, posture\.non_compliant \(check compliance\)$/m);
  assert.match(stdout, /^ {2}source +uem \(number \d+\)$/m);
  assert.match(stdout, /^ {2}learned +20\S+Z$/m);
  assert.match(stdout, /This device does not meet a company requirement\. Open the management app/);
  const json = JSON.parse((await devices('show', 'DEVICE-GOOD', '--json')).stdout) as object;
  assert.ok('passes' in json && json.passes === true);
  const nobody = await devices('show', 'nobody-knows-it');
  assert.deepEqual([nobody.code, nobody.stdout], [1, '']);
  assert.match(nobody.stderr, /nothing is known of this device/);
});

test('block says who did it and until when; explain knows; unblock ends it once', async () => {
  const until = '2099-01-01T00:00:00.000Z';
  const blocked = await devices(
    'block',
    'device-good',
    '--reason',
    'lost',
    '--by',
    'sam',
    '--until',
    until,
  );
  assert.equal(blocked.code, 0, blocked.stderr);
  assert.match(
    blocked.stdout,
    /blocked +lost \(by sam, since 20\S+Z, until 2099-01-01T00:00:00\.000Z\)/,
  );
  const asked = ['up.lab.test:443', '--device', 'device-good'] as const;
  const file = join(gateway.folder, 'zonegate.yaml');
  const explain = () => zonegate('explain', ...asked, '--config', file);
  const explained = await explain();
  assert.equal(explained.code, 1);
  assert.match(explained.stdout, /posture +refused +posture\.blocked, by sam/);
  assert.equal((await devices('unblock', 'device-good')).code, 0);
  assert.match((await explain()).stdout, /let through/);
  const again = await devices('unblock', 'device-good');
  assert.equal(again.code, 1);
  assert.match(again.stderr, /this device is not blocked/);
  const past = await devices(
    'block',
    'device-good',
    '--reason',
    'lost',
    '--until',
    '2020-01-01T00:00:00Z',
  );
  assert.equal(past.code, 2);
  assert.match(past.stderr, /\/until: expected a moment to come/);
});

test('refresh asks the UEM, and acts on the answer', async () => {
  gateway.uem.setEventRecipient(null);
  await gateway.uem.setDevice('device-other', { compliance: 'NonCompliant' });
  assert.match((await devices('show', 'device-other')).stdout, /device-other: passes/);
  assert.match(
    (await devices('refresh', 'device-other')).stdout,
    /refused, posture\.non_compliant/,
  );
});

test('where no gateway answers, or no token is configured, that is what is said', async () => {
  const file = join(gateway.folder, 'elsewhere.yaml');
  const [port = 0] = await freePorts(1);
  const text = await gateway.text('zonegate.yaml');
  await writeFile(file, text.replace(/listen: 127\.0\.0\.1:[1-9]\d*/, `listen: 127.0.0.1:${port}`));
  const silent = await zonegate('devices', 'list', '--config', file);
  assert.equal(silent.code, 2);
  assert.match(silent.stderr, /the gateway does not answer at http:\/\/127\.0\.0\.1:\d+/);
});
