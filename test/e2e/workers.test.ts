// Several workers on one port are one gateway: what changes reaches all of them, what is asked is answered for all.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { after, before, test } from 'node:test';
import { Agent, request } from 'undici';
import { pacPath } from '../../gateway/edge/pac-token.ts';
import { within } from '../support/client.ts';
import { linesOf, serveWithWorkers } from '../support/crew.ts';
import type { Connected } from '../support/gateway.ts';
import {
  type GatewayWords,
  inventoryYaml,
  makeGatewayFolder,
  rulesYaml,
} from '../support/gateway-folder.ts';
import { startZonegate } from '../support/program.ts';
import { freePorts, startEcho, type TcpServer } from '../support/upstream.ts';

const stack = new AsyncDisposableStack();
let echo: TcpServer;
let target: string;

before(async () => {
  echo = stack.use(await startEcho());
  target = `up.lab.test:${echo.port}`;
});
after(() => stack.disposeAsync());

const serve = (settings: object = {}, words: GatewayWords = {}) =>
  serveWithWorkers({ target, settings, words });

async function stillWorks(wire: Connected): Promise<void> {
  wire.write('still here');
  assert.equal(await wire.bytes(10), 'still here');
}

const reasonOf = ({ reply }: Connected) => (JSON.parse(reply.body) as { reason: string }).reason;

test('both workers serve one port, and the API, metrics and readiness speak for both', async () => {
  await using crew = await serve();
  const tunnels = await crew.connectToBoth();
  for (const tunnel of tunnels.values()) await stillWorks(tunnel);
  const listed = JSON.parse((await crew.api('GET', '/api/v1/tunnels')).text) as {
    items: unknown[];
  };
  assert.equal(listed.items.length, 2);
  assert.equal(await crew.metric('zonegate_tunnels_open'), 2);
  const carried = linesOf(crew).filter((line) => line['zonegate.action'] === 'tunnel').length;
  assert.equal(await crew.metric('zonegate_admissions_total{method="connect"}'), carried);
  const { text } = await crew.api('GET', '/metrics');
  assert.match(text, /^zonegate_build_info\{[^}]*\} 1$/m);
  assert.match(text, /^process_start_time_seconds \d+$/m);
  assert.match((await crew.api('GET', '/readyz')).text, /"workers":"ok"/);
  const egress = JSON.parse((await crew.api('GET', '/api/v1/egress')).text) as { items: unknown[] };
  assert.equal(egress.items.length, 1);
});

test('both workers serve PAC files to those who show no certificate', async () => {
  const [port = 0] = await freePorts(1);
  const pacSecret = 'secret of the tests';
  const listeners = { device: '127.0.0.1:0', pac: `127.0.0.1:${port}` };
  const profiles = { gateway: 'gw.test:8443', pacSecret };
  await using crew = await serve({ listeners, profiles });
  const url = `https://127.0.0.1:${port}${pacPath(crew.good.udid, pacSecret)}`;
  const workers = new Set<unknown>();
  for (let i = 0; i < 100 && workers.size < 2; i += 1) {
    const dispatcher = new Agent({ connect: { ca: crew.made.serverAuthority } });
    const { statusCode, body } = await request(url, { dispatcher });
    assert.equal(statusCode, 200);
    assert.match(await body.text(), /FindProxyForURL/);
    await dispatcher.destroy();
    await crew.shows('"zonegate.endpoint":"pac_token"');
    for (const line of linesOf(crew)) {
      if (line['event.name'] === 'zonegate.own') workers.add(line['zonegate.worker']);
    }
  }
  assert.equal(workers.size, 2);
});

