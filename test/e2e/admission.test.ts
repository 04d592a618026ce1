// The admission policy from outside: what a report-only check and an exception let pass, and what log and metrics say.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Connected, startGateway } from '../support/gateway.ts';
import { startEcho, type TcpServer } from '../support/upstream.ts';

const stack = new AsyncDisposableStack();
let echo: TcpServer;
let target: string;

before(async () => {
  echo = stack.use(await startEcho());
  target = `up.lab.test:${echo.port}`;
});
after(() => stack.disposeAsync());

const reasonOf = ({ reply }: Connected) => (JSON.parse(reply.body) as { reason: string }).reason;

const personal = { personal: { inventory: { ownership: 'personal', osVersion: '17.1' } } };
const admit = { ownership: ['corporate'] };

test('a report-only check refuses nobody, is told per connection, and refuses once it is in force', async () => {
  await using gateway = await startGateway({
    devices: personal,
    settings: { posture: { admit, reportOnly: ['ownership'] } },
  });
  const device = gateway.device('personal');
  const tunnel = await gateway.connect(device, target);
  assert.equal(tunnel.reply.status, 200);
  const line = await gateway.line(
    (one) => one['event.name'] === 'zonegate.admit' && one['device.id'] === device.udid,
    'the admission',
  );
  assert.deepEqual(line['zonegate.posture.would_refuse'], ['ownership=posture.ownership']);
  const series = 'zonegate_posture_would_refuse_total{check="ownership"}';
  assert.equal(await gateway.metric(series), 1);
  const text = await gateway.text('zonegate.yaml');
  await gateway.edit({ 'zonegate.yaml': text.replace(/ {2}reportOnly:\n {4}- ownership\n/, '') });
  await tunnel.rest();
  const cut = await gateway.line((one) => one['zonegate.end'] === 'cut', 'the cut tunnel');
  assert.equal(cut['zonegate.reason'], 'posture.ownership');
  assert.equal(reasonOf(await gateway.connect(device, target)), 'posture.ownership');
  assert.equal(await gateway.metric(series), 1);
});

test('an exception lets its device pass, is written down once, and counts every time', async () => {
  const until = new Date(Date.now() + 3_600_000).toISOString();
  await using gateway = await startGateway({
    devices: { ...personal, private: { inventory: { ownership: 'personal' } } },
    settings: {
      posture: {
        admit,
        exceptions: [
          { device: 'device-personal', checks: ['ownership'], reason: 'on loan', until },
        ],
      },
    },
  });
  const device = gateway.device('personal');
  for (let i = 0; i < 2; i += 1) {
    const tunnel = await gateway.connect(device, target);
    assert.equal(tunnel.reply.status, 200);
    tunnel.socket.destroy();
  }
  const isAudit = (one: Readonly<Record<string, unknown>>) =>
    one['event.name'] === 'zonegate.exception';
  const audit = await gateway.line(isAudit, 'the exception');
  assert.equal(audit['device.id'], device.udid);
  assert.equal(audit['zonegate.check'], 'ownership');
  assert.equal(audit['zonegate.exception.reason'], 'on loan');
  assert.equal(gateway.logged.filter(isAudit).length, 1);
  const series = 'zonegate_posture_exceptions_used_total{check="ownership"}';
  assert.equal(await gateway.metric(series), 2);
  const other = await gateway.connect(gateway.device('private'), target);
  assert.equal(reasonOf(other), 'posture.ownership');
});
