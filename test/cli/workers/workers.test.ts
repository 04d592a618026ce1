// The primary's care for its workers: all there, all in step, and replaced when they end.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Outcome } from '../../../cli/workers/calls.ts';
import type { Carrier } from '../../../cli/workers/device-side.ts';
import { createWorkers, pauseAfter } from '../../../cli/workers/workers.ts';
import { type BlockList, createBlockList } from '../../../gateway/block-list.ts';
import type { Loaded } from '../../../gateway/config/load.ts';
import type { EgressState } from '../../../gateway/edge/egress-health.ts';
import type { EgressBoard } from '../../../gateway/egress-board.ts';
import { createPostureCache, type PostureCache } from '../../../gateway/posture/cache.ts';
import { createLog } from '../../../runtime/log.ts';
import { createMetrics } from '../../../runtime/metrics.ts';
import { createReadiness, type Readiness } from '../../../runtime/readiness.ts';
import { createFakeSource, healthyReport, UDID } from '../../gateway/posture/fake-source.ts';
import { createFork, type Follow, type Fork, served } from './crew.ts';

interface Primary {
  readonly fork: Fork;
  readonly readiness: Readiness;
  readonly posture: PostureCache;
  readonly blocks: BlockList;
  /** What its board of egress addresses was told. */
  readonly told: readonly string[];
  readonly logged: readonly string[];
  readonly restarts: () => Promise<number>;
  readonly hangs: () => Promise<number>;
  readonly start: () => Promise<Carrier>;
}

// All that is looked at of it here is its version.
const loadedAs = (version: string) => ({ policy: { version } }) as Loaded;

function primary(t: TestContext, follow: Follow, hangMs = 10_000): Primary {
  const fork = createFork(follow);
  const readiness = createReadiness();
  const metrics = createMetrics();
  const logged: string[] = [];
  const stream = { write: (line: string) => void logged.push(line) };
  const posture = createPostureCache({
    source: createFakeSource((deviceId) => healthyReport({ deviceId })),
    maxAgeMs: 0,
    negativeMs: 0,
    maxDevices: 10,
    deadlineMs: 1000,
    recheckMs: 60_000,
    now: () => 0,
  });
  const blocks = createBlockList();
  const told: string[] = [];
  const board: EgressBoard = {
    report: (from, states) => void told.push(`${from}: ${states.map(stateText).join(', ')}`),
    forget: (from) => void told.push(`${from} is gone`),
    faultOf: () => null,
    refresh: () => undefined,
  };
  const counters = {
    restarts: metrics.counter('zonegate_worker_restarts_total', 'Restarts.'),
    hangs: metrics.counter('zonegate_worker_hangs_total', 'Hangs.'),
  };
  const count = async (name: string) => {
    const line = new RegExp(`^zonegate_worker_${name}_total (\\d+)$`, 'm').exec(
      await metrics.text(),
    );
    return Number(line?.[1]);
  };
  t.after(() => posture.close());
  return {
    fork,
    readiness,
    posture,
    blocks,
    logged,
    told,
    restarts: () => count('restarts'),
    hangs: () => count('hangs'),
    async start() {
      const carrier = await createWorkers({
        count: 2,
        file: 'zonegate.yaml',
        loaded: loadedAs('v1'),
        posture,
        blocks,
        log: createLog({ level: 'debug', secrets: [], stream }),
        metrics,
        readiness,
        counters,
        board,
        fork,
        hangMs,
      });
      t.after(() => carrier.close());
      return carrier;
    },
  };
}

const stateText = ({ address, fault }: EgressState) => `${address} ${fault}`;

const workersCheck = ({ readiness }: Primary) => readiness.report().checks['workers'];

