// Whose word on the application of a connection is taken.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HeardApp, withApp } from '../../../gateway/decision/app.ts';
import { type AppSource, identify } from '../../../gateway/decision/identity.ts';
import { NOW, peer, policyFor, someIdentity } from './policy-for.ts';

const listener: AppSource = { from: 'listener' };
const header: AppSource = { from: 'header', name: 'x-app' };
const field: AppSource = { from: 'subject', type: 'OU', pattern: '*' };
const app = (heard: HeardApp, source: AppSource | null) => withApp(someIdentity, heard, source).app;

test('what was heard counts while the place it was heard at is the one believed', () => {
  assert.equal(app({ source: listener, app: 'mail' }, { from: 'listener' }), 'mail');
  assert.equal(app({ source: header, app: 'mail' }, { from: 'header', name: 'x-app' }), 'mail');
  for (const source of [null, field, header]) {
    assert.equal(app({ source: listener, app: 'mail' }, source), null);
  }
  for (const source of [null, field, listener, { ...header, name: 'x-other' }]) {
    assert.equal(app({ source: header, app: 'mail' }, source), null);
  }
  assert.equal(app({ source: null, app: 'mail' }, header), null);
});

test('a certificate field is read with the certificate, and what was heard before does not matter', () => {
  const { identity: policy } = policyFor();
  const named = { ...peer.certificate, subject: [{ type: 'CN', value: 'device-1' }] };
  const subject = [...named.subject, { type: 'OU', value: 'com.example.mail' }];
  const certificate = { ...(peer.certificate ?? assert.fail()), subject };
  const who = identify({ ...peer, certificate }, { ...policy, app: field }, NOW);
  assert.ok(who.ok);
  assert.equal(who.identity.app, 'com.example.mail');
  const heard = { source: listener, app: 'other' };
  assert.equal(withApp(who.identity, heard, field).app, 'com.example.mail');
  assert.equal(
    withApp(who.identity, { source: field, app: 'other' }, field).app,
    'com.example.mail',
  );
});

test('other sources ask nothing of the certificate', () => {
  const { identity: policy } = policyFor();
  for (const source of [listener, header]) {
    const who = identify(peer, { ...policy, app: source }, NOW);
    assert.ok(who.ok);
    assert.equal(who.identity.app, null);
  }
});
