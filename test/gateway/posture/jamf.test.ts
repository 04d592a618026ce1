// Jamf Pro as a source, against a stand-in over real sockets: what passes, and everything that must not.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { StandInFault } from '../../../cli/quickstart/stand-in-faults.ts';
import { createJamfSource, type JamfOptions } from '../../../gateway/posture/jamf.ts';
import { SourceError } from '../../../gateway/posture/source.ts';
import { iPhone, type JamfDevice, macBook, startJamf } from '../../support/jamf.ts';

const NOW = 1_790_000_000_000;
const MAC = macBook.udid.toLowerCase();
const PHONE = iPhone.udid.toLowerCase();

async function setUp(
  t: TestContext,
  devices: readonly JamfDevice[] = [macBook, iPhone],
  options: Partial<JamfOptions> = {},
) {
  const jamf = await startJamf(devices);
  const source = createJamfSource({
    name: 'jamf',
    url: jamf.url,
    tokenUrl: null,
    clientId: 'zonegate',
    clientSecret: 'jamf-secret',
    kinds: ['computer', 'mobile'],
    identifier: 'udid',
    compliantGroup: 'Compliant',
    compromisedGroup: null,
    ca: null,
    deadlineMs: 300,
    maxAnswerBytes: 65_536,
    now: () => NOW,
    ...options,
  });
  t.after(async () => {
    await source.close();
    await jamf[Symbol.asyncDispose]();
  });
  const ask = (deviceId: string) => source.fetch(deviceId, new AbortController().signal);
  const askMany = (ids: readonly string[]) => source.bulk.fetch(ids, new AbortController().signal);
  return { jamf, ask, askMany };
}

test('a computer is read with its smart groups', async (t) => {
  const { ask } = await setUp(t);
  assert.deepEqual(await ask(MAC), {
    source: 'jamf',
    id: 'computer-52',
    deviceId: MAC,
    serial: 'C02ABC',
    user: 'ann',
    platform: 'macos',
    groups: ['Pilot'],
    tags: ['Compliant', 'FileVault on'],
    ownership: null,
    osVersion: '26.1.0',
    model: 'MacBook Pro (14-inch)',
    enrollment: 'enrolled',
    compliance: 'compliant',
    compromised: 'unknown',
    lastSeen: Date.parse('2026-11-23T04:00:00.500Z'),
    fetchedAt: NOW,
  });
});

test('a mobile device is read from its own inventory, and found there at once the next time', async (t) => {
  const { ask, jamf } = await setUp(t);
  const report = await ask(PHONE);
  assert.deepEqual(report, {
    source: 'jamf',
    id: 'mobile-7',
    deviceId: PHONE,
    serial: 'F2LXYZ',
    user: 'ann',
    platform: 'ios',
    groups: [],
    tags: ['Compliant'],
    ownership: 'corporate',
    osVersion: '26.1',
    model: 'iPhone 15',
    enrollment: 'enrolled',
    compliance: 'compliant',
    compromised: 'no',
    lastSeen: Date.parse('2026-11-23T02:00:00.123Z'),
    fetchedAt: NOW,
  });
  await ask(PHONE);
  const paths = jamf.requests.map((line) => line.replace(/\?.*/, ''));
  const mobile = 'GET /api/v2/mobile-devices/detail';
  assert.deepEqual(paths, ['GET /api/v1/computers-inventory', mobile, mobile]);
});

test('a device is found by its serial number where certificates carry that', async (t) => {
  const { ask } = await setUp(t, [macBook, iPhone], { identifier: 'serial' });
  assert.equal((await ask('c02abc'))?.deviceId, 'c02abc');
  assert.equal((await ask('f2lxyz'))?.id, 'mobile-7');
});

test('a device in neither inventory is unknown', async (t) => {
  const { ask } = await setUp(t);
  assert.equal(await ask('never-seen'), null);
});

test('only the inventories that are named are asked', async (t) => {
  const { ask, jamf } = await setUp(t, [macBook, iPhone], { kinds: ['mobile'] });
  assert.equal(await ask(MAC), null);
  assert.equal(jamf.requests.length, 1);
});

type Verdict = 'compliance' | 'compromised' | 'enrollment' | 'ownership' | 'platform' | 'lastSeen';
const phone = (odd: Record<string, unknown>): JamfDevice => ({ ...iPhone, odd });
const generalOf = (change: object) => ({
  general: { udid: iPhone.udid, managed: true, ...change },
});

const VERDICTS: readonly (readonly [
  string,
  JamfDevice,
  Partial<JamfOptions>,
  Verdict,
  string | null,
])[] = [
  ['outside the group', { ...macBook, smart: ['FileVault on'] }, {}, 'compliance', 'non_compliant'],
  ['in no group', { ...macBook, smart: [], static: [] }, {}, 'compliance', 'non_compliant'],
  [
    'in a static group of that name',
    { ...macBook, smart: [], static: ['Compliant'] },
    {},
    'compliance',
    'non_compliant',
  ],
  [
    'in a group spelt otherwise',
    { ...macBook, smart: ['compliant'] },
    {},
    'compliance',
    'non_compliant',
  ],
  [
    'in a group with more to its name',
    { ...macBook, smart: ['Compliant (old)'] },
    {},
    'compliance',
    'non_compliant',
  ],
  ['not managed', { ...macBook, managed: false }, {}, 'enrollment', 'unenrolled'],
  ['mobile and not managed', { ...iPhone, managed: false }, {}, 'enrollment', 'unenrolled'],
  [
    'in the group of the compromised',
    { ...macBook, smart: ['Bad'] },
    { compromisedGroup: 'Bad' },
    'compromised',
    'yes',
  ],
  [
    'not in the group of the compromised',
    macBook,
    { compromisedGroup: 'Bad' },
    'compromised',
    'no',
  ],
  ['jailbroken', phone({ security: { jailBreakDetected: true } }), {}, 'compromised', 'yes'],
  ['without a word about jailbreaks', phone({ security: null }), {}, 'compromised', 'unknown'],
  [
    'personal',
    phone(generalOf({ deviceOwnershipType: 'User Enrollment' })),
    {},
    'ownership',
    'personal',
  ],
  [
    'of an owner unheard of',
    phone(generalOf({ deviceOwnershipType: 'Leased' })),
    {},
    'ownership',
    null,
  ],
  ['a television', phone({ deviceType: 'tvOS' }), {}, 'platform', null],
  ['never seen', phone(generalOf({ lastInventoryUpdateDate: null })), {}, 'lastSeen', null],
];

