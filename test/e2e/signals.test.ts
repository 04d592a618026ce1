// Security events from outside: what they do to open tunnels, in one process and in several (threats P10, P12).

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { serveWithWorkers } from '../support/crew.ts';
import { startGateway } from '../support/gateway.ts';
import {
  type Claims,
  claimsOf,
  complianceChange,
  makeKey,
  push,
  sessionRevoked,
  sign,
  signalWords,
} from '../support/signals.ts';
import { startEcho, type TcpServer } from '../support/upstream.ts';

const stack = new AsyncDisposableStack();
const key = await makeKey('k1');
const other = await makeKey('k2');
let echo: TcpServer;
let target: string;

before(async () => {
  echo = stack.use(await startEcho());
  target = `up.lab.test:${echo.port}`;
});
after(() => stack.disposeAsync());

const event = (change: Claims, signer = key) => sign(signer, claimsOf(Date.now(), change));
const aboutUser = {
  sub_id: { format: 'email', email: 'ANN' },
  events: sessionRevoked,
};
const opaqueAndEmail = { subjects: [{ format: 'opaque' }, { format: 'email', names: 'user' }] };

test('a device whose UEM agrees that it is not compliant is cut, and refused from then on', async () => {
  await using gateway = await startGateway({ posture: 'uem', ...signalWords(key) });
  const [good, bystander] = [gateway.device('good'), gateway.device('other')];
  const tunnel = await gateway.connect(good, target);
  const kept = await gateway.connect(bystander, target);
  // The UEM has no event recipient here: only the signal tells.
  await gateway.uem.setDevice(good.udid, { compliance: 'NonCompliant' });
  assert.equal(await push(gateway.adminPort, await event({})), 202);
  await tunnel.rest();
  const { reply } = await gateway.connect(good, target);
  assert.equal((JSON.parse(reply.body) as { reason: string }).reason, 'posture.non_compliant');
  kept.write('still here');
  assert.equal(await kept.bytes(10), 'still here');
  const series = 'zonegate_signal_events_total{signal="sender",outcome="refresh"}';
  assert.equal(await gateway.metric(series), 1);
});

test('a device whose UEM does not agree keeps its tunnel (P12)', async () => {
  await using gateway = await startGateway({ posture: 'uem', ...signalWords(key) });
  const tunnel = await gateway.connect(gateway.device('good'), target);
  for (const status of ['not-compliant', 'compliant'])
    assert.equal(
      await push(gateway.adminPort, await event({ events: complianceChange(status) })),
      202,
    );
  tunnel.write('still here');
  assert.equal(await tunnel.bytes(10), 'still here');
});

test('while the UEM is silent, a device said not to be compliant gets no grace', async () => {
  await using gateway = await startGateway({ posture: 'uem', ...signalWords(key) });
  const good = gateway.device('good');
  const tunnel = await gateway.connect(good, target);
  gateway.uem.setFault('500');
  assert.equal(await push(gateway.adminPort, await event({})), 202);
  await tunnel.rest();
  const { reply } = await gateway.connect(good, target);
  assert.equal((JSON.parse(reply.body) as { reason: string }).reason, 'posture.unavailable');
});

test('`whenSilent: grace` leaves the grace', async () => {
  const words = signalWords(key, { whenSilent: 'grace' });
  await using gateway = await startGateway({ posture: 'uem', ...words });
  const tunnel = await gateway.connect(gateway.device('good'), target);
  gateway.uem.setFault('500');
  assert.equal(await push(gateway.adminPort, await event({})), 202);
  await gateway.line(({ msg }) => msg === 'a security event says that compliance changed', 'it');
  tunnel.write('still here');
  assert.equal(await tunnel.bytes(10), 'still here');
});

test('a revoked session ends the tunnels of the device on every worker, and it may come again', async () => {
  const { settings, files } = signalWords(key);
  await using crew = await serveWithWorkers({ target, settings, words: { files } });
  const tunnels = await crew.connectToBoth();
  const bystander = await crew.connect(crew.made.device('other'));
  assert.equal(await push(crew.adminPort, await event({ events: sessionRevoked })), 202);
  await Promise.all([...tunnels.values()].map((tunnel) => tunnel.rest()));
  bystander.write('still here');
  assert.equal(await bystander.bytes(10), 'still here');
  assert.equal((await crew.connect()).reply.status, 200);
});

test('a revoked session of a user ends the tunnels of all devices the UEM knows as theirs', async () => {
  const { settings, files } = signalWords(key, opaqueAndEmail);
  const devices = { berts: { uem: { user: 'bert' } } };
  await using crew = await serveWithWorkers({ target, settings, words: { files, devices } });
  const good = await crew.connect();
  const berts = await crew.connect(crew.made.device('berts'));
  const others = await crew.connect(crew.made.device('other'));
  assert.equal(await push(crew.adminPort, await event(aboutUser)), 202);
  await Promise.all([good.rest(), others.rest()]);
  berts.write('still here');
  assert.equal(await berts.bytes(10), 'still here');
});

test('with `blockFor`, the device is blocked on every worker, and its tunnels are cut', async () => {
  const { settings, files } = signalWords(key, { blockFor: '1h' });
  await using crew = await serveWithWorkers({ target, settings, words: { files } });
  const tunnels = await crew.connectToBoth();
  assert.equal(await push(crew.adminPort, await event({ events: sessionRevoked })), 202);
  await Promise.all([...tunnels.values()].map((tunnel) => tunnel.rest()));
  for (let i = 0; i < 2; i += 1) {
    const { reply } = await crew.connect();
    assert.equal((JSON.parse(reply.body) as { reason: string }).reason, 'posture.blocked');
  }
});

test('with a user in the certificate, that counts too', async () => {
  const { settings, files } = signalWords(key, opaqueAndEmail);
  const identity = { user: { subject: 'CN' } };
  await using gateway = await startGateway({ files, settings: { ...settings, identity } });
  const good = await gateway.connect(gateway.device('good'), target);
  const kept = await gateway.connect(gateway.device('other'), target);
  const sub_id = { format: 'email', email: 'Good' };
  assert.equal(await push(gateway.adminPort, await event({ sub_id, events: sessionRevoked })), 202);
  await good.rest();
  kept.write('still here');
  assert.equal(await kept.bytes(10), 'still here');
});

test('a changed key file is in force without a restart', async () => {
  await using gateway = await startGateway(signalWords(key));
  assert.equal(await push(gateway.adminPort, await event({}, other)), 400);
  const keys = JSON.stringify({ keys: [other.publicJwk] });
  assert.equal((await gateway.edit({ 'sender-keys.json': keys })).ok, true);
  assert.equal(await push(gateway.adminPort, await event({}, other)), 202);
  assert.equal(await push(gateway.adminPort, await event({})), 400);
});
