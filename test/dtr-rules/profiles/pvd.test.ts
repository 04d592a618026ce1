// Owns the provisioning domain that the gateway serves: ordered rules, and what has to be said in other words.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { inRange, parseAddressRange } from '../../../dtr-rules/address.ts';
import { blocksOf } from '../../../dtr-rules/profiles/blocks.ts';
import { makeServed } from '../../../dtr-rules/profiles/kinds.ts';
import { waysInPvd } from '../../../dtr-rules/profiles/pvd.ts';
import { runPac } from '../../../gateway/edge/run-pac.ts';
import { ruleSet, target } from '../rule-file.ts';
import { facts } from './facts.ts';

function made(rules: readonly string[], now = 0, failMode: 'closed' | 'open' = 'closed') {
  const input = { facts: { ...facts, failMode }, now, runPac };
  const { files, notExpressed } = makeServed('pvd', ruleSet(...rules), input);
  const document = JSON.parse(String(files[0]?.content)) as Readonly<Record<string, unknown>>;
  return { document, rules: document['proxy-match'], notes: notExpressed };
}

const past = { proxies: [] };
const through = { proxies: ['gateway'] };

test('the document names the gateway, and when it ends', () => {
  const { 'proxy-match': _, ...rest } = made(['TUNNEL a.test'], Date.UTC(2027, 1, 27, 13)).document;
  assert.deepEqual(rest, {
    identifier: 'gw.example.net.',
    expires: '2027-03-01T00:00:00Z',
    prefixes: [],
    proxies: [{ protocol: 'https-connect', proxy: 'gw.example.net:8443', identifier: 'gateway' }],
  });
});

test('rules stand in their order, and the default comes last', () => {
  const { rules } = made(['BYPASS www.a.test,10.0.0.0-10.0.0.2', 'BLOCK .a.test:80,8000-8010']);
  assert.deepEqual(rules, [
    { domains: ['www.a.test'], ...past },
    { subnets: ['10.0.0.0/31', '10.0.0.2/32'], ...past },
    { domains: ['*.a.test'], ports: ['80', '8000-8010'], ...through },
    past,
  ]);
});

test('subdomains alone are said by saying first what the domain gets', () => {
  assert.deepEqual(made(['TUNNEL *.a.test']).rules, [
    { domains: ['a.test'], ...past },
    { domains: ['*.a.test'], ...through },
    past,
  ]);
  assert.deepEqual(made(['BYPASS *.a.test', 'TUNNEL a.test:443']).rules, [
    { domains: ['a.test'], ports: ['1-442', '444-65535'], ...past },
    { domains: ['a.test'], ports: ['443'], ...through },
    { domains: ['*.a.test'], ...past },
    { domains: ['a.test'], ports: ['443'], ...through },
    past,
  ]);
});

test('any name and address is said by leaving both out', () => {
  assert.deepEqual(made(['TUNNEL *:443', 'BYPASS *']).rules, [
    { ports: ['443'], ...through },
    past,
    past,
  ]);
});

test('open, it is declared that clients decide what goes direct without the gateway', () => {
  const open = made(['TUNNEL .a.test:443', 'BLOCK b.test'], 0, 'open');
  const notes = ['what goes direct without the gateway, and what does not', 'port 443'];
  assert.deepEqual(open.rules, made(['TUNNEL .a.test:443', 'BLOCK b.test']).rules);
  assert.deepEqual(
    open.notes.map(({ what }) => what),
    notes,
  );
});

test('a `*` inside of a name is declared', () => {
  const { rules, notes } = made(['TUNNEL login-*.test']);
  assert.deepEqual(rules, [past]);
  assert.equal(notes[0]?.what, 'a `*` inside of a name');
});

test('blocks hold a range and nothing else', () => {
  const octet = fc.integer({ min: 0, max: 0xffff });
  fc.assert(
    fc.property(octet, octet, octet, (a, b, c) => {
      const [first, last] = a < b ? [a, b] : [b, a];
      const texts = blocksOf({ family: 4, first: BigInt(first), last: BigInt(last), text: '' });
      const ranges = texts.map((text) => parseAddressRange(text) ?? assert.fail(text));
      const holders = ranges.filter((range) =>
        inRange({ family: 4, value: BigInt(c), text: '' }, range),
      );
      assert.equal(holders.length, first <= c && c <= last ? 1 : 0);
    }),
  );
  for (const [first, last, expected] of [
    [0n, 0n, ['0.0.0.0/32']],
    [0n, 255n, ['0.0.0.0/24']],
    // Neither may the last one reach too far, nor the first one begin too early.
    [0n, 254n, ['/25', '/26', '/27', '/28', '/29', '/30', '/31', '/32']],
    [1n, 255n, ['/32', '/31', '/30', '/29', '/28', '/27', '/26', '/25']],
  ] as const) {
    const blocks = blocksOf({ family: 4, first, last, text: '' });
    assert.equal(blocks.length, expected.length);
    for (const [at, block] of blocks.entries()) assert.ok(block.endsWith(expected[at] ?? '?'));
  }
  const all = { family: 6, first: 0n, last: (1n << 128n) - 1n, text: '' } as const;
  assert.deepEqual(blocksOf(all), ['::/0']);
});

test('read back, a target that no rule of the document takes has no way', () => {
  const rules = [
    { domains: ['*.a.test'], ports: ['80', '8000-8010'], ...through },
    { subnets: ['10.0.0.0/8', 'no subnet'], ...past },
  ];
  const waysIn = waysInPvd(JSON.stringify({ 'proxy-match': rules }), 'closed');
  const ways = ['b.a.test:8005', 'b.a.test:81', 'b.test:80', '10.0.0.1:80', '11.0.0.1:80'];
  assert.deepEqual(
    ways.flatMap((text) => waysIn(target(text))),
    ['gateway', null, null, 'direct', null],
  );
});
