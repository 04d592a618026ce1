// When a signing key is published, signs, retires and goes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planKeys } from '../../../idp-zone/edge/key-plan.ts';
import { type KeySet, makeKey, type SigningKey } from '../../../idp-zone/edge/keys.ts';

const some = makeKey('ES256');
const key = (kid: string, dates: Partial<SigningKey> = {}): SigningKey => ({
  ...some,
  kid,
  ...dates,
});
const plan = { everyMs: 1000, leadMs: 100, keepMs: 10, make: () => key('made') };

const cases: readonly (readonly [
  what: string,
  now: number,
  keys: readonly SigningKey[],
  planned: readonly SigningKey[] | null,
])[] = [
  ['a young key stays alone', 899, [key('a', { signs_from: 0 })], null],
  [
    'the next is published before its time',
    900,
    [key('a', { signs_from: 0 })],
    [key('a', { signs_from: 0 }), key('made', { published_at: 900 })],
  ],
  [
    'a key without a date is old',
    5000,
    [key('a')],
    [key('a'), key('made', { published_at: 5000 })],
  ],
  [
    'nothing is signed with a key before it has been known for long enough',
    999,
    [key('a', { signs_from: 0 }), key('b', { published_at: 900 })],
    null,
  ],
  [
    'then it signs, and the last one is kept',
    1000,
    [key('a', { signs_from: 0 }), key('b', { published_at: 900 })],
    [
      key('b', { published_at: 900, signs_from: 1000 }),
      key('a', { signs_from: 0, retired_at: 1000 }),
    ],
  ],
  [
    'a key added by hand is known from now on',
    50,
    [key('a', { signs_from: 0 }), key('b')],
    [key('a', { signs_from: 0 }), key('b', { published_at: 50 })],
  ],
  [
    'the last one is kept while what it signed is believed',
    1009,
    [key('b', { signs_from: 1000 }), key('a', { retired_at: 1000 })],
    null,
  ],
  [
    'and goes when nothing is',
    1010,
    [key('b', { signs_from: 1000 }), key('a', { retired_at: 1000 })],
    [key('b', { signs_from: 1000 })],
  ],
];
for (const [what, now, keys, planned] of cases) {
  test(what, () => {
    const set: KeySet = { keys: [...keys] };
    assert.deepEqual(planKeys(set, { ...plan, now })?.keys ?? null, planned);
  });
}

test('each algorithm has its own turn, and the first stays the first', () => {
  const rsa = { ...key('r', { signs_from: 0 }), alg: 'RS256' as const };
  const keys = [rsa, key('e', { signs_from: 0 }), key('f', { published_at: 900 })];
  const planned = planKeys(
    { keys },
    { ...plan, now: 899 + 101, make: (alg) => ({ ...key('new'), alg }) },
  );
  assert.deepEqual(
    planned?.keys.map(({ alg, kid }) => `${alg} ${kid}`),
    ['RS256 r', 'RS256 new', 'ES256 f', 'ES256 e'],
  );
});
