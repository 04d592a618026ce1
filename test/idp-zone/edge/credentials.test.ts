// Passwords, the attempts that are left, and the provider's own keys.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseAddress } from '../../../dtr-rules/address.ts';
import { createAccounts } from '../../../idp-zone/edge/accounts.ts';
import { createAttempts } from '../../../idp-zone/edge/attempts.ts';
import { checkKeysFile, readKeys, rotateKeys } from '../../../idp-zone/edge/keys.ts';
import {
  checkPassword,
  decoyHash,
  hashPassword,
  parsePasswordHash,
} from '../../../idp-zone/edge/password.ts';

test('a hash is right for its password, however that was typed, and for no other', async () => {
  const hash = parsePasswordHash(await hashPassword('schön und gut'));
  assert.ok(hash);
  assert.equal(await checkPassword('scho\u0308n und gut', hash), true);
  assert.equal(await checkPassword('schon und gut', hash), false);
});

test('an unknown name costs what a known one costs, and is never right', async () => {
  const real = parsePasswordHash(`scrypt$2048$8$2$${'s'.repeat(22)}$${'h'.repeat(43)}`);
  assert.ok(real);
  const { cost, blockSize, parallel } = decoyHash(real);
  assert.deepEqual([cost, blockSize, parallel], [2048, 8, 2]);
  const accounts = createAccounts([{ name: 'ann', groups: [], email: null, password: real }]);
  assert.equal(await accounts.verify('nobody', 'x'), null);
  assert.equal(accounts.find('nobody'), null);
});

const address = (text: string) => {
  const parsed = parseAddress(text);
  assert.ok(parsed);
  return parsed;
};

test('a name has ten attempts and gets one back every half minute', () => {
  let now = 0;
  const attempts = createAttempts(() => now);
  const from = address('203.0.113.8');
  const burst = () => Array.from({ length: 12 }, () => attempts.take('ann', from));
  assert.equal(burst().filter(Boolean).length, 10);
  assert.equal(attempts.take('bob', from), true);
  now = 30_000;
  assert.deepEqual([attempts.take('ann', from), attempts.take('ann', from)], [true, false]);
});

test('an attempt that was right is not counted', () => {
  const attempts = createAttempts(() => 0);
  const from = address('203.0.113.8');
  for (let attempt = 0; attempt < 50; attempt++) {
    assert.equal(attempts.take('ann', from), true);
    attempts.giveBack('ann', from);
  }
});

test('an address is limited over all names, an IPv6 one with its whole /64', () => {
  const attempts = createAttempts(() => 0);
  let taken = 0;
  while (attempts.take(`user ${taken}`, address(`2001:db8::${taken}`))) taken++;
  assert.equal(taken, 200);
  assert.equal(attempts.take('ann', address('2001:db8:0:1::1')), true);
  assert.equal(attempts.take('ann', null), true);
});

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'zonegate-keys-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

test('keys are made once, for the owner only, and read again', async (t) => {
  const file = join(await folder(t), 'state', 'keys.json');
  const made = await readKeys(file);
  assert.deepEqual(
    made.keys.map(({ alg }) => alg),
    ['RS256', 'ES256'],
  );
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.deepEqual(await readKeys(file), made);
});

test('keys change by the clock, in a file of the owner only', async (t) => {
  const file = join(await folder(t), 'keys.json');
  const plan = { everyMs: 1000, leadMs: 100, keepMs: 10 };
  const start = Date.now();
  const made = await rotateKeys(file, { ...plan, now: start });
  const published = await rotateKeys(file, { ...plan, now: start + 2000 });
  assert.deepEqual(published.keys.length, 2 * made.keys.length);
  const swapped = await rotateKeys(file, { ...plan, now: start + 3000 });
  assert.deepEqual(
    swapped.keys.map(({ alg, retired_at }) => [alg, retired_at !== undefined]),
    [
      ['RS256', false],
      ['RS256', true],
      ['ES256', false],
      ['ES256', true],
    ],
  );
  assert.deepEqual(await readKeys(file), swapped);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
});

test('two that start at once agree on the keys', async (t) => {
  const file = join(await folder(t), 'keys.json');
  const [one, two] = await Promise.all([readKeys(file), readKeys(file)]);
  assert.deepEqual(one, two);
  assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), one);
});

test('keys that others can read, or that are no keys, are refused', async (t) => {
  const file = join(await folder(t), 'keys.json');
  await writeFile(file, '{"keys":[]}', { mode: 0o600 });
  await assert.rejects(readKeys(file), /not a set of private signing keys/);
  await chmod(file, 0o644);
  await assert.rejects(readKeys(file), /chmod 600/);
});

const notKeys = {
  'cut short': '{"keys":[{"kty":"RSA","d":"hush-hush',
  empty: '',
  'another file': 'secret: hush-hush',
  'not keys': '{"keys":[{"kty":"EC","kid":"a","alg":"ES256","d":"hush-hush"}]}',
};
for (const [what, text] of Object.entries(notKeys)) {
  test(`a keys file that is ${what} is one plain sentence with the fix, and none of the keys`, async (t) => {
    const file = join(await folder(t), 'keys.json');
    await writeFile(file, text, { mode: 0o600 });
    const sentence =
      '`keys.json` is not a set of private signing keys with `kid` and `alg`; ' +
      'restore it, or move it away to have new keys made at the start';
    assert.equal(await checkKeysFile(file), sentence);
    await assert.rejects(readKeys(file), { message: sentence });
    assert.equal(await readFile(file, 'utf8'), text);
  });
}

test('a keys file is checked before the start: a missing one is fine, one that others can read is not', async (t) => {
  const file = join(await folder(t), 'keys.json');
  assert.equal(await checkKeysFile(file), null);
  await readKeys(file);
  assert.equal(await checkKeysFile(file), null);
  await chmod(file, 0o644);
  assert.equal(
    await checkKeysFile(file),
    '`keys.json` holds private keys and others can read it; run `chmod 600` on it',
  );
  const folderInPlace = await checkKeysFile(dirname(file));
  assert.match(folderInPlace ?? '', /cannot be read: it is a directory; mend the path/);
});

for (const alg of ['none', 'HS256']) {
  test(`I01: a key for \`${alg}\` is refused`, async (t) => {
    const file = join(await folder(t), 'keys.json');
    const key = { kty: 'RSA', kid: 'a', alg, d: 'x' };
    await writeFile(file, JSON.stringify({ keys: [key] }), { mode: 0o600 });
    await assert.rejects(readKeys(file), /not a set of private signing keys/);
  });
}
