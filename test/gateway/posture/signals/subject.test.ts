// Whom a subject identifier names, by the rows of a configuration.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSubject, type SubjectRow } from '../../../../gateway/posture/signals/subject.ts';

const row = (change: Partial<SubjectRow>): SubjectRow => ({
  format: 'opaque',
  issuer: 'https://idp.test',
  prefix: '',
  names: 'device',
  source: 'uem',
  ...change,
});

const ROWS = [
  row({}),
  row({ format: 'iss_sub', names: 'serial' }),
  row({ format: 'uri', prefix: 'urn:udid:' }),
  row({ format: 'account', prefix: 'acct:', names: 'user' }),
  row({ format: 'email', names: 'user' }),
  row({ format: 'did', prefix: 'did:example:', names: 'number' }),
];

const opaque = (id: unknown) => ({ format: 'opaque', id });
const email = { format: 'email', email: 'ann@example.test' };
const NOBODY = { kind: 'nobody' };
const device = (...hints: object[]) => ({ kind: 'device', hints });
const ann = { kind: 'user', users: ['ann@example.test'] };

const CASES: readonly (readonly [string, unknown, unknown])[] = [
  ['opaque', opaque('DEVICE-A'), device({ deviceId: 'device-a' })],
  ['opaque that can be no device', opaque('../x'), device({ deviceId: null })],
  ['opaque with a number', opaque(7), NOBODY],
  ['opaque and empty', opaque(''), NOBODY],
  ['opaque of 400 characters', opaque('x'.repeat(400)), NOBODY],
  [
    'iss_sub of the issuer',
    { format: 'iss_sub', iss: 'https://idp.test', sub: 'C02' },
    device({ serial: 'C02' }),
  ],
  [
    'iss_sub of another issuer',
    { format: 'iss_sub', iss: 'https://evil.test', sub: 'C02' },
    NOBODY,
  ],
  ['iss_sub without issuer', { format: 'iss_sub', sub: 'C02' }, NOBODY],
  ['uri', { format: 'uri', uri: 'urn:udid:device-a' }, device({ deviceId: 'device-a' })],
  ['uri of another kind', { format: 'uri', uri: 'urn:imei:1' }, NOBODY],
  ['did', { format: 'did', url: 'did:example:616' }, device({ source: 'uem', uemId: '616' })],
  ['account', { format: 'account', uri: 'acct:ann' }, { kind: 'user', users: ['ann'] }],
  ['email', email, ann],
  ['a format no row has', { format: 'phone_number', phone_number: '+1' }, NOBODY],
  [
    'aliases',
    { format: 'aliases', identifiers: [email, opaque('device-a'), 'x', null] },
    device({ deviceId: 'device-a' }),
  ],
  [
    'aliases of aliases',
    { format: 'aliases', identifiers: [{ format: 'aliases', identifiers: [email] }] },
    NOBODY,
  ],
  ['aliases without a list', { format: 'aliases' }, NOBODY],
  [
    'complex: the device of a user is that device, not all of the user',
    { format: 'complex', user: email, device: opaque('device-a') },
    device({ deviceId: 'device-a' }),
  ],
  [
    'complex: a device that cannot be read is not all of the user',
    { format: 'complex', user: email, device: { format: 'phone_number' } },
    NOBODY,
  ],
  ['complex: a user in place of a device', { format: 'complex', device: email }, NOBODY],
  ['complex: a user', { format: 'complex', user: email }, ann],
  ['complex without its format', { user: email }, ann],
  ['complex: a session alone', { format: 'complex', session: opaque('device-a') }, NOBODY],
  ['complex: a device as text', { format: 'complex', device: 'device-a' }, NOBODY],
  ['nothing', undefined, NOBODY],
  ['a text', 'device-a', NOBODY],
  ['a list', [opaque('device-a')], NOBODY],
  [
    'what every object has',
    JSON.parse('{"__proto__":{"format":"opaque","id":"device-a"}}'),
    NOBODY,
  ],
];

for (const [what, value, subject] of CASES) {
  test(`${what}`, () => assert.deepEqual(readSubject(value, ROWS), subject));
}
