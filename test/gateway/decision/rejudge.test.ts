// Judging open connections anew; what changes under them stands in test/cases/admission.json.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rejudge, type Standing } from '../../../gateway/decision/rejudge.ts';
import { addressOf, healthyReport, NOW, peer, policyFor } from './policy-for.ts';

const address = addressOf('93.184.215.14');
const standing: Standing = {
  peer,
  target: { host: 'any.example', address: null, port: 443 },
  addresses: [address],
  upstream: null,
  address,
  source: addressOf('198.51.100.10'),
};
const healthy = { report: healthyReport, known: true };
const policy = policyFor();

test('a resumed session is judged by the same facts as a full handshake (T11)', () => {
  const resumed = { ...standing, peer: { ...peer, resumed: true } };
  assert.equal(rejudge(resumed, healthy, policy, NOW), null);
  const late = NOW + 3_600_001;
  assert.equal(rejudge(resumed, healthy, policy, late), 'identity.expired');
  const lost = { report: { ...healthyReport, compromised: 'yes' as const }, known: true };
  assert.equal(rejudge(resumed, lost, policy, NOW), 'posture.compromised');
});

test('time alone closes a connection whose report nobody renews (P03)', () => {
  const { maxReportAgeMs } = policy.posture;
  assert.equal(rejudge(standing, healthy, policy, NOW + maxReportAgeMs), null);
  assert.equal(rejudge(standing, healthy, policy, NOW + maxReportAgeMs + 1), 'posture.stale');
});

test('a connection is kept by the address it goes to, not by others of the same name', () => {
  const elsewhere = { ...standing, address: addressOf('45.33.32.1') };
  assert.equal(rejudge(elsewhere, healthy, policy, NOW), 'rules.changed');
});

test('a direct connection nobody judged an address for does not stay', () => {
  const unknown = { ...standing, addresses: null };
  assert.equal(rejudge(unknown, healthy, policy, NOW), 'rules.changed');
});
