// A change reaches live tunnels: compliance, rules, egress, the UEM's silence; whoever is not concerned notices nothing.

import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { after, afterEach, before, test } from 'node:test';
import { request } from 'undici';
import { type Wire, within } from '../support/client.ts';
import { type Connected, clock, type RunningGateway, startGateway } from '../support/gateway.ts';
import { type GatewayWords, inventoryYaml, rulesYaml } from '../support/gateway-folder.ts';
import { startEcho, startHeldProxy, type TcpServer } from '../support/upstream.ts';

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

async function stillWorks(wire: Wire): Promise<void> {
  wire.write('still here');
  assert.equal(await wire.bytes(10), 'still here');
}

const reasonOf = ({ reply }: Connected) => (JSON.parse(reply.body) as { reason: string }).reason;

const cutLine = (gateway: RunningGateway) =>
  gateway.line((line) => line['zonegate.end'] === 'cut', 'the cut tunnel');

test('compliance lost cuts all tunnels of that device within a second, and nobody else’s (P10)', async () => {
  await using gateway = await startGateway({ posture: 'uem' });
  const [good, other] = [gateway.device('good'), gateway.device('other')];
  const lost = [await gateway.connect(good, target), await gateway.connect(good, target)];
  const kept = await gateway.connect(other, target);
  const changed = performance.now();
  const delivery = await gateway.uem.setDevice(good.udid, { compliance: 'NonCompliant' });
  assert.equal(delivery?.delivered, true);
  await Promise.all(lost.map((wire) => wire.rest()));
  const tookMs = performance.now() - changed;
  assert.ok(tookMs < 1000, `it took ${tookMs} ms`);
  assert.equal((await cutLine(gateway))['zonegate.reason'], 'posture.non_compliant');
  const series = 'zonegate_tunnels_cut_total{reason="posture.non_compliant"}';
  assert.equal(await gateway.metric(series), 2);
  assert.equal(await gateway.metric('zonegate_posture_change_to_cut_seconds_count'), 1);
  assert.equal(reasonOf(await gateway.connect(good, target)), 'posture.non_compliant');
  await stillWorks(kept);
  kept.socket.destroy();
});

