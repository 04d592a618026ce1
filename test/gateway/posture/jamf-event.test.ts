// Webhooks of Jamf Pro, as its documentation and its users show them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseJamfEvent } from '../../../gateway/posture/jamf-event.ts';
import type { UemEvent } from '../../../gateway/posture/uem-event.ts';

const computer = {
  udid: '7C3F0F00-1111-2222-3333-444455556666',
  deviceName: 'MacBook of Ann',
  serialNumber: 'C02ABC',
  jssID: 52,
  username: 'ann',
  emailAddress: 'ann@example.test',
  managementId: '21d2a0d2-5d4b-4a5c-8f3d-3f7e5e0a7b6c',
  osVersion: '26.1.0',
};
const mac = { uemId: 'computer-52', serial: 'C02ABC', deviceId: computer.udid.toLowerCase() };

function event(webhookEvent: string, body: unknown, webhook: object = {}): string {
  const head = { id: 3, name: 'zonegate', webhookEvent, eventTimestamp: 1_735_689_600_000 };
  return JSON.stringify({ webhook: { ...head, ...webhook }, event: body });
}

function parsed(text: string): UemEvent {
  const found = parseJamfEvent(text);
  assert.ok(typeof found !== 'string');
  return found;
}

const change = (added: readonly unknown[], removed: readonly unknown[]) => ({
  name: 'Compliant',
  jssid: 12,
  smartGroup: true,
  computer: true,
  groupAddedDevicesIds: added,
  groupRemovedDevicesIds: removed,
  groupAddedDevices: [{ serialNumber: 'C02ABC' }],
  groupRemovedDevices: [],
});

const SHAPES: readonly (readonly [string, string, unknown])[] = [
  ['a new computer', event('ComputerAdded', computer), [mac]],
  ['an inventory of a computer', event('ComputerInventoryCompleted', computer), [mac]],
  [
    'a check-in, with the computer one level deeper',
    event('ComputerCheckIn', { computer, trigger: 'CLIENT_CHECKIN', username: 'Ann' }),
    [mac],
  ],
  ['a check-in of a version that has it flat', event('ComputerCheckIn', computer), [mac]],
  [
    'a mobile device that is no longer enrolled',
    event('MobileDeviceUnEnrolled', { ...computer, jssID: 52 }),
    [{ ...mac, uemId: 'mobile-52' }],
  ],
  [
    'a device with nothing but its serial number',
    event('MobileDeviceEnrolled', { serialNumber: 'F2L', udid: '' }),
    [{ uemId: null, serial: 'F2L', deviceId: null }],
  ],
  [
    'computers that came into a group and left it',
    event('SmartGroupComputerMembershipChange', change([52], [53])),
    [{ uemId: 'computer-52' }, { uemId: 'computer-53' }],
  ],
  [
    'mobile devices that left a group',
    event('SmartGroupMobileDeviceMembershipChange', {
      ...change([], [7]),
      computer: false,
      groupAddedDevicesIds: undefined,
    }),
    [{ uemId: 'mobile-7' }],
  ],
  ['users that left a group', event('SmartGroupUserMembershipChange', change([1], [])), []],
  ['a server that started', event('JSSStartup', { hostAddress: '::1' }), []],
  ['an event of a computer without one', event('ComputerPushCapabilityChanged', {}), []],
  ['an empty object, as a test of the connection', '{}', []],
];

for (const [what, text, devices] of SHAPES) {
  test(`${what} is understood`, () => assert.deepEqual(parsed(text).devices, devices));
}

test('a group of more devices than are taken at once is taken so far', () => {
  const ids = Array.from({ length: 3000 }, (_, at) => at + 1);
  assert.equal(
    parsed(event('SmartGroupComputerMembershipChange', change(ids, []))).devices.length,
    1000,
  );
});

test('the same event has the same name, another moment or device another', () => {
  const key = (text: string) => parsed(text).key;
  const first = key(event('ComputerCheckIn', computer));
  assert.equal(key(event('ComputerCheckIn', computer)), first);
  const others = [
    event('ComputerCheckIn', computer, { eventTimestamp: 1_735_689_600_001 }),
    event('ComputerCheckIn', { ...computer, jssID: 53 }),
    event('ComputerAdded', computer),
  ];
  for (const other of others) assert.notEqual(key(other), first);
  assert.equal(key(event('ComputerCheckIn', computer, { eventTimestamp: undefined })), null);
});

const MALFORMED = [
  '{',
  '[]',
  'null',
  '{"webhook":{}}',
  '{"webhook":{},"event":{}}',
  '{"webhook":[],"event":[]}',
  event('x'.repeat(300), computer),
  event('ComputerAdded', { ...computer, jssID: -1 }),
  event('ComputerAdded', { ...computer, jssID: '52 or 1=1' }),
  event('ComputerAdded', { ...computer, udid: { a: 1 } }),
  event('ComputerAdded', { ...computer, serialNumber: 'x'.repeat(300) }),
  event('SmartGroupComputerMembershipChange', change(['../52'], [])),
  event('SmartGroupComputerMembershipChange', change([0], [])),
  event('SmartGroupComputerMembershipChange', change([null], [])),
  event('ComputerAdded', { a: { a: { a: { a: { a: 1 } } } } }),
];

for (const text of MALFORMED) {
  test(`${text.slice(0, 60)} is refused (P13)`, () => {
    assert.equal(typeof parseJamfEvent(text), 'string');
  });
}

test('keys named like parts of every object have no effect (A07)', () => {
  const text = '{"webhook":{"webhookEvent":"ComputerAdded"},"event":{"__proto__":{"jssID":52}}}';
  assert.deepEqual(parsed(text).devices, []);
});
