// Several gateways on one PostgreSQL database: what one learns reaches all, and losing the database makes none less strict.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { within } from '../support/client.ts';
import type { Connected } from '../support/gateway.ts';
import { type GatewayFolder, makeGatewayFolder } from '../support/gateway-folder.ts';
import { createTestDatabase, postgres, type TestDatabase } from '../support/postgres.ts';
import { reasonOf, type Served, serveFolder } from '../support/served.ts';
import { startEcho, type TcpServer } from '../support/upstream.ts';

const stack = new AsyncDisposableStack();
const there = await postgres();
let echo: TcpServer;
let target: string;

before(async () => {
  echo = stack.use(await startEcho());
  target = `up.lab.test:${echo.port}`;
});
after(() => stack.disposeAsync());

interface Pair extends AsyncDisposable {
  readonly made: GatewayFolder;
  readonly database: TestDatabase;
  readonly gateways: readonly [Served, Served];
}

async function startPair(settings: object = {}): Promise<Pair> {
  await using made = new AsyncDisposableStack();
  const database = made.use(await createTestDatabase());
  const folder = made.use(
    await makeGatewayFolder({ posture: 'uem', settings: { state: database.url, ...settings } }),
  );
  const [a, b] = [made.use(await serveFolder(folder)), made.use(await serveFolder(folder))];
  const owned = made.move();
  return {
    made: folder,
    database,
    gateways: [a, b],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function stillWorks(wire: Connected): Promise<void> {
  wire.write('still here');
  assert.equal(await wire.bytes(10), 'still here');
}

test('an event that reached one gateway, and a block made at one, cut at both', there, async () => {
  await using pair = await startPair();
  const { made, gateways } = pair;
  const [a, b] = gateways;
  const [good, other] = [made.device('good'), made.device('other')];
  const lost = [await a.connect(good, target), await b.connect(good, target)];
  const kept = [await a.connect(other, target), await b.connect(other, target)];
  made.uem.setEventRecipient({
    url: `http://127.0.0.1:${a.adminPort}/webhooks/workspace-one/uem`,
    username: 'uem',
    password: 'webhook-password',
  });
  await made.uem.setDevice(good.udid, { compliance: 'NonCompliant' });
  for (const wire of lost) await within(wire.rest(), 'the cut by event');
  for (const wire of kept) await stillWorks(wire);
  assert.equal(reasonOf(await b.connect(good, target)), 'posture.non_compliant');

  await b.api('POST', `/devices/${other.udid}/block`, { reason: 'lost', by: 'sam' });
  for (const wire of kept) await within(wire.rest(), 'the cut by block');
  assert.equal(reasonOf(await a.connect(other, target)), 'posture.blocked');
  await a.api('DELETE', `/devices/${other.udid}/block`);
  await b.until(
    async () => reasonOf(await b.connect(other, target)) === 'let through',
    'the end of the block arrives',
  );
});

test(
  'in an outage a device that only the other gateway had met has its grace here, too',
  there,
  async () => {
    await using pair = await startPair();
    const { made, gateways } = pair;
    const [a, b] = gateways;
    const good = made.device('good');
    assert.equal(reasonOf(await a.connect(good, target)), 'let through');
    await a.api('GET', '/devices');
    made.uem.setFault('down');
    await b.until(
      async () => reasonOf(await b.connect(good, target)) === 'let through',
      'the report arrives',
    );
  },
);

test(
  'without the database nobody is less strict, and afterwards everything is caught up',
  there,
  async () => {
    await using pair = await startPair();
    const { made, database, gateways } = pair;
    const [a, b] = gateways;
    const [good, other] = [made.device('good'), made.device('other')];
    await a.api('POST', `/devices/${other.udid}/block`, { reason: 'lost' });
    await b.until(
      async () => (await b.metric('zonegate_devices_blocked')) === 1,
      'the block arrives',
    );
    const tunnel = await b.connect(good, target);
    await database.down();
    for (const one of gateways) {
      await one.until(
        async () => (await one.metric('zonegate_state_up')) === 0,
        'the loss is noticed',
      );
      assert.equal(reasonOf(await one.connect(other, target)), 'posture.blocked');
    }
    await stillWorks(tunnel);
    for (const path of ['/devices', '/devices/never-met']) {
      assert.match(JSON.stringify(await a.api('GET', path, undefined, 503)), /state `postgres:/);
    }
    // In force here at once, not yet safe, and said so.
    const problem = await a.api('POST', `/devices/${good.udid}/block`, { reason: 'lost' }, 503);
    assert.doesNotMatch(JSON.stringify(problem), /postgres@/);
    assert.equal(reasonOf(await a.connect(good, target)), 'posture.blocked');
    // What cannot be written cannot be lifted.
    await a.api('DELETE', `/devices/${other.udid}/block`, undefined, 503);
    assert.equal(reasonOf(await a.connect(other, target)), 'posture.blocked');
    await database.up();
    await within(tunnel.rest(), 'the block that could not be written', 30_000);
    for (const one of gateways) {
      await one.until(
        async () => (await one.metric('zonegate_state_up')) === 1,
        'all is well again',
      );
    }
    const rows = await database.query('select device_id from zonegate_blocks order by device_id');
    assert.deepEqual(rows, [{ device_id: good.udid }, { device_id: other.udid }]);
  },
);

test(
  'what no page gave for a cursor, and no source is named, is refused before PostgreSQL is asked',
  there,
  async () => {
    await using pair = await startPair();
    const [a] = pair.gateways;
    await a.connect(pair.made.device('good'), target);
    const forged = ['a\0b', "x' or '1'='1", 'ab\ud800', '%00', '', 'DEVICE-GOOD', 'x'.repeat(4000)];
    for (const text of forged) {
      const cursor = Buffer.from(text).toString('base64url');
      await a.api('GET', `/devices?cursor=${cursor}`, undefined, 400);
    }
    await a.api('GET', '/devices?source=%00', undefined, 400);
    await a.api('GET', '/devices?cursor=*', undefined, 400);
    const none = await a.api('GET', `/devices?source=${encodeURIComponent("uem' or '1'='1")}`);
    assert.deepEqual(none['items'], []);
  },
);
