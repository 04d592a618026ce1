// Comparing secrets.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOneOfSecrets, sameSecret } from '../../runtime/secret.ts';

test('only the very same text is the same secret', () => {
  assert.equal(sameSecret('correct horse', 'correct horse'), true);
  for (const given of ['', 'correct hors', 'correct horse ', 'Correct horse']) {
    assert.equal(sameSecret(given, 'correct horse'), false, given);
  }
});

test('a secret is found wherever it stands in the list, and never in an empty one', () => {
  assert.equal(isOneOfSecrets('second', ['first', 'second', 'third']), true);
  assert.equal(isOneOfSecrets('fourth', ['first', 'second', 'third']), false);
  assert.equal(isOneOfSecrets('', []), false);
});
