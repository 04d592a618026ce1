// Workers under load: one that is killed costs its own connections and no others; a reload costs none, a stop none that are open.

import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { after, before, test } from 'node:test';
import { type Crew, serveWithWorkers } from '../support/crew.ts';
import type { Connected } from '../support/gateway.ts';
import { startEcho, type TcpServer } from '../support/upstream.ts';

const stack = new AsyncDisposableStack();
let echo: TcpServer;

before(async () => {
  echo = stack.use(await startEcho());
});
after(() => stack.disposeAsync());

const serve = () => serveWithWorkers({ target: `up.lab.test:${echo.port}` });

interface Failure {
  readonly error: unknown;
  readonly begunAt: number;
}

interface Load {
  /** Resolves when so many more have been carried. */
  carried(more: number): Promise<void>;
  /** Ends it; resolves with what failed. */
  end(): Promise<readonly Failure[]>;
}

/** Devices that connect, say something, hear it, leave, and begin again. */
function load(crew: Crew): Load {
  const failures: Failure[] = [];
  const waiting = new Set<() => void>();
  let count = 0;
  let isOver = false;
  const device = async (): Promise<void> => {
    while (!isOver) {
      const begunAt = performance.now();
      try {
        const tunnel = await crew.connect();
        await stillWorks(tunnel);
        tunnel.socket.destroy();
        count += 1;
      } catch (error) {
        failures.push({ error, begunAt });
      }
      for (const look of waiting) look();
    }
  };
  const devices = Array.from({ length: 4 }, device);
  return {
    async carried(more) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wanted = count + more;
      const look = () => count >= wanted && resolve();
      waiting.add(look);
      await promise;
      waiting.delete(look);
    },
    async end() {
      isOver = true;
      await Promise.all(devices);
      return failures;
    },
  };
}

async function stillWorks(wire: Connected): Promise<void> {
  assert.equal(wire.reply.status, 200);
  wire.write('still here');
  assert.equal(await wire.bytes(10), 'still here');
}

test('a worker that is killed costs the connections it had; all others are carried, meanwhile and after', async () => {
  await using crew = await serve();
  const tunnels = await crew.connectToBoth();
  const traffic = load(crew);
  await traffic.carried(20);
  process.kill(crew.pidOf(1), 'SIGKILL');
  await crew.shows('"msg":"worker ended"');
  const noticedAt = performance.now();
  await traffic.carried(10);
  await crew.shows(/"zonegate.worker":3,"process.pid":\d+,"msg":"worker serves"/);
  await traffic.carried(20);
  const failures = await traffic.end();
  for (const { error, begunAt } of failures) {
    assert.ok(begunAt < noticedAt, String(error));
    assert.notEqual((error as NodeJS.ErrnoException).code, 'ECONNREFUSED');
  }
  const survivor = tunnels.get(2);
  assert.ok(survivor);
  await stillWorks(survivor);
  assert.deepEqual(new Set((await crew.connectToBoth()).keys()), new Set([2, 3]));
});

test('a reload under load costs nobody anything', async () => {
  await using crew = await serve();
  const tunnels = await crew.connectToBoth();
  const traffic = load(crew);
  for (let reloads = 1; reloads <= 3; reloads += 1) {
    await traffic.carried(10);
    crew.stop('SIGHUP');
    await crew.shows(new RegExp(`("msg":"configuration reloaded"[^]*){${reloads}}`));
  }
  await traffic.carried(10);
  assert.deepEqual(await traffic.end(), []);
  for (const tunnel of tunnels.values()) await stillWorks(tunnel);
});

test('a stop under load lets every open tunnel go on to its end (R12)', async () => {
  await using crew = await serve();
  const tunnels = [...(await crew.connectToBoth()).values()];
  const traffic = load(crew);
  await traffic.carried(20);
  crew.stop('SIGTERM');
  await crew.shows('"msg":"draining"');
  await traffic.end();
  for (const tunnel of tunnels) {
    await stillWorks(tunnel);
    tunnel.end();
    assert.equal(await tunnel.rest(), '');
  }
  assert.equal(await crew.ended, 0);
});
