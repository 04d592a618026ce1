// Questions and answers over a message channel: each finds its answer, and none waits for ever.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTalk, type Talk } from '../../../cli/workers/talk.ts';

type Near = { readonly double: readonly [number, number]; readonly note: readonly [string, null] };
type Far = { readonly later: readonly [null, string] };

/** Two ends of one channel; every message is JSON, as between processes. */
function pair() {
  const noted: string[] = [];
  const held = Promise.withResolvers<string>();
  const ends: { near: Talk<Far> | null; far: Talk<Near> | null } = { near: null, far: null };
  const carry = (to: keyof typeof ends) => (message: object) => {
    const copy: unknown = JSON.parse(JSON.stringify(message));
    setImmediate(() => ends[to]?.receive(copy));
  };
  const near = createTalk<Far, Near>(carry('far'), {
    double(number) {
      if (number < 0) throw new Error('too small');
      return number * 2;
    },
    note(text) {
      noted.push(text);
      return null;
    },
  });
  const far = createTalk<Near, Far>(carry('near'), { later: () => held.promise });
  Object.assign(ends, { near, far });
  return { near, far, noted, held };
}

test('every question gets its own answer, whatever the order', async () => {
  const { near, far, held } = pair();
  const later = near.ask('later', null, null);
  assert.deepEqual(
    await Promise.all([far.ask('double', 2, 1000), far.ask('double', 5, 1000)]),
    [4, 10],
  );
  held.resolve('at last');
  assert.equal(await later, 'at last');
});

test('what fails over there fails here, with its message', async () => {
  const { far } = pair();
  await assert.rejects(far.ask('double', -1, 1000), { message: 'too small' });
});

test('what is only told arrives, and nobody answers', async () => {
  const { far, noted } = pair();
  far.tell('note', 'hello');
  await far.ask('double', 1, 1000);
  assert.deepEqual(noted, ['hello']);
});

test('a question that is not answered in time fails, and a late answer does no harm', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { near, held } = pair();
  const asked = near.ask('later', null, 500);
  t.mock.timers.tick(500);
  await assert.rejects(asked, { message: 'no answer within 500 ms' });
  held.resolve('too late');
  await new Promise((resolve) => setImmediate(resolve));
});

test('when the other side is gone every open question fails, and so does every further one', async () => {
  const { near } = pair();
  const asked = near.ask('later', null, null);
  near.close();
  await assert.rejects(asked, { message: 'the other process is gone' });
  await assert.rejects(near.ask('later', null, null), { message: 'the other process is gone' });
  near.tell('later', null);
});

test('messages of others on the same channel are left alone', () => {
  const { near } = pair();
  for (const message of [null, 7, 'text', {}, { kind: 'other' }, { cmd: 'NODE_SOMETHING' }]) {
    near.receive(message);
  }
});
