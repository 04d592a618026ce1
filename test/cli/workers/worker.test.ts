// A worker without a primary that does anything is no worker: it ends by itself.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { runWorker } from '../../../cli/workers/worker.ts';

function start(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const seen = { deaths: 0 };
  let receive: (message: unknown) => void = () => undefined;
  runWorker({
    send: () => undefined,
    onMessage(listener) {
      receive = listener;
    },
    leave: () => assert.fail('it must not take its time'),
    die() {
      seen.deaths += 1;
    },
  });
  return {
    seen,
    pass(seconds: number) {
      for (let second = 0; second < seconds; second += 1) t.mock.timers.tick(1000);
    },
    beat: () => receive({ kind: 'ask', id: 1, name: 'alive', asked: null }),
  };
}

test('it ends when it has heard nothing of the primary for half a minute (P01)', (t) => {
  const worker = start(t);
  worker.pass(29);
  assert.equal(worker.seen.deaths, 0);
  worker.pass(1);
  assert.equal(worker.seen.deaths, 1);
});

test('it goes on while the primary is heard now and then', (t) => {
  const worker = start(t);
  for (let i = 0; i < 10; i += 1) {
    worker.pass(20);
    worker.beat();
  }
  assert.equal(worker.seen.deaths, 0);
});
