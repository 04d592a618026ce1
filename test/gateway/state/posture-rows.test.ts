// Posture reports as rows: batches, the newest wins, failures are made up for, pages in order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PostureReport } from '../../../gateway/decision/posture.ts';
import { createPostureRows, type PageQuery } from '../../../gateway/state/posture-rows.ts';
import { migrations, type Tables } from '../../../gateway/state/tables.ts';
import { openState, type State } from '../../../runtime/state/state.ts';
import { healthyReport } from '../posture/fake-source.ts';

const memory = () => openState<Tables>({ address: { kind: 'memory' }, migrations });
const rowsOver = (state: State<Tables>, troubles: (Error | null)[] = []) =>
  createPostureRows({ state, onTrouble: (error) => void troubles.push(error) });

async function allOf(rows: ReturnType<typeof rowsOver>): Promise<readonly PostureReport[]> {
  const reports: PostureReport[] = [];
  for await (const report of rows.load()) reports.push(report);
  return reports;
}

test('what is remembered comes back as it was, with the moment it was learned; what is forgotten does not', async () => {
  const state = await memory();
  const rows = rowsOver(state);
  const kept = healthyReport({
    deviceId: 'kept',
    fetchedAt: 1_790_000_000_000,
    groups: ['a', 'b'],
  });
  rows.remember([kept, healthyReport({ deviceId: 'gone' })]);
  rows.forget(['gone', 'never-there']);
  assert.equal(rows.pending(), 3);
  await rows.flush();
  assert.equal(rows.pending(), 0);
  assert.deepEqual(await allOf(rows), [kept]);
  assert.deepEqual([...(await rows.read(['kept', 'gone'])).values()], [kept]);
  await rows.close();
  await state.close();
});

test('an older report that another gateway writes late does not replace a newer one', async () => {
  const state = await memory();
  const [a, b] = [rowsOver(state), rowsOver(state)];
  a.remember([healthyReport({ compliance: 'non_compliant', fetchedAt: 2000 })]);
  await a.flush();
  b.remember([healthyReport({ fetchedAt: 1000 })]);
  await b.flush();
  assert.deepEqual(
    (await allOf(a)).map(({ compliance }) => compliance),
    ['non_compliant'],
  );
  for (const rows of [a, b]) await rows.close();
  await state.close();
});

test('that a device is still unknown is told to no other gateway: each would ask again for ever', async () => {
  const inner = await memory();
  const told: string[] = [];
  const tell: State<Tables>['tell'] = (_transaction, { keys }) => {
    told.push(...keys);
    return Promise.resolve();
  };
  const rows = rowsOver({ ...inner, kind: 'postgres', tell });
  rows.remember([healthyReport({ deviceId: 'wiped' })]);
  await rows.flush();
  assert.deepEqual(told.splice(0), ['wiped']);
  rows.forget(['wiped', 'never-there']);
  await rows.flush();
  assert.deepEqual(told.splice(0), ['wiped']);
  rows.forget(['wiped', 'never-there']);
  await rows.flush();
  assert.deepEqual(told, []);
  await rows.close();
  await inner.close();
});

test('what could not be written is written when the store is back, the newest of it', async () => {
  const inner = await memory();
  let failing = true;
  const write: State<Tables>['write'] = (how, work) =>
    failing ? Promise.reject(new Error('no space')) : inner.write(how, work);
  const troubles: (Error | null)[] = [];
  const rows = rowsOver({ ...inner, write }, troubles);
  rows.remember([healthyReport({ fetchedAt: 1 })]);
  await rows.flush();
  assert.match(troubles[0]?.message ?? '', /no space/);
  rows.remember([healthyReport({ fetchedAt: 2 })]);
  assert.equal(rows.pending(), 1);
  failing = false;
  await rows.flush();
  assert.deepEqual([troubles.at(-1), (await allOf(rows))[0]?.fetchedAt], [null, 2]);
  await rows.close();
  await inner.close();
});

test('ten thousand devices are written, read in pages and loaded, in the order of their ids', async () => {
  const state = await memory();
  const rows = rowsOver(state);
  const ids = Array.from({ length: 10_000 }, (_, i) => `device-${String(i).padStart(5, '0')}`);
  rows.remember(ids.map((deviceId) => healthyReport({ deviceId })));
  await rows.flush();
  assert.deepEqual(
    (await allOf(rows)).map(({ deviceId }) => deviceId),
    ids,
  );
  const query: PageQuery = {
    after: 'device-00099',
    limit: 2,
    source: null,
    compliance: null,
    blocked: null,
    now: 0,
  };
  const page = await rows.page(query);
  assert.deepEqual(
    page.map(({ deviceId }) => deviceId),
    ['device-00100', 'device-00101'],
  );
  assert.deepEqual(await rows.page({ ...query, compliance: 'pending' }), []);
  await rows.close();
  await state.close();
});
