// The inventory file: what it may say, and how it answers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createInventorySource, parseInventory } from '../../../gateway/posture/inventory.ts';
import { UDID } from './fake-source.ts';

const DEVICE = { udid: UDID.toUpperCase(), enrolled: true, compliant: true, compromised: false };

function devicesOf(...devices: readonly unknown[]) {
  const parsed = parseInventory({ devices });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.value;
}

function issuesOf(value: unknown): readonly string[] {
  const parsed = parseInventory(value);
  assert.ok(!parsed.ok);
  return parsed.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

test('a listed device is reported as the file says, at the moment of asking', async () => {
  const devices = devicesOf({
    ...DEVICE,
    serial: 'C02ABC',
    user: 'ann',
    platform: 'macos',
    groups: ['staff'],
    tags: ['kiosk'],
    lastSeen: '2025-01-31T08:00:00Z',
  });
  const source = createInventorySource({ name: 'inventory', devices, now: () => 5 });
  assert.deepEqual(await source.fetch(UDID, new AbortController().signal), {
    source: 'inventory',
    id: UDID,
    deviceId: UDID,
    serial: 'C02ABC',
    user: 'ann',
    platform: 'macos',
    groups: ['staff'],
    tags: ['kiosk'],
    ownership: null,
    osVersion: null,
    model: null,
    enrollment: 'enrolled',
    compliance: 'compliant',
    compromised: 'no',
    lastSeen: Date.UTC(2025, 0, 31, 8),
    fetchedAt: 5,
  });
});

test('bad verdicts are reported as bad', async () => {
  const devices = devicesOf({ ...DEVICE, enrolled: false, compliant: false, compromised: true });
  const source = createInventorySource({ name: 'inventory', devices, now: () => 0 });
  const report = await source.fetch(UDID, new AbortController().signal);
  assert.deepEqual(
    [report?.enrollment, report?.compliance, report?.compromised],
    ['unenrolled', 'non_compliant', 'yes'],
  );
});

test('a new list replaces the old one whole', async () => {
  const source = createInventorySource({
    name: 'inventory',
    devices: devicesOf(DEVICE),
    now: () => 0,
  });
  source.update(devicesOf({ ...DEVICE, udid: 'another' }));
  const signal = new AbortController().signal;
  assert.equal(await source.fetch(UDID, signal), null);
  assert.equal((await source.fetch('another', signal))?.deviceId, 'another');
});

test('no verdict has a default', () => {
  const issues = issuesOf({ devices: [{ udid: UDID }] });
  assert.deepEqual(
    issues.map((issue) => issue.split(':')[0]),
    ['devices.0.enrolled', 'devices.0.compliant', 'devices.0.compromised'],
  );
});

test('a device listed twice is an issue, in any case of letters', () => {
  const issues = issuesOf({ devices: [DEVICE, { ...DEVICE, udid: UDID }] });
  assert.deepEqual(issues, [`devices.1.udid: device \`${UDID}\` is listed twice`]);
});

test('everything wrong is said at once', () => {
  const issues = issuesOf({
    devices: [
      { ...DEVICE, udid: 'a b', platform: 'Apple', compliant: 'true', lastSeen: 'now', owner: 'x' },
    ],
  });
  const places = new Set(issues.map((issue) => issue.split(':')[0]));
  const expected = [
    'devices.0.compliant',
    'devices.0.lastSeen',
    'devices.0.owner',
    'devices.0.platform',
    'devices.0.udid',
  ];
  assert.deepEqual(places, new Set(expected));
});
