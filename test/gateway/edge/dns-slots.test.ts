// Slots: how many are in at once, in which order the others follow, and who has given up.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSlots } from '../../../gateway/edge/dns-slots.ts';

const patient = new AbortController().signal;

test('those who wait follow in the order they came', async () => {
  const slots = createSlots(1);
  const order: string[] = [];
  const first = slots.enter(patient).then(() => order.push('first'));
  const others = ['second', 'third'].map((who) =>
    slots.enter(patient).then(() => {
      order.push(who);
      slots.leave();
    }),
  );
  await first;
  assert.deepEqual(order, ['first']);
  slots.leave();
  await Promise.all(others);
  assert.deepEqual(order, ['first', 'second', 'third']);
});

test('who gives up takes nobody’s turn', async () => {
  const slots = createSlots(1);
  const impatient = new AbortController();
  assert.equal(await slots.enter(patient), true);
  const given = slots.enter(impatient.signal);
  const next = slots.enter(patient);
  impatient.abort();
  assert.equal(await given, false);
  slots.leave();
  assert.equal(await next, true);
  assert.equal(await slots.enter(impatient.signal), false);
});

test('a slot that nobody waits for is free again', async () => {
  const slots = createSlots(1);
  for (let round = 0; round < 3; round += 1) {
    assert.equal(await slots.enter(patient), true);
    slots.leave();
  }
});
