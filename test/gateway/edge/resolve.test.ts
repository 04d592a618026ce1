// The resolver against a DNS server on loopback: how often it asks, how long it believes, how it fails.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { FailureReason } from '../../../gateway/decision/reasons.ts';
import { createResolver, type ResolverOptions } from '../../../gateway/edge/resolve.ts';
import { runDns, type Zone } from '../../support/dns.ts';
import { addressOf } from '../decision/policy-for.ts';

async function resolverOn(t: TestContext, zone: Zone, options: Partial<ResolverOptions> = {}) {
  const dns = await runDns(zone);
  const clock = { now: 1_000_000 };
  const resolver = createResolver({
    servers: [dns.server],
    hosts: new Map([['fixed.test', [addressOf('192.0.2.7')]]]),
    timeoutMs: 5_000,
    minTtlMs: 1_000,
    maxTtlMs: 3_600_000,
    negativeTtlMs: 5_000,
    maxNames: 100,
    now: () => clock.now,
    ...options,
  });
  t.after(() => {
    resolver.close();
    dns.close();
  });
  const ask = async (host: string) => (await resolver.resolve(host)).map(({ text }) => text);
  return { dns, clock, resolver, ask };
}

const fails = (code: FailureReason) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === code;

test('a name has the addresses of both families, IPv6 first', async (t) => {
  const { ask } = await resolverOn(t, {
    'a.test': { a: ['192.0.2.1', '192.0.2.2'], aaaa: ['2001:db8:0:0:0:0:0:1'] },
  });
  assert.deepEqual(await ask('a.test'), ['2001:db8::1', '192.0.2.1', '192.0.2.2']);
});

test('a static host is answered without asking anybody', async (t) => {
  const { ask, dns } = await resolverOn(t, {});
  assert.deepEqual(await ask('fixed.test'), ['192.0.2.7']);
  assert.deepEqual(dns.asked, []);
});

test('an alias leads to the addresses behind it (S09)', async (t) => {
  const { ask } = await resolverOn(t, {
    'a.test': { alias: 'b.test' },
    'b.test': { a: ['192.0.2.1'] },
  });
  assert.deepEqual(await ask('a.test'), ['192.0.2.1']);
});

test('questions for one name at one time are one question (P09)', async (t) => {
  const { ask, dns } = await resolverOn(t, { 'a.test': { a: ['192.0.2.1'] } });
  const all = await Promise.all(Array.from({ length: 20 }, () => ask('a.test')));
  assert.equal(all.length, 20);
  assert.deepEqual(dns.asked.toSorted(), ['A a.test', 'AAAA a.test']);
});

for (const [name, ttl, options, seconds] of [
  ['as long as the record says', 30, {}, 30],
  ['for the least time, though the record says less', 0, { minTtlMs: 10_000 }, 10],
  ['for the longest time, though the record says more', 86_400, { maxTtlMs: 60_000 }, 60],
] as const) {
  test(`an answer is believed ${name}`, async (t) => {
    const zone = { 'a.test': { a: ['192.0.2.1'], ttl } };
    const { ask, dns, clock } = await resolverOn(t, zone, options);
    await ask('a.test');
    dns.zone = { 'a.test': { a: ['192.0.2.2'], ttl } };
    clock.now += seconds * 1000;
    assert.deepEqual(await ask('a.test'), ['192.0.2.1']);
    clock.now += 1;
    assert.deepEqual(await ask('a.test'), ['192.0.2.2']);
  });
}

for (const [name, zone] of [
  ['does not exist', {}],
  ['has no addresses', { 'a.test': {} }],
  ['makes the server fail', { 'a.test': 'broken' }],
  ['is an alias of itself', { 'a.test': { alias: 'a.test' } }],
  ['is an alias of nothing', { 'a.test': { alias: 'b.test' } }],
] as const satisfies readonly (readonly [string, Zone])[]) {
  test(`a name that ${name} fails, and is asked for again only later (S13)`, async (t) => {
    const { ask, dns, clock } = await resolverOn(t, zone);
    await assert.rejects(ask('a.test'), fails('dns.failed'));
    const asked = dns.asked.length;
    dns.zone = { 'a.test': { a: ['192.0.2.1'] } };
    await assert.rejects(ask('a.test'), fails('dns.failed'));
    assert.equal(dns.asked.length, asked);
    clock.now += 5_001;
    assert.deepEqual(await ask('a.test'), ['192.0.2.1']);
  });
}

test('a server that says nothing is a time-out, and delays no other name (S13, R15)', async (t) => {
  const { ask } = await resolverOn(
    t,
    { 'a.test': 'silent', 'b.test': { a: ['192.0.2.1'] } },
    { timeoutMs: 250 },
  );
  const silent = ask('a.test').then(
    () => 'answered',
    (error: unknown) => error,
  );
  const order: string[] = [];
  await Promise.all([
    silent.then(() => order.push('silent')),
    ask('b.test').then(() => order.push('other')),
  ]);
  assert.ok(fails('dns.timeout')(await silent));
  assert.deepEqual(order, ['other', 'silent']);
});

test('closing ends what is being asked', async (t) => {
  const { ask, resolver, dns } = await resolverOn(t, { 'a.test': 'silent' });
  const asked = assert.rejects(ask('a.test'), fails('dns.failed'));
  while (dns.asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
  resolver.close();
  await asked;
});
