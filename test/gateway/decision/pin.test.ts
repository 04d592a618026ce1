// Pinning: what may be dialled, whatever a name resolved to; single outcomes stand in test/cases/admission.json.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Address, formatAddress, inRange } from '../../../dtr-rules/address.ts';
import type { Target } from '../../../dtr-rules/rule.ts';
import { refuse, type Tunnel } from '../../../gateway/decision/decision.ts';
import { pin } from '../../../gateway/decision/pin.ts';
import { embeddedAddress, judgeSpecial } from '../../../gateway/decision/special.ts';
import { addressOf, NOW, policyFor, rangeOf } from './policy-for.ts';

const policy = policyFor({
  ruleSets: [
    {
      name: 'staff',
      defaultAction: 'TUNNEL',
      rules: [{ id: 'net', action: 'BLOCK', destinations: ['93.184.0.0/16'] }],
    },
  ],
  own: [':8443', '93.10.0.53:53'],
  local: ['127.0.0.0/8', '::1', '10.20.0.7', '93.10.0.7'],
});

const tunnel: Tunnel = {
  action: 'tunnel',
  rule: 'all',
  set: 'staff',
  pool: 'main',
  sources: { v4: [addressOf('198.51.100.10')], v6: [addressOf('2001:db8:0:e::10')] },
  upstream: null,
  only: null,
  open: [],
  idleMs: null,
  lifetimeMs: null,
  given: { app: null, now: NOW },
  reported: [],
  trail: [],
};

function target(port: number): Target {
  return { host: 'any.example', address: null, port };
}

// Addresses around those that matter, and IPv6 spellings of them; uniform ones would all be ordinary.
const v4 = fc
  .oneof(
    fc.constantFrom(
      '127.0.0.1',
      '10.20.0.7',
      '93.10.0.7',
      '93.10.0.53',
      '0.0.0.0',
      '100.100.100.200',
    ),
    fc.constantFrom('93.184.215.14', '45.33.32.1', '169.254.169.254', '192.168.1.1'),
    fc.ipV4(),
  )
  .map(addressOf);
const high = fc.constantFrom(
  0n,
  0xffffn << 32n,
  0x64ff9bn << 96n,
  0x2002n << 112n,
  0x2606n << 112n,
);
const v6 = fc.tuple(high, v4).map(([prefix, { value }]): Address => {
  const whole = prefix | value;
  return { family: 6, value: whole, text: formatAddress(6, whole) };
});
const answers = fc.array(fc.oneof(v4, v6), { minLength: 1, maxLength: 3 });
const ports = fc.constantFrom(443, 8443, 53);
const opened = fc.subarray(
  ['0.0.0.0/0', '::/0', '10.0.0.0/8', '127.0.0.1', '64:ff9b::/96', '169.254.169.254'].map(rangeOf),
);

test('no candidate is special or local unless its rule opens it', () => {
  fc.assert(
    fc.property(answers, ports, opened, (addresses, port, open) => {
      const pinned = pin({ ...tunnel, open }, target(port), addresses, policy);
      if (pinned.action === 'refuse') return;
      for (const { address } of pinned.candidates) {
        const isOpened = open.some((range) => inRange(address, range));
        assert.ok(isOpened || judgeSpecial(address) === null, address.text);
        assert.ok(isOpened || !policy.guard.local.some((range) => inRange(address, range)));
      }
    }),
    { numRuns: 2_000 },
  );
});

