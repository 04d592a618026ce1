// Revocation and resumed TLS sessions: what was good at the first handshake is judged again at every request.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createAuthority } from '../../runtime/authority.ts';
import { type DeviceKeys, openTls } from '../support/client.ts';
import { clock, connectOver, type RunningGateway, startGateway } from '../support/gateway.ts';
import type { Device } from '../support/gateway-folder.ts';
import { startEcho, type TcpServer } from '../support/upstream.ts';

const stack = new AsyncDisposableStack();
let echo: TcpServer;
let target: string;

before(async () => {
  echo = stack.use(await startEcho());
  target = `up.lab.test:${echo.port}`;
});
after(() => stack.disposeAsync());

const versions = ['TLSv1.2', 'TLSv1.3'] as const;
type Version = (typeof versions)[number];

/** What resumes a session that has carried a tunnel, or been refused one. */
async function ticketOf(gateway: RunningGateway, keys: DeviceKeys | null, version: Version) {
  const wire = await openTls({ ...gateway.tls(keys), version });
  const { reply } = await connectOver(wire, target);
  const ticket = await wire.ticket();
  wire.socket.destroy();
  return { status: reply.status, ticket };
}

/** Asks again over a session; the log says whether the gateway resumed it. */
async function resume(
  gateway: RunningGateway,
  keys: DeviceKeys | null,
  session: Buffer,
  version: Version,
) {
  const linesBefore = gateway.logged.length;
  const wire = await openTls({ ...gateway.tls(keys), version, session });
  const { reply } = await connectOver(wire, target);
  wire.socket.destroy();
  const line = gateway.logged
    .slice(linesBefore)
    .find((one) => one['event.name'] === 'zonegate.admit');
  return {
    resumed: line?.['tls.client.resumed'],
    status: reply.status,
    reason: line?.['zonegate.reason'] ?? null,
  };
}

const revoke = async (gateway: RunningGateway, devices: readonly Device[]) =>
  await gateway.edit({ 'device-ca.crl': await gateway.revocationList(devices) });

for (const version of versions) {
  test(`a ${version} session is resumed, and refused once its device is not compliant (T11)`, async () => {
    await using gateway = await startGateway({ posture: 'uem' });
    const good = gateway.device('good');
    const { status, ticket } = await ticketOf(gateway, good, version);
    assert.equal(status, 200);
    const resumed = await resume(gateway, good, ticket, version);
    assert.deepEqual(resumed, { resumed: true, status: 200, reason: null });
    await gateway.uem.setDevice(good.udid, { compliance: 'NonCompliant' });
    await gateway.gateway.posture.refresh(good.udid);
    const reason = 'posture.non_compliant';
    const again = await resume(gateway, good, ticket, version);
    assert.deepEqual(again, { resumed: true, status: 403, reason });
  });

  test(`a ${version} session does not outlive the certificate being revoked (T11)`, async () => {
    await using gateway = await startGateway();
    const good = gateway.device('good');
    const { ticket } = await ticketOf(gateway, good, version);
    assert.equal((await revoke(gateway, [good])).ok, true);
    // The ticket is still good: a new list changes no key of the listener.
    const again = await resume(gateway, good, ticket, version);
    assert.deepEqual(again, { resumed: true, status: 403, reason: 'identity.revoked' });
  });

  test(`a ${version} session does not outlive the revocation list (T07)`, async (context) => {
    await using gateway = await startGateway();
    const good = gateway.device('good');
    const { ticket } = await ticketOf(gateway, good, version);
    context.after(() => {
      clock.ahead = 0;
    });
    clock.ahead = 2 * 3_600_000;
    const reason = 'identity.revocation_unknown';
    const again = await resume(gateway, good, ticket, version);
    assert.deepEqual(again, { resumed: true, status: 403, reason });
  });

  test(`a ${version} session begun without a certificate is never authorised (T12)`, async () => {
    await using gateway = await startGateway();
    const { status, ticket } = await ticketOf(gateway, null, version);
    assert.equal(status, 403);
    const reason = 'identity.no_certificate';
    // With the certificate of a good device at hand, which a resumed session does not ask for.
    for (const keys of [null, gateway.device('good')]) {
      const again = await resume(gateway, keys, ticket, version);
      assert.deepEqual(again, { resumed: true, status: 403, reason });
    }
  });
}

test('a new revocation list cuts the live tunnels of the devices it names, and no others (T07)', async () => {
  await using gateway = await startGateway();
  const [good, other] = [gateway.device('good'), gateway.device('other')];
  const lost = await gateway.connect(other, target);
  const kept = await gateway.connect(good, target);
  assert.equal((await revoke(gateway, [other])).ok, true);
  await lost.rest();
  const ended = await gateway.line((line) => line['zonegate.end'] === 'cut', 'the cut tunnel');
  assert.equal(ended['zonegate.reason'], 'identity.revoked');
  assert.equal(await gateway.metric('zonegate_tunnels_cut_total{reason="identity.revoked"}'), 1);
  kept.write('still here');
  assert.equal(await kept.bytes(10), 'still here');
  assert.equal((await gateway.connect(other, target)).reply.status, 403);
  kept.socket.destroy();
});

test('a list taken back lets the device in again', async () => {
  await using gateway = await startGateway();
  const good = gateway.device('good');
  await revoke(gateway, [good]);
  assert.equal((await gateway.connect(good, target)).reply.status, 403);
  await revoke(gateway, []);
  const again = await gateway.connect(good, target);
  assert.equal(again.reply.status, 200);
  again.socket.destroy();
});

const hour = 3_600_000;

async function listBy(name: string): Promise<string> {
  const authority = await createAuthority({ name, days: 1 });
  const thisUpdate = Date.now();
  const nextUpdate = thisUpdate + hour;
  return await authority.revocationList({ revoked: [], thisUpdate, nextUpdate, number: 9 });
}

const forgeries = {
  'signed by another authority of the same name': () => listBy('Test device CA'),
  'of an authority that is not configured': () => listBy('Somebody'),
  'of garbage': () => Promise.resolve('not a list\n'),
};

for (const [what, forge] of Object.entries(forgeries)) {
  test(`a revocation list ${what} is not adopted, and the old one stays (T07)`, async () => {
    await using gateway = await startGateway();
    const [good, other] = [gateway.device('good'), gateway.device('other')];
    await revoke(gateway, [other]);
    const outcome = await gateway.edit({ 'device-ca.crl': await forge() });
    assert.ok(!outcome.ok);
    assert.ok(outcome.issues[0]?.message.startsWith('`device-ca.crl`: '));
    assert.equal((await gateway.api('GET', '/readyz')).status, 503);
    assert.equal((await gateway.connect(other, target)).reply.status, 403);
    const served = await gateway.connect(good, target);
    assert.equal(served.reply.status, 200);
    served.socket.destroy();
  });
}

test('when the revocation list runs out nobody is served, and live tunnels end at the next check (T07)', async (context) => {
  await using gateway = await startGateway({ settings: { posture: { recheck: '100ms' } } });
  const good = gateway.device('good');
  const live = await gateway.connect(good, target);
  context.after(() => {
    clock.ahead = 0;
  });
  clock.ahead = 2 * hour;
  const refused = await gateway.connect(good, target);
  assert.equal(refused.reply.status, 403);
  assert.equal(
    (JSON.parse(refused.reply.body) as { reason: string }).reason,
    'identity.revocation_unknown',
  );
  await live.rest();
  const ended = await gateway.line((line) => line['zonegate.end'] === 'cut', 'the cut tunnel');
  assert.equal(ended['zonegate.reason'], 'identity.revocation_unknown');
});