for (const [what, device, options, key, value] of VERDICTS) {
  test(`a device that is ${what}: ${key} is ${value}`, async (t) => {
    const { ask } = await setUp(t, [device], options);
    assert.equal((await ask(device.udid.toLowerCase()))?.[key], value);
  });
}

const mac = (odd: Record<string, unknown>): JamfDevice => ({ ...macBook, odd });
const UNBELIEVABLE: readonly (readonly [string, readonly JamfDevice[]])[] = [
  [
    'no groups, as an account without the right to read them gets',
    [mac({ groupMemberships: null })],
  ],
  ['groups that are texts', [mac({ groupMemberships: ['Compliant'] })]],
  [
    'a group that does not say whether it is smart',
    [mac({ groupMemberships: [{ groupName: 'Compliant' }] })],
  ],
  [
    '"true" for smart',
    [mac({ groupMemberships: [{ groupName: 'Compliant', smartGroup: 'true' }] })],
  ],
  ['no general section', [mac({ general: null })]],
  ['"true" for managed', [mac({ general: { remoteManagement: { managed: 'true' } } })]],
  ['no word about being managed', [mac({ general: { remoteManagement: {} } })]],
  ['no number', [mac({ id: '' })]],
  [
    'a date that is none',
    [mac({ general: { remoteManagement: { managed: true }, lastContactTime: 'soon' } })],
  ],
  ['two records', [macBook, { ...macBook, id: '53', smart: [] }]],
];

for (const [what, devices] of UNBELIEVABLE) {
  test(`${what}: not believed, and no grace (P06)`, async (t) => {
    const { ask } = await setUp(t, devices);
    await assert.rejects(
      ask(MAC),
      (error) => error instanceof SourceError && error.kind === 'answer',
    );
  });
}

test('a server that leaves out the filter does not pass another device off for this one (P06)', async (t) => {
  const { ask, jamf } = await setUp(t);
  jamf.setFault('no-filter');
  await assert.rejects(ask('never-seen'), { kind: 'answer', message: /another device/ });
});

const OUTAGES: readonly StandInFault[] = [
  'down',
  'hang',
  'drip',
  '401',
  '429',
  '500',
  'html',
  'empty',
  'cut',
  'huge',
  'redirect',
];

for (const fault of OUTAGES) {
  test(`${fault} is an outage, and over when it is over (P05, P08)`, async (t) => {
    const { ask, jamf } = await setUp(t);
    jamf.setFault(fault);
    const failure = await ask(MAC).then(
      () => null,
      (error: unknown) => error,
    );
    assert.ok(failure instanceof SourceError);
    assert.equal(failure.kind, 'outage');
    assert.equal(failure.retryAfterMs, fault === '429' ? 7_000 : null);
    assert.doesNotMatch(failure.message, /token-|jamf-secret|7c3f/i);
    jamf.setFault(null);
    assert.equal((await ask(MAC))?.compliance, 'compliant');
  });
}

test('one token serves many look-ups, and one that is refused is renewed once', async (t) => {
  const { ask, jamf } = await setUp(t);
  await Promise.all([ask(MAC), ask(MAC), ask(PHONE)]);
  assert.equal(jamf.tokensGiven(), 1);
  jamf.revokeTokens();
  assert.equal((await ask(MAC))?.id, 'computer-52');
  assert.equal(jamf.tokensGiven(), 2);
});

test('a client that is refused is an outage that names no secret', async (t) => {
  const { ask } = await setUp(t, [macBook], { clientSecret: 'wrong-secret' });
  await assert.rejects(ask(MAC), (error: Error) => !error.message.includes('wrong-secret'));
});

test('many devices of both kinds are one call for each inventory', async (t) => {
  const { askMany, jamf } = await setUp(t);
  const answers = await askMany([MAC, 'never-seen', PHONE]);
  assert.deepEqual(
    [...answers].map(([id, report]) => [id, report?.id ?? null]),
    [
      [MAC, 'computer-52'],
      ['never-seen', null],
      [PHONE, 'mobile-7'],
    ],
  );
  assert.equal(jamf.requests.length, 2);
});

test('half a batch makes no device unknown: what is missing is missing', async (t) => {
  const second = { ...macBook, id: '53', udid: 'second-mac' };
  const { askMany, jamf } = await setUp(t, [macBook, second]);
  jamf.setFault('half');
  assert.deepEqual([...(await askMany([MAC, 'second-mac', PHONE])).keys()], [MAC]);
});

test('in a batch, a device that cannot be read and one with two records are missing', async (t) => {
  const twin = { ...macBook, id: '53' };
  const odd = phone({ groups: null });
  const { askMany } = await setUp(t, [macBook, twin, odd]);
  assert.deepEqual([...(await askMany([MAC, PHONE, 'never-seen'])).keys()], []);
});
