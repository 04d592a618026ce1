// What log and readiness say while a source is silent.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchOutages } from '../../../gateway/posture/outage-watch.ts';
import { createLog } from '../../../runtime/log.ts';
import { createReadiness } from '../../../runtime/readiness.ts';

test('a silent source is told once, with the grace, and is no reason to send devices elsewhere', async (t) => {
  const lines: string[] = [];
  const log = createLog({
    level: 'info',
    secrets: [],
    stream: { write: (line: string) => void lines.push(line) },
  });
  const readiness = createReadiness();
  let ok = false;
  let looks = 0;
  let looked: (() => void) | null = null;
  const watch = watchOutages({
    health() {
      looks += 1;
      if (looks % 3 === 0) setImmediate(() => looked?.());
      return [{ source: 'uem', ok, lastSuccess: null, lastError: 'status 500' }];
    },
    graceMs: () => 900_000,
    log,
    readiness,
    now: () => Date.UTC(2026, 0, 31),
    everyMs: 1,
  });
  t.after(() => watch.close());
  const threeLooks = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    looked = resolve;
    return promise;
  };
  await threeLooks();
  const down = readiness.report();
  assert.equal(
    down.checks['posture'],
    'ok: no answer from `uem` since 2026-01-31T00:00:00Z; good reports count for 900 s',
  );
  assert.equal(down.ready, true);
  ok = true;
  await threeLooks();
  await threeLooks();
  assert.equal(readiness.report().checks['posture'], 'ok');
  const said = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
  assert.deepEqual(said, [
    'the posture source does not answer: good reports count for 900 s',
    'the posture source answers again',
  ]);
});
