// Jamf Pro as the source of a gateway: its smart group decides, and its webhook reaches open tunnels (P10, P12).

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { request } from 'undici';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { type JamfDevice, macBook, type StandInJamf, startJamf } from '../support/jamf.ts';
import { startEcho, type TcpServer } from '../support/upstream.ts';

const stack = new AsyncDisposableStack();
const mac: JamfDevice = { ...macBook, udid: 'device-good' };
const phone: JamfDevice = { ...mac, kind: 'mobile', udid: 'device-other', serial: 'F2L' };
const token = 'webhook-token-of-jamf';
let echo: TcpServer;

before(async () => {
  echo = stack.use(await startEcho());
});
after(() => stack.disposeAsync());

function start(jamf: StandInJamf): Promise<RunningGateway> {
  const source = {
    kind: 'jamf',
    url: jamf.url,
    clientId: 'zonegate',
    clientSecret: 'jamf-secret',
    compliantGroup: 'Compliant',
    webhook: { token },
  };
  const admit = { compromise: ['intact', 'unknown'] };
  const posture = { source: undefined, sources: [source], webhook: undefined, admit };
  return startGateway({ settings: { posture } });
}

async function tell(gateway: RunningGateway, event: object, authorization = `Bearer ${token}`) {
  const url = `http://127.0.0.1:${gateway.adminPort}/webhooks/jamf/jamf`;
  const headers = { 'content-type': 'application/json', authorization };
  const { statusCode, body } = await request(url, {
    method: 'POST',
    headers,
    body: JSON.stringify(event),
  });
  await body.dump();
  return statusCode;
}

const left = (webhookEvent: string) => ({
  webhook: { id: 3, name: 'zonegate', webhookEvent, eventTimestamp: Date.now() },
  event: {
    name: 'Compliant',
    smartGroup: true,
    groupAddedDevicesIds: [],
    groupRemovedDevicesIds: [52],
  },
});

test('a device that leaves the smart group loses its tunnels by the webhook, and nobody else does', async () => {
  await using jamf = await startJamf([mac, phone]);
  await using gateway = await start(jamf);
  const target = `up.lab.test:${echo.port}`;
  const tunnel = await gateway.connect(gateway.device('good'), target);
  const kept = await gateway.connect(gateway.device('other'), target);
  // A stranger's word, and a word that Jamf Pro itself does not confirm, do nothing.
  const event = left('SmartGroupComputerMembershipChange');
  assert.equal(await tell(gateway, event, 'Bearer wrong'), 401);
  assert.equal(await tell(gateway, event), 200);
  tunnel.write('still here');
  assert.equal(await tunnel.bytes(10), 'still here');
  jamf.set([{ ...mac, smart: [] }, phone]);
  assert.equal(
    await tell(gateway, { ...event, webhook: { ...event.webhook, eventTimestamp: 1 } }),
    200,
  );
  await tunnel.rest();
  const { reply } = await gateway.connect(gateway.device('good'), target);
  assert.equal((JSON.parse(reply.body) as { reason: string }).reason, 'posture.non_compliant');
  kept.write('still here');
  assert.equal(await kept.bytes(10), 'still here');
});

test('a device of neither inventory, and any while Jamf Pro is down, are refused', async () => {
  await using jamf = await startJamf([mac]);
  await using gateway = await start(jamf);
  const reasonFor = async (device: string) => {
    const { reply } = await gateway.connect(gateway.device(device), `up.lab.test:${echo.port}`);
    return (JSON.parse(reply.body) as { reason: string }).reason;
  };
  assert.equal(await reasonFor('other'), 'posture.unknown_device');
  jamf.setFault('500');
  assert.equal(await reasonFor('good'), 'posture.unavailable');
});