test('compliance lost cuts the tunnels of the device on every worker within a second (P10)', async () => {
  await using crew = await serve();
  const lost = await crew.connectToBoth();
  const kept = await crew.connectToBoth(crew.made.device('other'));
  const changed = performance.now();
  const delivery = await crew.made.uem.setDevice(crew.good.udid, { compliance: 'NonCompliant' });
  assert.equal(delivery?.delivered, true);
  await Promise.all([...lost.values()].map((tunnel) => tunnel.rest()));
  const tookMs = performance.now() - changed;
  assert.ok(tookMs < 1000, `it took ${tookMs} ms`);
  for (const tunnel of kept.values()) await stillWorks(tunnel);
  for (const _ of lost) assert.equal(reasonOf(await crew.connect()), 'posture.non_compliant');
});

test('a rule edit is in force in every worker when the reload has been answered', async () => {
  await using crew = await serve();
  const lost = await crew.connectToBoth();
  const block = { id: 'no-more', action: 'BLOCK', destinations: ['up.lab.test'] };
  await crew.edit('dtr.yaml', rulesYaml({ rules: [block] }));
  await Promise.all([...lost.values()].map((tunnel) => tunnel.rest()));
  for (let i = 0; i < 4; i += 1) assert.equal(reasonOf(await crew.connect()), 'rules.block');
  assert.ok((await crew.metric('zonegate_config_reloads_total{result="ok"}')) >= 1);
  assert.equal(await crew.metric('zonegate_tunnels_cut_total{reason="rules.block"}'), 2);
  await crew.edit('dtr.yaml', rulesYaml({}));
  for (let i = 0; i < 2; i += 1) await stillWorks(await crew.connect());
});

test('a certificate that is revoked loses its tunnels on every worker', async () => {
  await using crew = await serve();
  const lost = await crew.connectToBoth();
  await crew.edit('device-ca.crl', await crew.made.revocationList([crew.good]));
  await Promise.all([...lost.values()].map((tunnel) => tunnel.rest()));
  for (const _ of lost) assert.equal(reasonOf(await crew.connect()), 'identity.revoked');
});

test('a broken file changes nothing in any worker, and readiness says so (A12)', async () => {
  await using crew = await serve();
  const rules = await readFile(join(crew.made.folder, 'dtr.yaml'), 'utf8');
  await writeFile(join(crew.made.folder, 'dtr.yaml'), rules.replace('TUNNEL', 'TUNEL'));
  assert.equal((await crew.api('POST', '/api/v1/reload')).status, 422);
  assert.equal((await crew.api('GET', '/readyz')).status, 503);
  for (const tunnel of (await crew.connectToBoth()).values()) await stillWorks(tunnel);
  await crew.edit('dtr.yaml', rules);
  assert.equal((await crew.api('GET', '/readyz')).status, 200);
});

test('a TLS session of one worker is resumed by the other, after a reload too', async () => {
  await using crew = await serve();
  const first = await crew.open();
  const ticket = await first.ticket();
  first.vanish();
  for (const _ of ['at first', 'reloaded']) {
    for (let i = 0; i < 4; i += 1) {
      const again = await crew.open(crew.good, ticket);
      assert.equal(again.socket.isSessionReused(), true);
      again.vanish();
    }
    await crew.edit('dtr.yaml', `${rulesYaml({})}# another version\n`);
  }
});

test('a worker that is killed is replaced; tunnels of the other live on, and counts do not shrink', async () => {
  await using crew = await serve();
  const tunnels = await crew.connectToBoth();
  const counted = await crew.metric('zonegate_admissions_total{method="connect"}');
  process.kill(crew.pidOf(1), 'SIGKILL');
  await tunnels.get(1)?.rest();
  await crew.shows(/"zonegate.worker":3,"process.pid":\d+,"msg":"worker serves"/);
  const survivor = tunnels.get(2);
  assert.ok(survivor);
  await stillWorks(survivor);
  assert.equal((await crew.api('GET', '/readyz')).status, 200);
  assert.equal(await crew.metric('zonegate_worker_restarts_total'), 1);
  assert.equal(await crew.metric('zonegate_tunnels_open'), 1);
  assert.equal(await crew.metric('zonegate_admissions_total{method="connect"}'), counted);
  const anew = await crew.connectToBoth();
  assert.deepEqual(new Set(anew.keys()), new Set([2, 3]));
});

