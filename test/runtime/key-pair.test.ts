// A certificate and its key: what is told apart before anything listens.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAuthority } from '../../runtime/authority.ts';
import { keyPairTrouble } from '../../runtime/key-pair.ts';

const authority = await createAuthority({ name: 'key pairs', days: 1 });
const issue = () => authority.issue({ commonName: 'a', usage: 'server', days: 1 });
const [one, other] = [await issue(), await issue()];

test('a certificate and its own key are fine', () => {
  assert.equal(keyPairTrouble(one.chainPem, one.keyPem), null);
});

test("another certificate's key is told", () => {
  assert.match(keyPairTrouble(one.chainPem, other.keyPem) ?? '', /not that of the certificate/);
});

test('what cannot be read is named, and nothing of it shown', () => {
  assert.match(keyPairTrouble('no pem', one.keyPem) ?? '', /certificate cannot be read/);
  assert.equal(
    keyPairTrouble(one.chainPem, 'hunter2 hunter2'),
    'the key cannot be read, expected PEM without a passphrase',
  );
});