/** Turns of the event loop until it holds. */
async function eventually(holds: () => boolean, what: string): Promise<void> {
  for (const until = Date.now() + 5000; Date.now() < until; ) {
    if (holds()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.fail(`never: ${what}`);
}

test('it has started when every worker serves by the version the primary has checked', async (t) => {
  const second = Promise.withResolvers<Outcome>();
  const one = primary(t, (order, id) => (id === 2 ? second.promise : served(order, id)));
  const starting = one.start();
  await eventually(() => workersCheck(one) === '1 of 2 workers serve', 'one serves');
  second.resolve(await served({} as never, 2));
  const carrier = await starting;
  assert.equal(carrier.port, 8443);
  assert.equal(workersCheck(one), 'ok');
  for (const { orders } of one.fork.workers) assert.equal(orders[0]?.version, 'v1');
});

test('a worker that cannot listen is a start that fails, with the fields of the system’s error', async (t) => {
  const error = { message: 'listen EADDRINUSE', code: 'EADDRINUSE', address: '::', port: 8443 };
  const one = primary(t, () => ({ kind: 'cannot_listen', error }));
  await assert.rejects(one.start(), { code: 'EADDRINUSE', address: '::', port: 8443 });
});

test('a reload has ended when all workers have followed', async (t) => {
  const one = primary(t, served);
  const carrier = await one.start();
  await carrier.replace(loadedAs('v2'));
  for (const { orders } of one.fork.workers) {
    assert.deepEqual(
      orders.map(({ version }) => version),
      ['v1', 'v2'],
    );
  }
});

test('sessions are resumed after a reload, unless certificates or authorities have changed', async (t) => {
  const one = primary(t, served);
  const carrier = await one.start();
  const [first, second] = one.fork.workers;
  const keysOf = (orders = first?.orders) => orders?.map(({ ticketKeys }) => ticketKeys) ?? [];
  await carrier.replace(loadedAs('v2'));
  const renewed = loadedAs('v3');
  await carrier.replace({ ...renewed, tls: { ...renewed.tls, certificate: 'another' } });
  const [at1, at2, at3] = keysOf();
  assert.equal(at1, at2);
  assert.notEqual(at2, at3);
  assert.deepEqual(keysOf(), keysOf(second?.orders));
});

test('a worker that is behind makes the gateway not ready, and is told again until it follows', async (t) => {
  let isBehind = true;
  const one = primary(t, (order, id) => {
    const lags = id === 2 && order.version === 'v2' && isBehind;
    return lags ? { kind: 'behind', why: 'it finds issues' } : served(order, id);
  });
  const carrier = await one.start();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  await carrier.replace(loadedAs('v2'));
  const why = 'a worker does not serve by the configuration in force: it finds issues';
  assert.equal(workersCheck(one), why);
  const told = () => one.fork.workers[1]?.orders.length;
  t.mock.timers.tick(200);
  await eventually(() => told() === 3, 'it is told again');
  await new Promise((resolve) => setImmediate(resolve));
  isBehind = false;
  await eventually(() => {
    t.mock.timers.tick(400);
    return workersCheck(one) === 'ok';
  }, 'it follows');
  t.mock.timers.reset();
});

test('a worker that ends is replaced, counted, and given the configuration in force', async (t) => {
  const one = primary(t, served);
  const carrier = await one.start();
  await carrier.replace(loadedAs('v2'));
  one.fork.workers[0]?.die('SIGKILL');
  await eventually(() => workersCheck(one) === '1 of 2 workers serve', 'one is missing');
  await eventually(() => workersCheck(one) === 'ok', 'both serve');
  assert.equal(one.fork.workers[2]?.orders[0]?.version, 'v2');
  assert.equal(await one.restarts(), 1);
  assert.ok(
    one.logged.some((line) => line.includes('"zonegate.end":"SIGKILL","msg":"worker ended"')),
  );
});

test('a worker that does nothing any more is ended, said, counted and replaced', async (t) => {
  const one = primary(t, served, 50);
  await one.start();
  one.fork.workers[0]?.hang();
  await eventually(() => one.fork.workers.length === 3, 'a third worker');
  await eventually(() => workersCheck(one) === 'ok', 'both serve');
  assert.equal(await one.hangs(), 1);
  assert.equal(await one.restarts(), 1);
  assert.ok(
    one.logged.some((line) => line.includes('"msg":"worker does not answer, it is ended"')),
  );
  assert.ok(one.logged.some((line) => line.includes('"zonegate.end":"SIGKILL"')));
});

test('workers hear what the others have of a limit, new ones too, and when they are gone', async (t) => {
  const one = primary(t, served);
  await one.start();
  const [first, second] = one.fork.workers;
  const count = (many: number) => ['tunnelsPerDevice', UDID, many] as const;
  first?.talk.tell('used', { counts: [count(3)], happened: [['rate', UDID, 2]] });
  const told = { counts: [count(3)], happened: [['rate', UDID, 2]] };
  await eventually(() => second?.heard.length === 1, 'the second hears');
  assert.deepEqual(second?.heard, [told]);
  assert.deepEqual(first?.heard, []);
  second?.die('SIGKILL');
  await eventually(() => one.fork.workers[2]?.heard.length === 1, 'the third hears');
  assert.deepEqual(one.fork.workers[2]?.heard, [{ counts: [count(3)], happened: [] }]);
  first?.die('SIGKILL');
  await eventually(() => one.fork.workers[2]?.heard.length === 2, 'the third hears again');
  assert.deepEqual(one.fork.workers[2]?.heard[1], { counts: [count(0)], happened: [] });
});

test('the pause before a replacement grows with every end in a row, up to ten seconds', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7, 8, 100].map(pauseAfter),
    [0, 250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000],
  );
});

