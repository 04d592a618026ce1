// Egress addresses that come and go, from outside: devices move to neighbours, everybody is told, the feed stays as it is.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { request } from 'undici';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { adminToken, egressAddress } from '../support/gateway-folder.ts';
import { startEcho, type TcpServer } from '../support/upstream.ts';

// TEST-NET-1: no machine has it.
const gone = '192.0.2.77';
const stack = new AsyncDisposableStack();
let echo: TcpServer;

before(async () => {
  echo = stack.use(await startEcho());
});
after(() => stack.disposeAsync());

const withPools = (main: readonly string[]) =>
  startGateway({ settings: { egress: { pools: { main, partners: [gone] } } } });

async function feed(gateway: RunningGateway, headers: Readonly<Record<string, string>> = {}) {
  const url = `http://127.0.0.1:${gateway.adminPort}/api/v1/egress`;
  const authorization = `Bearer ${adminToken}`;
  const answer = await request(url, { headers: { authorization, ...headers } });
  const text = await answer.body.text();
  return { status: answer.statusCode, etag: String(answer.headers['etag']), text };
}

async function ready(gateway: RunningGateway) {
  const { statusCode, body } = await request(`http://127.0.0.1:${gateway.adminPort}/readyz`);
  const { checks } = (await body.json()) as { checks: Readonly<Record<string, string>> };
  return { status: statusCode, egress: checks['egress'] };
}

test('a device leaves from a neighbour when its egress address is not there (D14)', async () => {
  await using gateway = await withPools([gone, egressAddress]);
  for (const name of ['good', 'other', 'good']) {
    const tunnel = await gateway.connect(gateway.device(name), `up.lab.test:${echo.port}`);
    assert.equal(tunnel.reply.status, 200);
    tunnel.socket.destroy();
  }
  const admitted = gateway.logged.filter((line) => line['zonegate.action'] === 'tunnel');
  assert.deepEqual(
    admitted.map((line) => line['zonegate.egress.address']),
    [egressAddress, egressAddress, egressAddress],
  );
  await gateway.line((line) => line['zonegate.egress.fault'] === 'missing', 'the missing address');
  const told = gateway.logged.filter((line) => line['event.name'] === 'zonegate.egress');
  assert.equal(told.length, 1, 'it is said once');
  const healthy = (pool: string, address: string) =>
    gateway.metric(`zonegate_egress_address_healthy{pool="${pool}",address="${address}"}`);
  assert.equal(await healthy('main', gone), 0);
  assert.equal(await healthy('main', egressAddress), 1);
  assert.equal(await healthy('partners', gone), 0);
  assert.deepEqual(await ready(gateway), {
    status: 200,
    egress:
      'ok: egress addresses that cannot be used: 1 of 2 in pool main, 1 of 1 in pool partners',
  });
});

test('without any address of the default pool the machine is not ready', async () => {
  await using gateway = await withPools([gone]);
  await gateway.line((line) => line['zonegate.egress.fault'] === 'missing', 'the missing address');
  assert.deepEqual(await ready(gateway), {
    status: 503,
    egress: 'no address of egress pool main can be used',
  });
});

test('the feed says how its addresses do and withdraws none; as text it stays the same', async () => {
  await using gateway = await withPools([gone, egressAddress]);
  await gateway.line((line) => line['zonegate.egress.fault'] === 'missing', 'the missing address');
  const { text, etag } = await feed(gateway);
  assert.deepEqual(JSON.parse(text), {
    items: [
      { address: gone, pool: 'main', healthy: false, fault: 'missing' },
      { address: egressAddress, pool: 'main', healthy: true, fault: null },
      { address: gone, pool: 'partners', healthy: false, fault: 'missing' },
    ],
    next_cursor: null,
  });
  assert.equal((await feed(gateway, { 'if-none-match': etag })).status, 304);
  const plain = await feed(gateway, { accept: 'text/plain' });
  assert.equal(plain.text, `${gone}\n${egressAddress}\n`);
  const again = { accept: 'text/plain', 'if-none-match': plain.etag };
  assert.equal((await feed(gateway, again)).status, 304);
});
