// Every spelling of a Workspace ONE device, and what it becomes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PostureReport } from '../../../gateway/decision/posture.ts';
import { parseMoment } from '../../../gateway/posture/moment.ts';
import { canonicalDeviceId, SourceError } from '../../../gateway/posture/source.ts';
import { fieldsOf } from '../../../gateway/posture/uem-answer.ts';
import { readDevice } from '../../../gateway/posture/workspace-one-device.ts';

const DEVICE = {
  Id: { Value: 616 },
  Udid: 'ABCDEF01',
  EnrollmentStatus: 'Enrolled',
  ComplianceStatus: 'Compliant',
  CompromisedStatus: false,
};

function read(change: Record<string, unknown>): PostureReport {
  const fields = fieldsOf({ ...DEVICE, ...change });
  assert.ok(fields !== null);
  return readDevice(fields, { source: 'ws1', deviceId: 'abcdef01', fetchedAt: 0 });
}

const COMPLIANCE = {
  compliant: ['Compliant', 'COMPLIANT', ' compliant '],
  not_evaluated: ['NotAvailable', 'NOT_AVAILABLE', 'Unknown', 'Not Applicable'],
  pending: [
    'PendingComplianceCheck',
    'PENDING_COMPLIANCE_CHECK',
    'PendingComplianceCheckForAPolicy',
  ],
  non_compliant: [
    'NonCompliant',
    'NON_COMPLIANT',
    'NOT_COMPLIANT',
    'Non-Compliant',
    'Allowed',
    'Blocked',
    'Quarantined',
    'RegistrationActive',
    'RegistrationExpired',
    'SomethingNew',
    '__proto__',
    'constructor',
  ],
};

for (const [compliance, spellings] of Object.entries(COMPLIANCE)) {
  test(`${compliance} in all its spellings`, () => {
    for (const text of spellings) {
      assert.equal(read({ ComplianceStatus: text }).compliance, compliance, text);
    }
  });
}

const ENROLLMENT = {
  enrolled: ['Enrolled', 'ENROLLED', 'UserEnrolled', 'USER_ENROLLED'],
  registered: ['Registered', 'StandaloneCatalog', 'STANDALONE_CATALOG'],
  pending: ['EnrollmentInProgress', 'PendingAgent', 'PENDINGENROLLMENT'],
  wiped: ['EnterpriseWipePending', 'ENTERPRISEWIPEPENDING', 'DEVICE_WIPE_PENDING', 'WipeInitiated'],
  unenrolled: [
    'Unknown',
    'Discovered',
    'Retired',
    'Unenrolled',
    'Blacklisted',
    'UnenrolledByFeedbackService',
    'DeviceNotFound',
    'RelinquishOwnershipPending',
    'SomethingNew',
    '__proto__',
  ],
};

for (const [enrollment, spellings] of Object.entries(ENROLLMENT)) {
  test(`${enrollment} in all its spellings`, () => {
    for (const text of spellings) {
      assert.equal(read({ EnrollmentStatus: text }).enrollment, enrollment, text);
    }
  });
}

test('ownership is a letter or a word, and a strange one is none', () => {
  const owners = { C: 'corporate', CORPORATE: 'corporate', Employee: 'personal', S: 'shared' };
  for (const [theirs, ours] of Object.entries(owners)) {
    assert.equal(read({ Ownership: theirs }).ownership, ours);
  }
  for (const strange of ['Undefined', 'constructor', '', null]) {
    assert.equal(read({ Ownership: strange }).ownership, null);
  }
});

test('compromised is a boolean or not known yet', () => {
  assert.equal(read({ CompromisedStatus: true }).compromised, 'yes');
  assert.equal(read({ CompromisedStatus: false }).compromised, 'no');
  assert.equal(read({ CompromisedStatus: null }).compromised, 'unknown');
  assert.equal(read({ CompromisedStatus: undefined }).compromised, 'unknown');
});

test('platforms get our names, and strange ones none', () => {
  const platforms = { Apple: 'ios', AppleOsX: 'macos', Android: 'android', WinRT: 'windows' };
  for (const [theirs, ours] of Object.entries({
    ...platforms,
    ChromeOS: 'chromeos',
    Linux: 'linux',
  })) {
    assert.equal(read({ Platform: theirs }).platform, ours);
  }
  for (const strange of ['WindowsPhone8', 'constructor', '', null]) {
    assert.equal(read({ Platform: strange }).platform, null);
  }
});

test('what is empty is absent, and a date of year one is never', () => {
  const report = read({ SerialNumber: '', UserName: null, LastSeen: '0001-01-01T00:00:00' });
  assert.deepEqual(
    [report.serial, report.user, report.lastSeen, report.groups],
    [null, null, null, []],
  );
});

const UNBELIEVABLE: readonly Record<string, unknown>[] = [
  { Udid: 'abcdef02' },
  { Udid: '' },
  { Udid: ['ABCDEF01'] },
  { Udid: 'ABCDEF01 ' },
  { Id: 616 },
  { Id: { Value: '616' } },
  { Id: { Value: 1.5 } },
  { Id: { Value: -1 } },
  { Id: null },
  { EnrollmentStatus: 4 },
  { EnrollmentStatus: '' },
  { EnrollmentStatus: undefined },
  { ComplianceStatus: true },
  { ComplianceStatus: ['Compliant'] },
  { ComplianceStatus: null },
  { CompromisedStatus: 'false' },
  { CompromisedStatus: 0 },
  { CompromisedStatus: '' },
  { LastSeen: 'yesterday' },
  { LastSeen: 1_738_310_400 },
  { SerialNumber: 7 },
  { UserName: {} },
  { Platform: 2 },
];

for (const change of UNBELIEVABLE) {
  test(`a device with ${JSON.stringify(change)} is not believed (P06)`, () => {
    assert.throws(
      () => read(change),
      (error) => error instanceof SourceError && error.kind === 'answer',
    );
  });
}

test('moments have any number of fractional digits and are UTC without a zone', () => {
  const moment = Date.UTC(2025, 0, 31, 8, 0, 0, 120);
  assert.equal(parseMoment('2025-01-31T08:00:00.12'), moment);
  assert.equal(parseMoment('2025-01-31T08:00:00.1209999'), moment);
  assert.equal(parseMoment('2025-01-31T08:00:00.120Z'), moment);
  assert.equal(parseMoment('2025-01-31T10:00:00.120+02:00'), moment);
  assert.equal(parseMoment('2025-01-31T08:00:00'), moment - 120);
  for (const text of ['', '2025-01-31', '2025-13-31T08:00:00', '31.1.2025', '1738310400']) {
    assert.equal(parseMoment(text), null, text);
  }
});

test('device ids have one form, and what is no device id has none (T09, T10)', () => {
  assert.equal(canonicalDeviceId('00008110-000A1B2C3D4E5F60'), '00008110-000a1b2c3d4e5f60');
  for (const text of [
    '',
    'abc',
    'System.Byte[]',
    'a b c d',
    'abcd\n',
    'a/../b',
    'ａｂｃｄ',
    'x'.repeat(129),
  ]) {
    assert.equal(canonicalDeviceId(text), null, JSON.stringify(text));
  }
});