test('a new worker serves by the last report while the UEM is silent, for the grace (P07)', async () => {
  await using crew = await serve();
  for (const tunnel of (await crew.connectToBoth()).values()) await stillWorks(tunnel);
  crew.made.uem.setFault('down');
  // The event makes the primary ask, in vain: from here on it has only what it knew before.
  await crew.made.uem.setDevice(crew.good.udid, { compliance: 'NonCompliant' });
  const noticed = async () => {
    while ((await crew.metric('zonegate_posture_source_up{source="uem"}')) === 1);
  };
  await within(noticed(), 'the outage');
  process.kill(crew.pidOf(1), 'SIGKILL');
  await crew.shows(/"zonegate.worker":3,"process.pid":\d+,"msg":"worker serves"/);
  for (const tunnel of (await crew.connectToBoth()).values()) await stillWorks(tunnel);
});

test('signals to a worker mean nothing; the primary alone decides', async () => {
  await using crew = await serve();
  const tunnels = await crew.connectToBoth();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.kill(crew.pidOf(1), signal);
  }
  for (const tunnel of tunnels.values()) await stillWorks(tunnel);
  for (const tunnel of (await crew.connectToBoth()).values()) await stillWorks(tunnel);
});

test('SIGHUP reloads all workers', async () => {
  await using crew = await serve();
  crew.stop('SIGHUP');
  await crew.shows('"msg":"configuration reloaded"');
  for (const tunnel of (await crew.connectToBoth()).values()) await stillWorks(tunnel);
});

test('SIGTERM lets the tunnels of all workers go on, takes nothing new, and ends with 0 (R12)', async () => {
  await using crew = await serve();
  const tunnels = [...(await crew.connectToBoth()).values()];
  crew.stop('SIGTERM');
  await crew.shows('"msg":"draining"');
  assert.equal((await crew.api('GET', '/readyz')).status, 503);
  await assert.rejects(crew.connect());
  for (const tunnel of tunnels) {
    await stillWorks(tunnel);
    tunnel.end();
    await tunnel.closed();
  }
  assert.equal(await crew.ended, 0);
  const ends = linesOf(crew).filter((line) => line['event.name'] === 'zonegate.tunnel.end');
  assert.equal(
    ends.length,
    linesOf(crew).filter((line) => line['msg'] === `tunnel to ${target}`).length,
  );
});

test('a second SIGTERM cuts what is left in all workers, and the log has every end', async () => {
  await using crew = await serve();
  const tunnels = [...(await crew.connectToBoth()).values()];
  crew.stop('SIGTERM');
  await crew.shows('"msg":"draining"');
  crew.stop('SIGTERM');
  await Promise.all(tunnels.map((tunnel) => tunnel.rest()));
  assert.equal(await crew.ended, 143);
  const cut = linesOf(crew).filter((line) => line['zonegate.reason'] === 'limits.draining');
  assert.equal(cut.length, 2);
});

test('workers end with their primary, however it ends', async () => {
  await using crew = await serve();
  const tunnels = [...(await crew.connectToBoth()).values()];
  crew.stop('SIGKILL');
  await Promise.all(tunnels.map((tunnel) => tunnel.rest()));
  await assert.rejects(crew.open(), { code: 'ECONNREFUSED' });
});

/** Each of its limits lets two pass; limits so small hold exactly. */
const namedUser = { identity: { user: { subject: 'CN' } } };
const twoOfEach = {
  'limits.device_tunnels': { limits: { tunnelsPerDevice: 2 } },
  'limits.user_tunnels': { ...namedUser, limits: { tunnelsPerUser: 2 } },
  'limits.device_connections': { limits: { connectionsPerDevice: 2 } },
};

