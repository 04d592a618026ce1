// What the provider remembers: durable, expiring, revocable as a family, spent only once by however many processes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStore, type Hooks } from '../../../idp-zone/state/store.ts';
import { schema, type Tables } from '../../../idp-zone/state/tables.ts';
import { openStore, type State, type StateAddress } from '../../../runtime/state/state.ts';
import { createTestDatabase, postgres } from '../../support/postgres.ts';

interface Opened extends AsyncDisposable {
  readonly state: State<Tables>;
  readonly kinds: ReturnType<ReturnType<typeof createStore>['adapters']>;
  /** Moves the clock, and forgets what is over. */
  later(ms: number): Promise<void>;
}

interface Given {
  readonly hooks?: Partial<Hooks>;
  readonly maxStrangers?: number;
}

async function open(address: StateAddress, given: Given = {}): Promise<Opened> {
  const opened = await openStore(address);
  const state = await opened.open<Tables>(schema);
  let now = 5_000;
  const store = createStore({
    state,
    now: () => now,
    maxStrangers: given.maxStrangers ?? 1000,
    onTrouble: (error) => assert.ifError(error),
  });
  const kinds = store.adapters({
    request: () => undefined,
    beforeConsume: () => undefined,
    alreadyConsumed: () => new Error('already used'),
    ...given.hooks,
  });
  return {
    state,
    kinds,
    async later(ms) {
      now += ms;
      await store.sweep();
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      await opened.close();
    },
  };
}

type Use = (address: StateAddress) => Promise<void>;
const inMemory = (use: Use): Promise<void> => use({ kind: 'memory' });

async function onServer(use: Use): Promise<void> {
  await using database = await createTestDatabase();
  await use({ kind: 'postgres', url: database.url });
}

const engines = [
  ['SQLite', inMemory, {}],
  ['PostgreSQL', onServer, await postgres()],
] as const;

const rows = ({ state }: Opened) =>
  state.db.selectFrom('zonegate_sign_ins').selectAll().orderBy('key').execute();

async function withGrant({ kinds }: Opened, grantId = 'g'): Promise<void> {
  await kinds('Grant').upsert(grantId, { accountId: 'ann' }, 60);
}

