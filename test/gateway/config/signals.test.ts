// Senders of security events in zonegate.yaml: their defaults, their files, and what is wrong with them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSignals, signalsSection } from '../../../gateway/config/signals.ts';
import { formatIssue, type Issue } from '../../../runtime/issue.ts';
import { parseWith } from '../../../runtime/schema.ts';
import { makeKey } from '../../support/signals.ts';

const okta = {
  name: 'okta',
  issuer: 'https://example.okta.com',
  audience: ['https://gateway.example.com'],
  keys: { url: 'https://example.okta.com/oauth2/v1/keys' },
  token: 'signals-token-of-okta',
};

const told = (issue: Issue) =>
  formatIssue({ ...issue, file: issue.path.join('.'), line: 1, column: 1 });

function issuesOf(signals: unknown): readonly string[] {
  const parsed = parseWith(signalsSection)(signals);
  return parsed.ok ? [] : parsed.issues.map(told);
}

test('a sender needs no more than who it is, its keys and its token', () => {
  const parsed = parseWith(signalsSection)([okta]);
  assert.ok(parsed.ok);
  const [signal] = parsed.value;
  assert.deepEqual(signal?.algorithms, ['RS256', 'PS256', 'ES256']);
  assert.deepEqual(
    [signal?.maxAge, signal?.whenSilent, signal?.blockFor],
    [300_000, 'refuse', null],
  );
  assert.deepEqual(
    signal?.subjects.map(({ format, names }) => [format, names]),
    [['opaque', 'device']],
  );
});

const WRONG: readonly (readonly [string, unknown, RegExp])[] = [
  [
    'keys over plain http',
    [{ ...okta, keys: { url: 'http://idp.test/keys' } }],
    /expected an https URL/,
  ],
  ['a shared secret as signature', [{ ...okta, algorithms: ['HS256'] }], /algorithms/],
  ['no signature', [{ ...okta, algorithms: ['none'] }], /algorithms/],
  ['no algorithm', [{ ...okta, algorithms: [] }], /algorithms/],
  ['no token', [{ ...okta, token: undefined }], /token/],
  ['a short token', [{ ...okta, token: 'short' }], /at least 8/],
  ['no audience', [{ ...okta, audience: [] }], /audience/],
  ['two of one name', [okta, okta], /is the name of another sender/],
  ['a format RFC 9493 has not', [{ ...okta, subjects: [{ format: 'udid' }] }], /format/],
  ['an unknown key', [{ ...okta, secret: 'x' }], /unknown key/],
];

for (const [what, signals, words] of WRONG) {
  test(`${what}: one issue that says so`, () => {
    const issues = issuesOf(signals);
    assert.equal(issues.length, 1, issues.join('\n'));
    assert.match(issues[0] ?? '', words);
  });
}

test('keys of this machine may come over http', () => {
  for (const host of ['127.0.0.1:8445', 'localhost', '[::1]:1']) {
    assert.deepEqual(issuesOf([{ ...okta, keys: { url: `http://${host}/keys` } }]), []);
  }
});

async function readFiles(files: Readonly<Record<string, string>>) {
  const fromFile = { ...okta, keys: { file: 'keys.json' }, authority: 'ca.pem' };
  const parsed = parseWith(signalsSection)([fromFile]);
  assert.ok(parsed.ok);
  const issues: string[] = [];
  const asked: string[] = [];
  const found = await readSignals(
    parsed.value,
    (file, path) => {
      asked.push(path.join('.'));
      const text = files[file];
      return Promise.resolve(text === undefined ? null : Buffer.from(text));
    },
    (issue) => issues.push(told(issue)),
  );
  return { found, issues, asked };
}

test('keys and authority come from files', async () => {
  const { publicJwk } = await makeKey('k1');
  const files = { 'keys.json': JSON.stringify({ keys: [publicJwk] }), 'ca.pem': 'PEM' };
  const { found, issues, asked } = await readFiles(files);
  assert.deepEqual(issues, []);
  assert.deepEqual(found.get('okta'), { keys: { keys: [publicJwk] }, authority: 'PEM' });
  assert.deepEqual(asked, ['posture.signals.0.authority', 'posture.signals.0.keys.file']);
});

test('a file without public keys is told where it is named', async () => {
  const { issues } = await readFiles({ 'keys.json': '{"keys":[{"kty":"oct"}]}', 'ca.pem': 'PEM' });
  assert.equal(issues.length, 1);
  assert.match(issues[0] ?? '', /posture\.signals\.0\.keys\.file.*no public key/);
});