for (const [reason, settings] of Object.entries(twoOfEach)) {
  test(`${reason} is for all workers together`, async () => {
    await using crew = await serve(settings);
    await crew.connectToBoth();
    const refused = async () => {
      for (let inARow = 0; inARow < 2; ) {
        const tunnel = await crew.connect();
        inARow = tunnel.reply.status === 200 ? 0 : inARow + 1;
        if (tunnel.reply.status !== 200) assert.equal(reasonOf(tunnel), reason);
        tunnel.socket.destroy();
      }
    };
    await within(refused(), 'a refusal by each of them');
  });
}

test('what a device has moved in one worker it waits for in the other', async () => {
  await using crew = await serve({ limits: { bytesPerSecondPerDevice: 16_384 } });
  const [busy, quiet] = [...(await crew.connectToBoth()).values()];
  assert.ok(busy && quiet);
  const slowed = () =>
    crew.metric('zonegate_tunnel_slowed_seconds_total{direction="sent",limit="device"}');
  // As much as it may move in six seconds.
  busy.write('x'.repeat(98_304));
  const begun = async (): Promise<number> => (await slowed()) || (await begun());
  const before = await within(begun(), 'its tunnel is slowed');
  busy.socket.destroy();
  quiet.write('x');
  const grown = async (): Promise<void> => ((await slowed()) > before ? undefined : await grown());
  await within(grown(), 'the other one is, too');
});

test('a device may have its whole limit in one worker', async () => {
  await using crew = await serve({ limits: { tunnelsPerDevice: 16 } });
  const [worker] = (await crew.connectToBoth()).keys();
  assert.ok(worker);
  const there = [];
  for (let tries = 0; tries < 64 && there.length < 12; tries += 1) {
    const tunnel = await crew.connect();
    assert.equal(tunnel.reply.status, 200);
    if ((await crew.workerOf(tunnel)) === worker) there.push(tunnel);
    else tunnel.socket.destroy();
  }
  assert.equal(there.length, 12);
});

test('a device that an inventory no longer calls compliant loses its tunnels on every worker', async () => {
  await using crew = await serve({}, { posture: 'inventory' });
  const lost = await crew.connectToBoth();
  const kept = await crew.connectToBoth(crew.made.device('other'));
  const devices = inventoryYaml([
    ['good', { inventory: { compliant: false } }],
    ['other', {}],
  ]);
  await crew.edit('devices.yaml', devices);
  await Promise.all([...lost.values()].map((tunnel) => tunnel.rest()));
  for (const tunnel of kept.values()) await stillWorks(tunnel);
  for (const _ of lost) assert.equal(reasonOf(await crew.connect()), 'posture.non_compliant');
});

test('a worker that hangs is ended and replaced; the other serves meanwhile', async () => {
  await using crew = await serve();
  const tunnels = await crew.connectToBoth();
  process.kill(crew.pidOf(1), 'SIGSTOP');
  const survivor = tunnels.get(2);
  assert.ok(survivor);
  await stillWorks(survivor);
  await crew.shows('"msg":"worker does not answer, it is ended"');
  await tunnels.get(1)?.rest();
  await crew.shows(/"zonegate.worker":3,"process.pid":\d+,"msg":"worker serves"/);
  await stillWorks(survivor);
  assert.equal(await crew.metric('zonegate_worker_hangs_total'), 1);
  const anew = await crew.connectToBoth();
  assert.deepEqual(new Set(anew.keys()), new Set([2, 3]));
});

test('a port that is taken is said in one line', async () => {
  const settings = { workers: 2, listeners: { device: `127.0.0.1:${echo.port}` } };
  await using made = await makeGatewayFolder({ settings });
  await using serving = startZonegate('serve', '--config', join(made.folder, 'zonegate.yaml'));
  assert.equal(await serving.ended, 2);
  assert.match(serving.stderr(), new RegExp(`:${echo.port} is in use by another program; stop it`));
  assert.doesNotMatch(serving.stderr(), /\n\s+at /);
});
