// Rules for applications, rules with a beginning and an end, and rules that only report, in a running gateway.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { openTls } from '../support/client.ts';
import { clock, connectOver, type RunningGateway, startGateway } from '../support/gateway.ts';
import { root, run } from '../support/program.ts';
import { startEcho, type TcpServer } from '../support/upstream.ts';

const stack = new AsyncDisposableStack();
let echo: TcpServer;
let target: string;

before(async () => {
  echo = stack.use(await startEcho());
  target = `up.lab.test:${echo.port}`;
});
after(() => stack.disposeAsync());
afterEach(() => {
  clock.ahead = 0;
});

const open = ['127.0.0.0/8'];
const soonMs = 1_800_000;

/** The moment `soonMs` after the beginning of a test is about to come; a reload makes the gateway look at the clock. */
async function waitForIt(gateway: RunningGateway): Promise<void> {
  clock.ahead = soonMs - 1_500;
  const text = await gateway.text('dtr.yaml');
  assert.equal((await gateway.edit({ 'dtr.yaml': `${text}# later\n` })).ok, true);
}

const reasonOf = (body: string) => (JSON.parse(body) as { reason: string }).reason;
const decisions = ({ logged }: RunningGateway) =>
  logged.filter((line) => line['event.name'] === 'zonegate.admit');

test('a rule that ends closes its tunnels at that moment, and no others', async () => {
  const validUntil = new Date(Date.now() + soonMs).toISOString();
  const fair = { id: 'fair', action: 'TUNNEL', destinations: ['fair.lab.test'], open, validUntil };
  const late = { id: 'late', action: 'BLOCK', destinations: ['fair.lab.test'] };
  await using gateway = await startGateway({
    rules: [fair, late],
    settings: { dns: { hosts: { 'fair.lab.test': ['127.0.0.1'] } } },
  });
  const good = gateway.device('good');
  const ending = await gateway.connect(good, `fair.lab.test:${echo.port}`);
  const kept = await gateway.connect(good, target);
  assert.deepEqual([ending.reply.status, kept.reply.status], [200, 200]);
  await waitForIt(gateway);
  await ending.rest();
  const cut = await gateway.line((line) => line['zonegate.end'] === 'cut', 'the cut tunnel');
  assert.equal(cut['zonegate.reason'], 'rules.block');
  assert.ok(Date.now() >= Date.parse(validUntil), 'not before its time');
  const again = await gateway.connect(good, `fair.lab.test:${echo.port}`);
  assert.equal(reasonOf(again.reply.body), 'rules.block');
  kept.write('still here');
  assert.equal(await kept.bytes(10), 'still here');
  kept.socket.destroy();
});

test('a rule that begins takes over what another has let through', async () => {
  const validFrom = new Date(Date.now() + soonMs).toISOString();
  const freeze = { id: 'freeze', action: 'BLOCK', destinations: ['up.lab.test'], validFrom };
  await using gateway = await startGateway({ rules: [freeze] });
  const tunnel = await gateway.connect(gateway.device('good'), target);
  assert.equal(tunnel.reply.status, 200);
  await waitForIt(gateway);
  await tunnel.rest();
  const cut = await gateway.line((line) => line['zonegate.end'] === 'cut', 'the cut tunnel');
  assert.equal(cut['zonegate.reason'], 'rules.block');
});

test('a report-only rule is logged and counted, by name and by where the name leads, and changes nothing', async () => {
  const rules = [
    { id: 'no-lab', action: 'BLOCK', destinations: ['*.lab.test'], reportOnly: true },
    { id: 'no-loopback', action: 'BLOCK', destinations: ['127.0.0.0/8'], reportOnly: true },
  ];
  await using gateway = await startGateway({ rules });
  const tunnel = await gateway.connect(gateway.device('good'), target);
  assert.equal(tunnel.reply.status, 200);
  tunnel.socket.destroy();
  const [line] = decisions(gateway);
  assert.deepEqual(line?.['report_only'], [
    { rule: 'no-lab', action: 'BLOCK' },
    { rule: 'no-loopback', action: 'BLOCK' },
  ]);
  assert.equal(line?.['zonegate.rule'], 'lab');
  const series = 'zonegate_rules_report_only_total{action="BLOCK"}';
  assert.equal(await gateway.metric(series), 2);
});

