// Asking the system about an address of this machine, which sends nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probeSource } from '../../../gateway/edge/egress-probe.ts';
import { addressOf } from '../decision/policy-for.ts';

test('an address of this machine can be left from, another cannot', async () => {
  assert.equal(await probeSource(addressOf('127.0.0.9'), null), null);
  assert.equal(await probeSource(addressOf('192.0.2.77'), null), 'EADDRNOTAVAIL');
  assert.equal(await probeSource(addressOf('2001:db8::77'), null), 'EADDRNOTAVAIL');
});

test('the way to a destination is looked up from that address', async () => {
  assert.equal(await probeSource(addressOf('127.0.0.9'), addressOf('127.0.0.1')), null);
  // From loopback nothing leaves the machine.
  const away = await probeSource(addressOf('127.0.0.9'), addressOf('198.51.100.7'));
  assert.ok(away === 'EINVAL' || away === 'ENETUNREACH', String(away));
});
