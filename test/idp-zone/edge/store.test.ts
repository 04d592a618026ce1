// What the provider remembers: bounded, expiring, revocable as a family, and spent only once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStore } from '../../../idp-zone/edge/store.ts';

const makeStore = (given: Partial<Parameters<typeof createStore>[0]> = {}) =>
  createStore({
    maxEntries: 3,
    now: () => 5_000,
    beforeConsume: () => undefined,
    alreadyConsumed: () => new Error('already used'),
    ...given,
  });

test('what is kept is found, and gone when it is destroyed', async () => {
  const tokens = makeStore()('RefreshToken');
  await tokens.upsert('a', { jti: 'a' }, 60);
  assert.deepEqual(await tokens.find('a'), { jti: 'a' });
  await tokens.destroy('a');
  assert.equal(await tokens.find('a'), undefined);
});

test('a flood of one kind pushes out its own oldest and nothing of another kind', async () => {
  const store = makeStore();
  await store('RefreshToken').upsert('token', { jti: 'token' }, 60);
  for (const id of ['1', '2', '3', '4']) await store('Interaction').upsert(id, { jti: id }, 60);
  assert.equal(await store('Interaction').find('1'), undefined);
  assert.ok(await store('Interaction').find('4'));
  assert.ok(await store('RefreshToken').find('token'));
});

test('revoking a grant takes all that was given under it, and only that', async () => {
  const tokens = makeStore()('RefreshToken');
  await tokens.upsert('a', { grantId: 'g' }, 60);
  await tokens.upsert('b', { grantId: 'g' }, 60);
  await tokens.upsert('c', { grantId: 'other' }, 60);
  await tokens.revokeByGrantId('g');
  await tokens.revokeByGrantId('unheard of');
  assert.deepEqual(await Promise.all(['a', 'b', 'c'].map((id) => tokens.find(id))), [
    undefined,
    undefined,
    { grantId: 'other' },
  ]);
});

test('a session is found by its uid through a change of its id', async () => {
  const sessions = makeStore()('Session');
  await sessions.upsert('old', { uid: 'u' }, 60);
  await sessions.destroy('old');
  await sessions.upsert('new', { uid: 'u', accountId: 'ann' }, 60);
  assert.equal((await sessions.findByUid('u'))?.accountId, 'ann');
  await sessions.destroy('new');
  assert.equal(await sessions.findByUid('u'), undefined);
});

test('a token is spent once; the second to try is refused', async () => {
  const tokens = makeStore()('RefreshToken');
  await tokens.upsert('a', { jti: 'a' }, 60);
  await tokens.consume('a');
  assert.equal((await tokens.find('a'))?.consumed, 5);
  await assert.rejects(tokens.consume('a'), /already used/);
  await tokens.consume('unheard of');
});

test('what must not be spent now is left unspent', async () => {
  let allowed = false;
  const beforeConsume = () => {
    if (!allowed) throw new Error('outside');
  };
  const codes = makeStore({ beforeConsume })('AuthorizationCode');
  await codes.upsert('a', { jti: 'a' }, 60);
  await assert.rejects(codes.consume('a'), /outside/);
  assert.equal((await codes.find('a'))?.consumed, undefined);
  allowed = true;
  await codes.consume('a');
});