test('no candidate is the gateway itself or its resolver, whatever is open (S11)', () => {
  const isOurs = (address: Address) =>
    address.value === 0n || policy.guard.local.some((range) => inRange(address, range));
  const open = ['0.0.0.0/0', '::/0'].map(rangeOf);
  fc.assert(
    fc.property(answers, ports, (addresses, port) => {
      const pinned = pin({ ...tunnel, open }, target(port), addresses, policy);
      if (pinned.action === 'refuse') return;
      for (const { address } of pinned.candidates) {
        const dialled = embeddedAddress(address) ?? address;
        assert.ok(port !== 8443 || !isOurs(dialled), address.text);
        assert.ok(port !== 53 || dialled.text !== '93.10.0.53', address.text);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('one forbidden answer refuses all, wherever it stands (S07)', () => {
  const good = addressOf('45.33.32.1');
  for (const bad of ['10.0.0.1', '::1', '169.254.169.254', '93.10.0.7'].map(addressOf)) {
    for (const addresses of [
      [bad, good],
      [good, bad],
    ]) {
      const pinned = pin(tunnel, target(443), addresses, policy);
      assert.ok(pinned.action === 'refuse');
      assert.equal(pinned.by, bad.text);
    }
  }
});

test('a candidate is an answer, and leaves from the source of its family', () => {
  fc.assert(
    fc.property(answers, ports, (addresses, port) => {
      const pinned = pin(tunnel, target(port), addresses, policy);
      if (pinned.action === 'refuse') return;
      for (const { address, source } of pinned.candidates) {
        assert.ok(addresses.includes(address));
        assert.equal(source.family, address.family);
      }
    }),
  );
});

test("through an upstream proxy the family of the target is the proxy's matter", () => {
  const v4Only = { v4: [addressOf('198.51.100.10')], v6: [] };
  const through = { ...tunnel, upstream: 'partner', sources: v4Only };
  const literal = addressOf('2606:4700::1');
  const pinned = pin(
    through,
    { host: literal.text, address: literal, port: 443 },
    [literal],
    policy,
  );
  assert.ok(pinned.action === 'pinned');
  assert.deepEqual(pinned.candidates, []);
  assert.deepEqual(pinned.trail, [{ stage: 'address', by: literal.text }]);
  for (const [text, reason] of [
    ['10.0.0.1', 'address.special'],
    ['169.254.169.254', 'address.metadata'],
  ] as const) {
    const refused = pin(through, target(443), [addressOf(text)], policy);
    assert.equal(refused.action === 'refuse' && refused.reason, reason);
  }
  const blocked = pin(through, target(443), [addressOf('93.184.215.14')], policy);
  assert.equal(blocked.action === 'refuse' && blocked.reason, 'address.blocked');
});

test('a candidate knows the neighbours of its egress address, of its own family', () => {
  const v4 = ['198.51.100.10', '198.51.100.11', '198.51.100.12'].map(addressOf);
  const sources = { v4, v6: [addressOf('2001:db8:0:e::10')] };
  const pinned = pin({ ...tunnel, sources }, target(443), [addressOf('45.33.32.1')], policy);
  assert.ok(pinned.action === 'pinned');
  assert.deepEqual(pinned.candidates, [
    { address: addressOf('45.33.32.1'), source: v4[0], neighbours: v4.slice(1) },
  ]);
});

test('an address rule binds to its addresses: no other answer is dialled', () => {
  const [kept, other] = ['45.33.32.1', '45.33.32.2'].map(addressOf);
  assert.ok(kept && other);
  const pinned = pin({ ...tunnel, only: [kept] }, target(443), [other, kept], policy);
  assert.ok(pinned.action === 'pinned');
  assert.deepEqual(
    pinned.candidates.map(({ address }) => address),
    [kept],
  );
});

test('no addresses are nothing to dial', () => {
  const pinned = pin(tunnel, target(443), [], policy);
  assert.deepEqual(pinned, refuse('egress.no_family', 'main', []));
});

test('the trail ends with the address tried first', () => {
  const pinned = pin(tunnel, target(443), [addressOf('45.33.32.1')], policy);
  assert.deepEqual(pinned.trail, [{ stage: 'address', by: '45.33.32.1' }]);
});

// Passing without the BLOCK rules of the set would be failing open.
test('a decision made under other rules is a bug, not a connection', () => {
  const alien = { ...tunnel, set: 'another' };
  assert.throws(() => pin(alien, target(443), [addressOf('45.33.32.1')], policy), /no rule set/);
});

test('a report-only rule says what it thinks of the addresses once they are known, and takes none out', () => {
  const reporting = policyFor({
    ruleSets: [
      {
        name: 'staff',
        defaultAction: 'TUNNEL',
        rules: [
          { id: 'net', action: 'BLOCK', destinations: ['93.184.0.0/16'], reportOnly: true },
          { id: 'name', action: 'BYPASS', destinations: ['*'], reportOnly: true },
        ],
      },
    ],
  });
  const byName = [{ rule: 'name', action: 'BYPASS' }] as const;
  const judged = { ...tunnel, reported: byName };
  const dialled = (text: string) => {
    const pinned = pin(judged, target(443), [addressOf(text)], reporting);
    assert.ok(pinned.action === 'pinned');
    return pinned;
  };
  const net = { rule: 'net', action: 'BLOCK' };
  assert.deepEqual(dialled('93.184.215.14').reported, [net, ...byName]);
  assert.equal(dialled('93.184.215.14').candidates.length, 1);
  assert.deepEqual(dialled('45.33.32.1').reported, byName);
  // Without report-only address rules there is nothing to ask again.
  const plain = pin(judged, target(443), [addressOf('45.33.32.1')], policy);
  assert.equal(plain.reported, byName);
});