for (const [name, on, options] of engines) {
  const onEngine = (
    what: string,
    given: Given,
    use: (opened: Opened, address: StateAddress) => Promise<void>,
  ) =>
    test(`${name}: ${what}`, options, () =>
      on(async (address) => {
        await using opened = await open(address, given);
        await use(opened, address);
      }),
    );

  onEngine('what is kept is found, and gone when it is over or destroyed', {}, async (opened) => {
    const tokens = opened.kinds('AccessToken');
    await tokens.upsert('a', { jti: 'a', scope: 'openid' }, 60);
    await tokens.upsert('b', { jti: 'b' }, 61);
    assert.deepEqual(await tokens.find('a'), { jti: 'a', scope: 'openid' });
    assert.equal(await opened.kinds('RefreshToken').find('a'), undefined);
    await opened.later(60_000);
    assert.equal(await tokens.find('a'), undefined);
    assert.equal((await rows(opened)).length, 1, 'swept');
    await tokens.destroy('b');
    assert.equal(await tokens.find('b'), undefined);
  });

  onEngine('no identifier that signs somebody in is in the table', {}, async (opened) => {
    const { kinds } = opened;
    await withGrant(opened);
    for (const kind of ['AccessToken', 'AuthorizationCode', 'RefreshToken']) {
      await kinds(kind).upsert(`secret-${kind}`, { jti: `secret-${kind}`, grantId: 'g' }, 60);
    }
    await kinds('Session').upsert('secret-cookie', { jti: 'secret-cookie', uid: 'u' }, 60);
    const session = { accountId: 'ann', uid: 'u', cookie: 'secret-cookie' };
    await kinds('Interaction').upsert('secret-i', { jti: 'secret-i', session }, 60);
    assert.doesNotMatch(JSON.stringify(await rows(opened)), /secret/);
    assert.deepEqual(await kinds('Interaction').find('secret-i'), {
      jti: 'secret-i',
      session: { accountId: 'ann', uid: 'u' },
    });
  });

  onEngine(
    'revoking a grant takes all that was given under it, and only that',
    {},
    async (opened) => {
      const { kinds } = opened;
      const tokens = kinds('RefreshToken');
      await withGrant(opened);
      await withGrant(opened, 'other');
      await tokens.upsert('a', { grantId: 'g' }, 60);
      await kinds('AccessToken').upsert('b', { grantId: 'g' }, 60);
      await tokens.upsert('c', { grantId: 'other' }, 60);
      await tokens.revokeByGrantId('g');
      await tokens.revokeByGrantId('unheard of');
      assert.equal(await tokens.find('a'), undefined);
      assert.ok(await kinds('AccessToken').find('b'), 'one kind at a time, as it is asked for');
      await kinds('Grant').destroy('g');
      assert.equal(await kinds('AccessToken').find('b'), undefined);
      assert.ok(await tokens.find('c'));
      await assert.rejects(tokens.upsert('late', { grantId: 'g' }, 60), /already used/);
      assert.equal(await tokens.find('late'), undefined);
    },
  );

  onEngine('a session is found by its uid through a change of its id', {}, async ({ kinds }) => {
    const sessions = kinds('Session');
    await sessions.upsert('old', { uid: 'u' }, 60);
    await sessions.destroy('old');
    await sessions.upsert('new', { uid: 'u', accountId: 'ann' }, 60);
    assert.equal((await sessions.findByUid('u'))?.accountId, 'ann');
    await sessions.destroy('new');
    assert.equal(await sessions.findByUid('u'), undefined);
  });

  onEngine('spent once; the second to try ends the grant', {}, async (opened) => {
    const codes = opened.kinds('AuthorizationCode');
    await withGrant(opened);
    await codes.upsert('a', { grantId: 'g' }, 60);
    await opened.kinds('RefreshToken').upsert('given', { grantId: 'g' }, 60);
    await codes.consume('a');
    assert.equal((await codes.find('a'))?.consumed, 5);
    await assert.rejects(codes.consume('a'), /already used/);
    assert.deepEqual(await rows(opened), []);
    await codes.consume('unheard of');
  });

  let allowed = false;
  const beforeConsume = () => {
    if (!allowed) throw new Error('outside');
  };
  onEngine(
    'what must not be spent now stays unspent',
    { hooks: { beforeConsume } },
    async (opened) => {
      const codes = opened.kinds('AuthorizationCode');
      await withGrant(opened);
      await codes.upsert('a', { grantId: 'g' }, 60);
      await assert.rejects(codes.consume('a'), /outside/);
      assert.equal((await codes.find('a'))?.consumed, undefined);
      allowed = true;
      await codes.consume('a');
      allowed = false;
    },
  );

  let request: object | undefined;
  onEngine(
    'a refresh token is spent together with what takes its place, never without',
    { hooks: { request: () => request } },
    async (opened) => {
      const tokens = opened.kinds('RefreshToken');
      await withGrant(opened);
      await tokens.upsert('a', { grantId: 'g' }, 60);
      request = {};
      await tokens.consume('a');
      assert.equal((await tokens.find('a'))?.consumed, undefined, 'the process may end here');
      // Two requests found it unspent.
      const first = request;
      request = {};
      await tokens.consume('a');
      const second = request;
      request = first;
      await tokens.upsert('b', { grantId: 'g' }, 60);
      assert.equal((await tokens.find('a'))?.consumed, 5);
      request = second;
      await assert.rejects(tokens.upsert('c', { grantId: 'g' }, 60), /already used/);
      request = undefined;
      assert.deepEqual(await rows(opened), [], 'both may be in the wrong hands');
    },
  );

  onEngine(
    'a flood of strangers pushes out its own oldest, and nobody who has signed in',
    { maxStrangers: 3 },
    async (opened) => {
      const { kinds } = opened;
      await kinds('Session').upsert('mine', { uid: 'u', accountId: 'ann' }, 1);
      for (const [at, id] of ['1', '2', '3', '4', '5'].entries()) {
        await kinds('Interaction').upsert(id, { jti: id }, 60 + at);
      }
      await opened.later(0);
      const found = await Promise.all(
        ['1', '2', '3', '4', '5'].map((id) => kinds('Interaction').find(id)),
      );
      assert.deepEqual(
        found.map((one) => one?.jti),
        [undefined, undefined, '3', '4', '5'],
      );
      assert.ok(await kinds('Session').find('mine'));
    },
  );
}

test(
  'of many uses at once in two processes on one server one wins, and nothing is left of the grant',
  await postgres(),
  async () => {
    await using database = await createTestDatabase();
    const address: StateAddress = { kind: 'postgres', url: database.url };
    await using a = await open(address);
    await using b = await open(address);
    for (const kind of ['AuthorizationCode', 'RefreshToken']) {
      for (let round = 0; round < 10; round++) {
        await withGrant(a);
        await a.kinds(kind).upsert(`token-${round}`, { grantId: 'g' }, 60);
        const uses = [a, b, a, b, a, b].map(async ({ kinds }, use) => {
          await kinds(kind).consume(`token-${round}`);
          await kinds('AccessToken').upsert(`given-${round}-${use}`, { grantId: 'g' }, 60);
        });
        const settled = await Promise.allSettled(uses);
        for (const one of settled) {
          if (one.status === 'rejected') assert.match(String(one.reason), /already used/);
        }
        assert.ok(settled.filter(({ status }) => status === 'fulfilled').length <= 1);
        assert.deepEqual(await rows(a), []);
      }
    }
  },
);
