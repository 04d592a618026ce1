// What outlives the gateway: a restart in the middle of an outage decides like no restart, and blocks hold.

import assert from 'node:assert/strict';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeGatewayFolder } from '../support/gateway-folder.ts';
import { zonegate } from '../support/program.ts';
import { reasonOf, type Served, serveFolder } from '../support/served.ts';
import { startEcho, type TcpServer } from '../support/upstream.ts';

const stack = new AsyncDisposableStack();
let echo: TcpServer;
let target: string;

before(async () => {
  echo = stack.use(await startEcho());
  target = `up.lab.test:${echo.port}`;
});
after(() => stack.disposeAsync());

const folder = (settings: object = {}) =>
  makeGatewayFolder({
    posture: 'uem',
    devices: { failing: { uem: { compliance: 'NonCompliant' } }, late: {} },
    // Every report is too old at once: what lets a device through in an outage is grace alone.
    settings: {
      posture: { maxReportAge: '1s', whenUnavailable: { graceFor: '15m' } },
      ...settings,
    },
  });

for (const workers of [1, 2]) {
  test(`kill -9 and a start in the middle of an outage decide like no restart, ${workers} processes (P07)`, async () => {
    await using made = await folder({ workers });
    const devices = ['good', 'failing', 'late'].map((name) => made.device(name));
    const decide = async (served: Served) => {
      const decisions: unknown[] = [];
      for (const device of devices) decisions.push(reasonOf(await served.connect(device, target)));
      return decisions;
    };
    const learned = async (served: Served) =>
      (await served.api('GET', '/devices'))['items'] as readonly { fetched_at: string }[];
    let before: unknown;
    let times: readonly string[];
    {
      await using served = await serveFolder(made);
      for (const device of devices.slice(0, 2)) await served.connect(device, target);
      times = (await learned(served)).map(({ fetched_at }) => fetched_at);
      assert.equal(times.length, 2);
      made.uem.setFault('down');
      // A second later, when neither report is fresh any more; asking about them is in vain.
      await served.until(
        async () => Date.now() - Math.max(...times.map((at) => Date.parse(at))) > 1000,
        'the reports grow old',
      );
      before = await decide(served);
      assert.deepEqual(before, ['let through', 'posture.non_compliant', 'posture.unavailable']);
      await served.api('POST', '/devices/device-other/block', { reason: 'lost' });
      served.stop('SIGKILL');
      await served.ended;
    }
    await using again = await serveFolder(made);
    assert.deepEqual(await decide(again), before);
    // Grace is counted from when they were learned, not from the start.
    assert.deepEqual(
      (await learned(again)).flatMap(({ fetched_at }) => (fetched_at === null ? [] : [fetched_at])),
      times,
    );
    assert.equal(reasonOf(await again.connect(made.device('other'), target)), 'posture.blocked');
    made.uem.setFault(null);
    await again.until(
      async () => reasonOf(await again.connect(made.device('late'), target)) === 'let through',
      'the UEM is asked again',
    );
  });
}

test('the file is its owner’s only, and a second gateway on it is not started', async () => {
  await using made = await folder();
  await using served = await serveFolder(made);
  const file = join(made.folder, 'zonegate.db');
  for (const suffix of ['', '-wal', '.lock']) {
    assert.equal((await stat(`${file}${suffix}`)).mode & 0o777, 0o600, suffix);
  }
  const second = await zonegate('serve', '--config', join(made.folder, 'zonegate.yaml'));
  assert.equal(second.code, 1);
  assert.match(second.stderr, /zonegate\.db`: another process has it open; stop that one/);
  assert.equal(await served.metric('zonegate_state_up'), 1);
});

test('a state file that is none is said in one line, with what to do', async () => {
  await using made = await folder();
  await writeFile(
    join(made.folder, 'zonegate.db'),
    'not a database, but long enough to look like one'.repeat(20),
  );
  const { code, stderr } = await zonegate('serve', '--config', join(made.folder, 'zonegate.yaml'));
  assert.equal(code, 1);
  assert.match(stderr, /it is no SQLite database; name another file, or move it away/);
});
