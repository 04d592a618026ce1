// Several posture sources behind a running gateway: Microsoft Graph first, an inventory after it.

import assert from 'node:assert/strict';
import { after, afterEach, before, type TestContext, test } from 'node:test';
import { json } from '../support/answering.ts';
import { type Connected, clock, startGateway } from '../support/gateway.ts';
import {
  GRAPH,
  type GraphDevice,
  managedDevice,
  type StandInGraph,
  standInGraph,
} from '../support/stand-in-graph.ts';
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

const reasonOf = ({ reply }: Connected) => (JSON.parse(reply.body) as { reason: string }).reason;

const good = (change: GraphDevice = {}): GraphDevice =>
  managedDevice(0, {
    serialNumber: 'DEVICE-GOOD',
    jailBroken: 'False',
    lastSyncDateTime: new Date().toISOString(),
    ...change,
  });

async function setUp(
  t: TestContext,
  devices: readonly GraphDevice[],
  whileDown: 'refuse' | 'next' = 'refuse',
) {
  const graph: StandInGraph = await standInGraph(t, devices);
  const intune = {
    kind: 'intune',
    ...GRAPH,
    identifier: 'serialNumber',
    url: graph.url,
    login: graph.url,
    whileDown,
  };
  const list = { kind: 'inventory', name: 'list', file: 'devices.yaml' };
  const posture = { source: null, sources: [intune, list] };
  const gateway = await startGateway({ settings: { posture } });
  return { graph, gateway };
}

const down = (graph: StandInGraph) =>
  graph.lie((_, response) => {
    json(response, { error: { code: 'serviceNotAvailable' } }, 503);
    return true;
  });

test('the first source that knows a device speaks for it', async (t) => {
  const { graph, gateway } = await setUp(t, [good({ complianceState: 'noncompliant' })]);
  await using _ = gateway;
  const refused = await gateway.connect(gateway.device('good'), target);
  assert.equal(reasonOf(refused), 'posture.non_compliant');
  // Graph has never heard of this one: the inventory knows it.
  const other = await gateway.connect(gateway.device('other'), target);
  assert.equal(other.reply.status, 200);
  graph.set([good()]);
  clock.ahead = 120_000;
  const tunnel = await gateway.connect(gateway.device('good'), target);
  assert.equal(tunnel.reply.status, 200);
  for (const wire of [tunnel, other]) wire.socket.destroy();
});

test('a first source that is silent has the second say nothing, and the metrics name it', async (t) => {
  const { graph, gateway } = await setUp(t, []);
  await using _ = gateway;
  down(graph);
  const refused = await gateway.connect(gateway.device('good'), target);
  assert.equal(refused.reply.status, 503);
  assert.equal(reasonOf(refused), 'posture.unavailable');
  assert.equal(await gateway.metric('zonegate_posture_source_up{source="intune"}'), 0);
  assert.equal(await gateway.metric('zonegate_posture_source_up{source="list"}'), 1);
});

test('with `whileDown: next` the second speaks, but not for what the first was the last to know', async (t) => {
  const { graph, gateway } = await setUp(t, [good({ complianceState: 'noncompliant' })], 'next');
  await using _ = gateway;
  const refused = await gateway.connect(gateway.device('good'), target);
  assert.equal(reasonOf(refused), 'posture.non_compliant');
  down(graph);
  clock.ahead = 120_000;
  const still = await gateway.connect(gateway.device('good'), target);
  assert.equal(still.reply.status, 403);
  assert.equal(reasonOf(still), 'posture.non_compliant');
  const other = await gateway.connect(gateway.device('other'), target);
  assert.equal(other.reply.status, 200);
  other.socket.destroy();
});
