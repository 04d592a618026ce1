// What the claims of a security event token mean, and which are no such thing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readEventSet } from '../../../../gateway/posture/signals/security-event.ts';
import { CAEP, claimsOf, complianceChange, SSF, sessionRevoked } from '../../../support/signals.ts';

const NOW = 1_790_000_000_000;
const BOUNDS = { maxAgeMs: 300_000, now: NOW };

function read(change: Readonly<Record<string, unknown>>) {
  return readEventSet(new Map(Object.entries(claimsOf(NOW, change))), BOUNDS);
}

const SUBJECT = { format: 'opaque', id: 'device-good' };
const MEANINGS: readonly (readonly [string, Record<string, unknown>, unknown])[] = [
  [
    'a device that is not compliant',
    {},
    { kind: 'compliance', healthy: false, about: { subject: SUBJECT, reason: null } },
  ],
  [
    'a device that is compliant again',
    { events: complianceChange('compliant') },
    { kind: 'compliance', healthy: true, about: { subject: SUBJECT, reason: null } },
  ],
  [
    'a session that is over, with its reason',
    { events: sessionRevoked },
    { kind: 'session_revoked', about: { subject: SUBJECT, reason: 'Policy violation' } },
  ],
  [
    'a subject within the event, as older senders have it',
    { sub_id: undefined, events: { [`${CAEP}session-revoked`]: { subject: { format: 'x' } } } },
    { kind: 'session_revoked', about: { subject: { format: 'x' }, reason: null } },
  ],
  [
    'a reason that is one text',
    { events: { [`${CAEP}session-revoked`]: { reason_admin: 'why' } } },
    { kind: 'session_revoked', about: { subject: SUBJECT, reason: 'why' } },
  ],
  [
    'a reason that would move a terminal, or that no database takes',
    { events: { [`${CAEP}session-revoked`]: { reason_admin: 'a\0b\x1b[2J\r\nc\ud800' } } },
    { kind: 'session_revoked', about: { subject: SUBJECT, reason: 'a b [2J  c\ufffd' } },
  ],
  [
    'a verification',
    { events: { [`${SSF}verification`]: { state: 'abc' } } },
    { kind: 'verification', state: 'abc' },
  ],
  [
    'a verification nobody asked for',
    { events: { [`${SSF}verification`]: {} } },
    { kind: 'verification', state: null },
  ],
  [
    'a stream that pauses',
    { events: { [`${SSF}stream-updated`]: { status: 'paused' } } },
    { kind: 'stream_updated', status: 'paused' },
  ],
  [
    'an event for somebody else',
    { events: { [`${CAEP}credential-change`]: {} } },
    { kind: 'other', type: `${CAEP}credential-change` },
  ],
  [
    'a token with `exp` and `sub`, which say nothing here',
    { exp: 1, sub: 'device-bad', toe: 1_789_999_000 },
    { kind: 'compliance', healthy: false, about: { subject: SUBJECT, reason: null } },
  ],
];

for (const [what, change, event] of MEANINGS) {
  test(`${what} is understood`, () => {
    const found = read(change);
    assert.ok(found.ok);
    assert.deepEqual(found.set.events, [event]);
  });
}

const AT = NOW / 1000;
const WRONG: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
  ['no `jti`', { jti: undefined }, /jti/],
  ['an empty `jti`', { jti: '' }, /jti/],
  ['a `jti` of 2000 characters', { jti: 'x'.repeat(2000) }, /jti/],
  ['a `jti` that is a number', { jti: 5 }, /jti/],
  ['no `iat`', { iat: undefined }, /iat/],
  ['`iat` as text', { iat: String(AT) }, /iat/],
  ['`iat` that is no moment', { iat: Number.NaN }, /too long ago/],
  ['`iat` one second too old (P11)', { iat: AT - 301 }, /too long ago/],
  ['`iat` in milliseconds', { iat: NOW }, /future/],
  ['`iat` more than five minutes ahead (P11)', { iat: AT + 301 }, /future/],
  ['`toe` as text', { toe: 'yesterday' }, /toe/],
  ['`toe` ahead', { toe: AT + 301 }, /future/],
  ['no `events`', { events: undefined }, /events/],
  ['no event', { events: {} }, /events/],
  ['a list of events', { events: [{}] }, /events/],
  [
    'eleven events',
    { events: Object.fromEntries(Array.from({ length: 11 }, (_, i) => [i, {}])) },
    /most/,
  ],
  ['an event that is a text', { events: { [`${CAEP}session-revoked`]: 'now' } }, /object/],
  ['another status', { events: complianceChange('Compliant') }, /current_status/],
  ['no status', { events: { [`${CAEP}device-compliance-change`]: {} } }, /current_status/],
  [
    'a stream that is something else',
    { events: { [`${SSF}stream-updated`]: { status: 'on' } } },
    /status/,
  ],
  ['a state that is a number', { events: { [`${SSF}verification`]: { state: 1 } } }, /state/],
];

for (const [what, change, words] of WRONG) {
  test(`${what} is refused`, () => {
    const found = read(change);
    assert.ok(!found.ok);
    assert.match(found.description, words);
  });
}

test('what is just old enough, or just ahead enough, is taken', () => {
  assert.ok(read({ iat: AT - 300 }).ok);
  assert.ok(read({ iat: AT + 300 }).ok);
});