test('an event that the UEM does not bear out cuts nothing (P12)', async () => {
  await using gateway = await startGateway({ posture: 'uem' });
  const good = gateway.device('good');
  const tunnel = await gateway.connect(good, target);
  const asked = gateway.uem.requests.length;
  const { statusCode, body } = await request(
    `http://127.0.0.1:${gateway.adminPort}/webhooks/workspace-one/uem`,
    {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Basic ${Buffer.from('uem:webhook-password').toString('base64')}`,
      },
      body: JSON.stringify({
        EventType: 'Compliance Status Changed',
        DeviceId: 100,
        ComplianceStatus: 'NonCompliant',
        EventTime: `/Date(${Date.now()})/`,
      }),
    },
  );
  assert.equal(statusCode, 200);
  assert.deepEqual(await body.json(), { result: 'refresh' });
  await gateway.gateway.posture.refresh(good.udid);
  assert.ok(gateway.uem.requests.length > asked, 'the UEM was asked');
  await stillWorks(tunnel);
  tunnel.socket.destroy();
});

test('an edit of the inventory cuts the tunnels of the device it makes unhealthy', async () => {
  await using gateway = await startGateway();
  const [good, other] = [gateway.device('good'), gateway.device('other')];
  const lost = await gateway.connect(good, target);
  const kept = await gateway.connect(other, target);
  const inventory = inventoryYaml([
    ['good', { inventory: { compliant: false } }],
    ['other', {}],
  ]);
  assert.equal((await gateway.edit({ 'devices.yaml': inventory })).ok, true);
  await lost.rest();
  assert.equal((await cutLine(gateway))['zonegate.reason'], 'posture.non_compliant');
  assert.equal(reasonOf(await gateway.connect(good, target)), 'posture.non_compliant');
  await stillWorks(kept);
  kept.socket.destroy();
});

test('posture lost while the gateway is connecting refuses the connection (P03)', async () => {
  await using proxy = await startHeldProxy();
  await using gateway = await startGateway({
    posture: 'uem',
    settings: { upstreams: { held: { host: '127.0.0.1', port: proxy.port } } },
    rules: [{ id: 'partner', action: 'PROXY', upstream: 'held', destinations: ['*.partner.test'] }],
  });
  const good = gateway.device('good');
  const asked = gateway.connect(good, 'www.partner.test:443');
  await proxy.arrived();
  await gateway.uem.setDevice(good.udid, { compliance: 'NonCompliant' });
  await gateway.gateway.posture.refresh(good.udid);
  proxy.letThrough();
  const refused = await asked;
  assert.equal(refused.reply.status, 403);
  assert.equal(reasonOf(refused), 'posture.non_compliant');
});

test('an edit of the rules cuts the tunnels they no longer allow, and no others', async () => {
  const words: GatewayWords = {
    settings: { dns: { hosts: { 'down.lab.test': ['127.0.0.1'] } } },
  };
  await using gateway = await startGateway(words);
  const good = gateway.device('good');
  const lost = await gateway.connect(good, `down.lab.test:${echo.port}`);
  const kept = await gateway.connect(good, target);
  const block = { id: 'no-more', action: 'BLOCK', destinations: ['down.lab.test'] };
  await gateway.edit({ 'dtr.yaml': rulesYaml({ rules: [block] }) });
  await lost.rest();
  assert.equal((await cutLine(gateway))['zonegate.reason'], 'rules.block');
  await stillWorks(kept);
  kept.socket.destroy();
});

test('an egress address taken out of its pool cuts the tunnels that leave from it', async () => {
  await using gateway = await startGateway();
  const tunnel = await gateway.connect(gateway.device('good'), target);
  const settings = (await gateway.text('zonegate.yaml')).replace('127.0.0.10', '127.0.0.11');
  await gateway.edit({ 'zonegate.yaml': settings });
  await tunnel.rest();
  assert.equal((await cutLine(gateway))['zonegate.reason'], 'egress.changed');
  const anew = await gateway.connect(gateway.device('good'), target);
  assert.equal(echo.connections.at(-1)?.remoteAddress, '127.0.0.11');
  anew.socket.destroy();
});

test('a server taken out of its upstream proxy loses its tunnels, and no others', async () => {
  await using first = await startHeldProxy();
  await using second = await startHeldProxy();
  const [one, two] = [first, second].map(({ port }) => ({ host: '127.0.0.1', port }));
  await using gateway = await startGateway({
    settings: { upstreams: { pair: { servers: [one, two] }, single: { servers: [two] } } },
    rules: [
      { id: 'pair', action: 'PROXY', upstream: 'pair', destinations: ['pair.test'] },
      { id: 'single', action: 'PROXY', upstream: 'single', destinations: ['single.test'] },
    ],
  });
  const good = gateway.device('good');
  const open = async (host: string, proxy: typeof first) => {
    const asked = gateway.connect(good, `${host}:443`);
    const carried = await proxy.arrived();
    proxy.letThrough();
    const tunnel = await asked;
    assert.equal(tunnel.reply.status, 200);
    return { tunnel, carried };
  };
  const lost = await open('pair.test', first);
  const kept = await open('single.test', second);
  const settings = await gateway.text('zonegate.yaml');
  await gateway.edit({ 'zonegate.yaml': settings.replace(`port: ${one?.port}`, 'port: 1') });
  await lost.tunnel.rest();
  assert.equal((await cutLine(gateway))['zonegate.reason'], 'rules.changed');
  assert.equal(gateway.gateway.tunnels.count(), 1);
  assert.ok(!kept.carried.destroyed);
  kept.tunnel.socket.destroy();
});

const grace = { posture: { recheck: '100ms', whenUnavailable: { graceFor: '15m' } } };

test('while the UEM is down a good report counts for the grace, then nobody passes (P07)', async () => {
  await using gateway = await startGateway({ posture: 'uem', settings: grace });
  const good = gateway.device('good');
  const live = await gateway.connect(good, target);
  gateway.uem.setFault('down');
  clock.ahead = 10 * 60_000;
  const bridged = await gateway.connect(good, target);
  assert.equal(bridged.reply.status, 200);
  assert.equal(await gateway.metric('zonegate_posture_source_up{source="uem"}'), 0);
  await stillWorks(live);
  assert.equal(await gateway.metric('zonegate_posture_grace_devices'), 1);
  const isTold = (line: Readonly<Record<string, unknown>>) => line['zonegate.grace_ms'] === 900_000;
  await gateway.line(isTold, 'the outage');
  const { status, text } = await gateway.api('GET', '/readyz');
  assert.equal(status, 200);
  assert.match(text, /no answer from `uem` since .*; good reports count for 900 s/);
  clock.ahead = 16 * 60_000;
  await Promise.all([live.rest(), bridged.rest()]);
  assert.equal((await cutLine(gateway))['zonegate.reason'], 'posture.unavailable');
  const refused = await gateway.connect(good, target);
  assert.equal(refused.reply.status, 503);
  assert.equal(reasonOf(refused), 'posture.unavailable');
});

test('when the UEM is back devices are served again by themselves (P05)', async () => {
  await using gateway = await startGateway({ posture: 'uem' });
  const good = gateway.device('good');
  gateway.uem.setFault('500');
  assert.equal(reasonOf(await gateway.connect(good, target)), 'posture.unavailable');
  gateway.uem.setFault(null);
  clock.ahead = 60_000;
  const tunnel = await gateway.connect(good, target);
  assert.equal(tunnel.reply.status, 200);
  assert.equal(await gateway.metric('zonegate_posture_source_up{source="uem"}'), 1);
  tunnel.socket.destroy();
});

test('a bad report gets no grace (P07)', async () => {
  await using gateway = await startGateway({ posture: 'uem' });
  const good = gateway.device('good');
  await gateway.uem.setDevice(good.udid, { compliance: 'NonCompliant' });
  assert.equal(reasonOf(await gateway.connect(good, target)), 'posture.non_compliant');
  gateway.uem.setFault('down');
  clock.ahead = 5 * 60_000;
  assert.equal(reasonOf(await gateway.connect(good, target)), 'posture.non_compliant');
});

test('a remediation rule set carries an unhealthy device to help, and nowhere else', async () => {
  const open = ['127.0.0.0/8'];
  await using gateway = await startGateway({
    devices: { failing: { inventory: { compliant: false } } },
    settings: { dns: { hosts: { 'help.lab.test': ['127.0.0.1'] } } },
    ruleFile: {
      ruleSets: [
        {
          name: 'staff',
          defaultAction: 'BLOCK',
          rules: [{ id: 'lab', action: 'TUNNEL', destinations: ['*.lab.test'], open }],
        },
        {
          name: 'remediation',
          assign: { posture: 'unhealthy' },
          defaultAction: 'BLOCK',
          rules: [{ id: 'help', action: 'TUNNEL', destinations: ['help.lab.test'], open }],
        },
      ],
    },
  });
  const failing = gateway.device('failing');
  const helped = await gateway.connect(failing, `help.lab.test:${echo.port}`);
  await stillWorks(helped);
  assert.equal(reasonOf(await gateway.connect(failing, target)), 'rules.block');
  helped.socket.destroy();
  await within(helped.closed(), 'the end');
});

test('the end of grace cuts by itself, without traffic, event or re-check (P07)', async () => {
  const settings = {
    posture: { maxReportAge: '1s', recheck: '10m', whenUnavailable: { graceFor: '1500ms' } },
  };
  await using gateway = await startGateway({ posture: 'uem', settings });
  const tunnel = await gateway.connect(gateway.device('good'), target);
  gateway.uem.setFault('down');
  await within(tunnel.rest(), 'the end of grace');
  assert.equal((await cutLine(gateway))['zonegate.reason'], 'posture.unavailable');
  const cut = 'zonegate_posture_change_to_cut_seconds';
  assert.equal(await gateway.metric(`${cut}_bucket{le="1"}`), 1);
});

test('the end of an exception cuts by itself', async () => {
  const until = new Date(Date.now() + 1500).toISOString();
  const exceptions = [{ device: 'device-odd', checks: ['ownership'], reason: 'on loan', until }];
  await using gateway = await startGateway({
    devices: { odd: { inventory: { ownership: 'personal' } } },
    settings: { posture: { recheck: '10m', admit: { ownership: ['corporate'] }, exceptions } },
  });
  const tunnel = await gateway.connect(gateway.device('odd'), target);
  assert.equal(tunnel.reply.status, 200);
  await within(tunnel.rest(), 'the end of the exception');
  assert.equal((await cutLine(gateway))['zonegate.reason'], 'posture.ownership');
});

test('a revoked certificate cuts at once although the UEM hangs, and the time it took is measured', async () => {
  await using gateway = await startGateway({ posture: 'uem' });
  const good = gateway.device('good');
  const tunnel = await gateway.connect(good, target);
  gateway.uem.setFault('hang');
  clock.ahead = 55_000;
  const cut = tunnel.rest();
  await gateway.edit({ 'device-ca.crl': await gateway.revocationList([good]) });
  await within(cut, 'the cut');
  assert.equal((await cutLine(gateway))['zonegate.reason'], 'identity.revoked');
  assert.equal(await gateway.metric('zonegate_posture_change_to_cut_seconds_count'), 1);
});
