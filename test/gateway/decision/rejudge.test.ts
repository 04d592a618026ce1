// Judging open connections anew; what changes under them stands in test/cases/admission.json.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AppSource } from '../../../gateway/decision/identity.ts';
import { rejudge, type Standing } from '../../../gateway/decision/rejudge.ts';
import { addressOf, healthyReport, NOW, peer, policyFor } from './policy-for.ts';

const address = addressOf('93.184.215.14');
const standing: Standing = {
  peer,
  heard: { source: null, app: null },
  target: { host: 'any.example', address: null, port: 443 },
  addresses: [address],
  upstream: null,
  server: null,
  address,
  source: addressOf('198.51.100.10'),
};
const healthy = { report: healthyReport, known: true, block: null };
const policy = policyFor();

test('a resumed session is judged by the same facts as a full handshake (T11)', () => {
  const resumed = { ...standing, peer: { ...peer, resumed: true } };
  assert.equal(rejudge(resumed, healthy, policy, NOW), null);
  const late = NOW + 3_600_001;
  assert.equal(rejudge(resumed, healthy, policy, late), 'identity.expired');
  const lost = {
    report: { ...healthyReport, compromised: 'yes' as const },
    known: true,
    block: null,
  };
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

test('a connection through a server that is no longer one of the upstream proxy does not stay', () => {
  const [one, two] = ['192.0.2.80:3128', '192.0.2.81:3128'];
  const rules = [
    { id: 'partner', action: 'PROXY', upstream: 'partner-proxy', destinations: ['*'] },
  ];
  const ruleSets = [{ name: 'staff', defaultAction: 'BLOCK', rules }];
  const listing = (...servers: string[]) =>
    policyFor({ ruleSets, upstreams: { 'partner-proxy': servers } });
  const through = (server: string | null) => ({
    ...standing,
    upstream: 'partner-proxy',
    addresses: null,
    server,
  });
  for (const server of [one, two]) {
    assert.equal(rejudge(through(server), healthy, listing(one, two), NOW), null);
  }
  assert.equal(rejudge(through(one), healthy, listing(two), NOW), 'rules.changed');
  assert.equal(rejudge(through(two), healthy, listing(two), NOW), null);
  assert.equal(rejudge(through(null), healthy, listing(one), NOW), 'rules.changed');
  const renamed = policyFor({ ruleSets, upstreams: { other: [one] } });
  assert.equal(rejudge(through(one), healthy, renamed, NOW), 'rules.changed');
});

test('a connection that left from a neighbour stays as long as the pool has that address', () => {
  const pools = (...addresses: string[]) => policyFor({ pools: { main: addresses } });
  const both = pools('198.51.100.10', '198.51.100.11');
  for (const text of ['198.51.100.10', '198.51.100.11']) {
    const moved = { ...standing, source: addressOf(text) };
    assert.equal(rejudge(moved, healthy, both, NOW), null);
  }
  assert.equal(rejudge(standing, healthy, pools('198.51.100.11'), NOW), 'egress.changed');
});

test('a connection keeps the application it was admitted for, as long as its source is believed', () => {
  const mail = policyFor({
    applications: { mail: { bundleId: 'com.example.mail' } },
    ruleSets: [
      {
        name: 'staff',
        defaultAction: 'BLOCK',
        rules: [{ id: 'mail', action: 'TUNNEL', apps: ['mail'], destinations: ['*'] }],
      },
    ],
  });
  const believing = (source: AppSource | null) => ({
    ...mail,
    identity: { ...mail.identity, app: source },
  });
  const heard = { source: { from: 'listener' } as const, app: 'mail' };
  const under = (source: AppSource | null) =>
    rejudge({ ...standing, heard }, healthy, believing(source), NOW);
  assert.equal(under({ from: 'listener' }), null);
  assert.equal(under({ from: 'header', name: 'x-app' }), 'rules.block');
  assert.equal(under(null), 'rules.block');
});