test('the listener of an application opens its rules, the others do not', async () => {
  const mail = {
    id: 'mail',
    action: 'TUNNEL',
    apps: ['mail'],
    destinations: ['up.lab.test'],
    open,
  };
  const ruleFile = {
    applications: { mail: { bundleId: 'com.example.mail' } },
    ruleSets: [{ name: 'staff', mode: 'per-app', defaultAction: 'BLOCK', rules: [mail] }],
  };
  await using gateway = await startGateway({
    ruleFile,
    settings: {
      identity: { app: { listener: true } },
      listeners: {
        apps: [
          { listen: '127.0.0.1:0', app: 'com.example.mail' },
          { listen: '127.0.0.1:0', app: 'com.example.game' },
        ],
      },
    },
  });
  const good = gateway.device('good');
  const ports = [...gateway.gateway.appPorts, gateway.port];
  const statuses: number[] = [];
  for (const port of ports) {
    const wire = await connectOver(await openTls({ ...gateway.tls(good), port }), target);
    statuses.push(wire.reply.status);
    wire.socket.destroy();
  }
  assert.deepEqual(statuses, [200, 403, 403]);
  assert.deepEqual(
    decisions(gateway).map((line) => line['zonegate.app']),
    ['com.example.mail', 'com.example.game', null],
  );
});

test('a change of what is believed about applications closes the tunnels that rested on it', async () => {
  const mail = {
    id: 'mail',
    action: 'TUNNEL',
    apps: ['mail'],
    destinations: ['up.lab.test'],
    open,
  };
  const ruleFile = {
    applications: { mail: { bundleId: 'com.example.mail' } },
    ruleSets: [{ name: 'staff', defaultAction: 'BLOCK', rules: [mail] }],
  };
  const settings = { identity: { app: { header: 'X-Zonegate-App' } } };
  await using gateway = await startGateway({ ruleFile, settings });
  const wire = await gateway.open(gateway.device('good'));
  wire.write(`CONNECT ${target} HTTP/1.1\r\nHost: a\r\nX-Zonegate-App: com.example.mail\r\n\r\n`);
  assert.equal((await wire.head()).status, 200);
  const text = await gateway.text('zonegate.yaml');
  const changed = text.replace('header: X-Zonegate-App', 'header: X-Other');
  assert.notEqual(changed, text);
  assert.equal((await gateway.edit({ 'zonegate.yaml': changed })).ok, true);
  await wire.rest();
  const cut = await gateway.line((line) => line['zonegate.end'] === 'cut', 'the cut tunnel');
  assert.equal(cut['zonegate.reason'], 'rules.block');
});

test('the log of real traffic says what a report-only rule would have done, to `rules log`', async () => {
  const rules = [
    { id: 'no-lab', action: 'BLOCK', destinations: ['*.lab.test'], reportOnly: true },
    { id: 'direct', action: 'BYPASS', destinations: ['direct.lab.test'] },
  ];
  await using gateway = await startGateway({ rules });
  for (const name of ['good', 'good', 'other']) {
    const tunnel = await gateway.connect(gateway.device(name), target);
    assert.equal(tunnel.reply.status, 200);
    tunnel.socket.destroy();
  }
  const refused = await gateway.connect(gateway.device('good'), 'direct.lab.test:443');
  assert.equal(refused.reply.status, 403);
  await gateway.line((line) => line['zonegate.reason'] === 'rules.bypass', 'the refusal');
  const log = gateway.logged.map((line) => JSON.stringify(line)).join('\n');
  const summary = await run(process.execPath, ['cli/main.ts', 'rules', 'log', '--report-only'], {
    input: log,
    cwd: root,
  });
  assert.equal(summary.code, 0);
  assert.match(
    summary.stdout,
    /^no-lab \(BLOCK\): 4 connections of 2 devices, would have refused 3 that passed$/m,
  );
  assert.match(summary.stdout, new RegExp(`^ +3 +${target}$`, 'm'));
  assert.match(summary.stdout, /^ +1 +direct\.lab\.test:443$/m);
});