test('a posture change in the primary is told to every worker', async (t) => {
  const one = primary(t, served);
  await one.start();
  await one.posture.facts(UDID);
  const { workers } = one.fork;
  await eventually(() => workers.every(({ changed }) => changed.includes(UDID)), 'both know');
});

test('a worker gets posture from the primary', async (t) => {
  const one = primary(t, served);
  await one.start();
  const facts = await one.fork.workers[0]?.talk.ask('facts', UDID, 1000);
  assert.deepEqual(facts, { report: healthyReport(), known: true });
});

test('while it drains and closes nobody is replaced', async (t) => {
  const one = primary(t, served);
  const carrier = await one.start();
  await carrier.drain(new AbortController().signal);
  one.fork.workers[0]?.die('SIGSEGV');
  await carrier.close();
  assert.equal(one.fork.workers.length, 2);
  assert.equal(await one.restarts(), 0);
});

test('tunnels are those of all workers that are there', async (t) => {
  const one = primary(t, served);
  const carrier = await one.start();
  assert.equal((await carrier.tunnels()).length, 2);
  one.fork.workers[0]?.die('SIGKILL');
  assert.ok((await carrier.tunnels()).length <= 2);
});

test('a worker that is only starting is not waited for when all is to stop', async (t) => {
  const never = new Promise<Outcome>(() => undefined);
  const one = primary(t, (order, id) => (id === 3 ? never : served(order, id)));
  const carrier = await one.start();
  one.fork.workers[0]?.die('SIGKILL');
  await eventually(() => one.fork.workers.length === 3, 'it is replaced');
  await carrier.drain(new AbortController().signal);
  await carrier.close();
});

test('the log lines of workers go into the log of the primary, whole and as they are', async (t) => {
  const one = primary(t, served);
  await one.start();
  const [worker] = one.fork.workers;
  worker?.output.write('{"msg":"first"}\n{"msg":"sec');
  worker?.output.write('ond"}\n');
  await eventually(() => one.logged.includes('{"msg":"second"}\n'), 'the second line');
  assert.ok(one.logged.includes('{"msg":"first"}\n'));
});

test('what a worker says of egress addresses reaches the board, until the worker is gone', async (t) => {
  const running = primary(t, served);
  await running.start();
  const [first] = running.fork.workers;
  first?.talk.tell('egress', [{ address: '192.0.2.1', fault: 'missing' }]);
  await eventually(() => running.told.includes('1: 192.0.2.1 missing'), 'the board is told');
  first?.die('SIGKILL');
  await eventually(() => running.told.includes('1 is gone'), 'the board forgets');
});
