// How issues are printed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatIssue } from '../../runtime/issue.ts';

const issue = { file: 'dtr.yaml', line: 12, column: 5, path: [], message: 'unknown key `acton`' };

test('an issue prints where it stands, what is wrong, and the fix', () => {
  const text = formatIssue({ ...issue, hint: 'did you mean `action`?' });
  assert.equal(text, 'dtr.yaml:12:5: unknown key `acton` (did you mean `action`?)');
});

test('an issue without a known fix ends after what is wrong', () => {
  assert.equal(formatIssue({ ...issue, hint: null }), 'dtr.yaml:12:5: unknown key `acton`');
});
