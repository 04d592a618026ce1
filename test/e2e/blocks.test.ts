// A device blocked by hand: refused and cut at once, on every worker, until somebody or time ends it.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { within } from '../support/client.ts';
import { serveWithWorkers } from '../support/crew.ts';
import { type Connected, clock, type RunningGateway, startGateway } from '../support/gateway.ts';
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

async function stillWorks(wire: Connected): Promise<void> {
  wire.write('still here');
  assert.equal(await wire.bytes(10), 'still here');
}

const pathOf = (udid: string) => `/api/v1/devices/${udid}/block`;
const bodyOf = ({ text }: { readonly text: string }) => JSON.parse(text) as Record<string, unknown>;
const answerOf = ({ reply }: Connected) => JSON.parse(reply.body) as Record<string, unknown>;

async function block(gateway: RunningGateway, udid: string, more: object = {}) {
  const answer = await gateway.api('POST', pathOf(udid), {
    reason: 'left in a taxi',
    by: 'sam',
    ...more,
  });
  assert.equal(answer.status, 200, answer.text);
  return bodyOf(answer);
}

test('a block cuts the tunnels of its device, refuses it, and nobody else; unblocking lets it in', async () => {
  await using gateway = await startGateway();
  const [good, other] = [gateway.device('good'), gateway.device('other')];
  const lost = [await gateway.connect(good, target), await gateway.connect(good, target)];
  const kept = await gateway.connect(other, target);
  const row = await block(gateway, good.udid.toUpperCase());
  assert.deepEqual([row['passes'], row['reason']], [false, 'posture.blocked']);
  await Promise.all(lost.map((wire) => wire.rest()));
  assert.equal(await gateway.metric('zonegate_tunnels_cut_total{reason="posture.blocked"}'), 2);
  assert.equal(await gateway.metric('zonegate_devices_blocked'), 1);

  const refused = await gateway.connect(good, target);
  assert.equal(refused.reply.status, 403);
  const { reason, detail } = answerOf(refused);
  assert.equal(reason, 'posture.blocked');
  // The person reads the sentence of the table; why it was blocked is the operators' business.
  assert.equal(detail, `${String(row['sentence'])} ${String(row['fix'])}`);
  assert.doesNotMatch(refused.reply.body, /taxi|sam/);
  await stillWorks(kept);

  const lifted = await gateway.api('DELETE', pathOf(good.udid));
  assert.deepEqual([lifted.status, bodyOf(lifted)['block']], [200, null]);
  const again = await gateway.connect(good, target);
  await stillWorks(again);
  assert.equal((await gateway.api('DELETE', pathOf(good.udid))).status, 404);
  for (const wire of [kept, again]) wire.socket.destroy();
});

test('who blocked, why, until when and who lifted it is in the log', async () => {
  await using gateway = await startGateway();
  const { udid } = gateway.device('good');
  await block(gateway, udid, { until: '2099-01-01T00:00:00Z' });
  const line = await gateway.line((one) => one['event.name'] === 'zonegate.block', 'the block');
  assert.deepEqual(
    [line['device.id'], line['zonegate.by'], line['zonegate.block.reason']],
    [udid, 'sam', 'left in a taxi'],
  );
  assert.equal(line['zonegate.block.until'], '2099-01-01T00:00:00.000Z');
});

test('/whoami tells a blocked device that it is, since when and until when, and not why', async () => {
  await using gateway = await startGateway();
  const good = gateway.device('good');
  await block(gateway, good.udid, { until: '2099-01-01T00:00:00Z' });
  const wire = await gateway.open(good);
  wire.write('GET /whoami HTTP/1.1\r\nHost: gw.test\r\n\r\n');
  const head = await wire.head();
  const body = await wire.bytes(Number(head.fields.get('content-length')));
  const told = JSON.parse(body) as {
    reason: string;
    posture: { reason: string };
    blocked: { until: string };
  };
  assert.equal(told.posture.reason, 'posture.blocked');
  assert.equal(told.blocked.until, '2099-01-01T00:00:00.000Z');
  assert.doesNotMatch(body, /taxi/);
  wire.socket.destroy();
});

test('a block ends by time alone, without any traffic', async () => {
  await using gateway = await startGateway();
  const good = gateway.device('good');
  const until = new Date(Date.now() + 300).toISOString();
  await block(gateway, good.udid, { until });
  await gateway.line((one) => one['msg'] === 'block has ended', 'its end');
  assert.equal(await gateway.metric('zonegate_devices_blocked'), 0);
  const wire = await gateway.connect(good, target);
  await stillWorks(wire);
  wire.socket.destroy();
});

test('a blocked device causes no questions to the UEM', async () => {
  await using gateway = await startGateway({ posture: 'uem' });
  const good = gateway.device('good');
  await block(gateway, good.udid);
  const before = gateway.uem.requests.length;
  for (let i = 0; i < 3; i += 1) {
    assert.equal(answerOf(await gateway.connect(good, target))['reason'], 'posture.blocked');
  }
  assert.equal(gateway.uem.requests.length, before);
});

const noBlocks: readonly (readonly [what: string, body: object])[] = [
  ['no reason', {}],
  ['an empty reason', { reason: ' ' }],
  ['a reason on two lines', { reason: 'a\nb' }],
  ['an end in the past', { reason: 'lost', until: '2020-01-01T00:00:00Z' }],
  ['an end that is no moment', { reason: 'lost', until: 'tomorrow' }],
  ['an end without a zone', { reason: 'lost', until: '2099-01-01T00:00:00' }],
  ['an unknown key', { reason: 'lost', untill: null }],
  ['a list', []],
];

test('what is no block is refused whole, and says what is wrong', async () => {
  await using gateway = await startGateway();
  const { udid } = gateway.device('good');
  for (const [what, body] of noBlocks) {
    const answer = await gateway.api('POST', pathOf(udid), body);
    assert.equal(answer.status, 422, `${what}: ${answer.text}`);
    assert.ok(Array.isArray(bodyOf(answer)['errors']), what);
  }
  assert.equal((await gateway.api('POST', pathOf(udid))).status, 400);
  assert.equal(await gateway.metric('zonegate_devices_blocked'), 0);
});

test('a device that never came here can be blocked', async () => {
  await using gateway = await startGateway();
  const row = await block(gateway, 'never-seen-here');
  assert.deepEqual([row['device_id'], row['compliance']], ['never-seen-here', null]);
  assert.equal((await gateway.api('GET', '/api/v1/devices/nobody-knows-it')).status, 404);
  assert.equal((await gateway.api('GET', '/api/v1/devices/..%2fetc')).status, 404);
});

test('a block reaches every worker at once, and one that starts later', async () => {
  await using crew = await serveWithWorkers({ target });
  const tunnels = await crew.connectToBoth();
  const { status } = await crew.api('POST', pathOf(crew.good.udid), { reason: 'stolen' });
  assert.equal(status, 200);
  for (const tunnel of tunnels.values()) await within(tunnel.rest(), 'the cut');
  assert.equal(answerOf(await crew.connect())['reason'], 'posture.blocked');
  const pid = crew.pidOf(1);
  process.kill(pid, 'SIGKILL');
  await crew.shows(/"msg":"worker ended"/);
  await crew.shows(/"zonegate.worker":3.*"msg":"worker serves"/);
  for (let i = 0; i < 4; i += 1) {
    assert.equal(answerOf(await crew.connect())['reason'], 'posture.blocked');
  }
});
