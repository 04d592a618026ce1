// The resolver against a DNS server on loopback: how often it asks, how long it believes, how it fails.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { FailureReason } from '../../../gateway/decision/reasons.ts';
import {
  createResolver,
  type LookupOutcome,
  type ResolverOptions,
} from '../../../gateway/edge/resolve.ts';
import { runDns, type Zone } from '../../support/dns.ts';
import { addressOf } from '../decision/policy-for.ts';

async function resolverOn(t: TestContext, zone: Zone, options: Partial<ResolverOptions> = {}) {
  const dns = await runDns(zone);
  const clock = { now: 1_000_000 };
  const outcomes: LookupOutcome[] = [];
  const resolver = createResolver({
    servers: [dns.server],
    zones: [],
    hosts: new Map([['fixed.test', [addressOf('192.0.2.7')]]]),
    timeoutMs: 60_000,
    minTtlMs: 1_000,
    maxTtlMs: 3_600_000,
    negativeTtlMs: 5_000,
    failureTtlMs: 2_000,
    serveStaleMs: 0,
    maxInFlight: 100,
    maxNames: 100,
    resolutionDelayMs: 60_000,
    enough: new Set([4, 6]),
    now: () => clock.now,
    watch: { lookedUp: (outcome) => void outcomes.push(outcome) },
    ...options,
  });
  t.after(() => {
    resolver.close();
    dns.close();
  });
  const ask = async (host: string) => (await resolver.resolve(host)).map(({ text }) => text);
  return { dns, clock, resolver, ask, outcomes };
}

const fails = (code: FailureReason) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === code;

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

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

test('servers that fail are asked again sooner than names that are not there (RFC 9520)', async (t) => {
  const { ask, dns, clock } = await resolverOn(t, { 'a.test': 'broken' });
  await assert.rejects(ask('a.test'), fails('dns.failed'));
  await assert.rejects(ask('b.test'), fails('dns.failed'));
  dns.zone = { 'a.test': { a: ['192.0.2.1'] }, 'b.test': { a: ['192.0.2.2'] } };
  clock.now += 2_001;
  assert.deepEqual(await ask('a.test'), ['192.0.2.1']);
  await assert.rejects(ask('b.test'), fails('dns.failed'));
});

test('a server that says nothing is a time-out, and delays no other name (S13, R15)', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { ask } = await resolverOn(
    t,
    { 'a.test': 'silent', 'b.test': { a: ['192.0.2.1'] } },
    { timeoutMs: 5_000 },
  );
  const silent = assert.rejects(ask('a.test'), fails('dns.timeout'));
  assert.deepEqual(await ask('b.test'), ['192.0.2.1']);
  t.mock.timers.tick(5_000);
  await silent;
});

test('the deadline is one for all servers, and each of them is asked within it', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const servers = await Promise.all([runDns({}), runDns({}), runDns({})]);
  for (const server of servers) {
    server.zone = { 'a.test': 'silent' };
    t.after(() => server.close());
  }
  const { ask } = await resolverOn(
    t,
    {},
    { servers: servers.map(({ server }) => server), timeoutMs: 5_000 },
  );
  const late = assert.rejects(ask('a.test'), fails('dns.timeout'));
  for (const { asked } of servers) {
    await until(() => asked.length === 2);
    t.mock.timers.tick(1_000);
  }
  t.mock.timers.tick(2_000);
  await late;
});

test('an answer to the first question counts, though it was asked again meanwhile', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { ask, dns } = await resolverOn(t, { 'a.test': 'silent' }, { timeoutMs: 5_000 });
  const asked = ask('a.test');
  await until(() => dns.asked.length === 2);
  t.mock.timers.tick(1_000);
  await until(() => dns.asked.length === 4);
  dns.zone = { 'a.test': { a: ['192.0.2.1'] } };
  dns.breakSilence();
  assert.deepEqual(await asked, ['192.0.2.1']);
});

test('a silent server is asked three times', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const zone: Zone = { 'a.test': 'silent', 'b.test': {} };
  const { ask, dns } = await resolverOn(t, zone, { timeoutMs: 5_000 });
  const late = assert.rejects(ask('a.test'), fails('dns.timeout'));
  for (const questions of [2, 4, 6]) {
    await until(() => dns.asked.length === questions);
    t.mock.timers.tick(1_000);
  }
  await assert.rejects(ask('b.test')); // by now a fourth would have been heard
  assert.equal(dns.asked.filter((question) => question.endsWith('a.test')).length, 6);
  t.mock.timers.tick(2_000);
  await late;
});

test('when a server fails the next is asked, and from then on first', async (t) => {
  const good = await runDns({ 'a.test': { a: ['192.0.2.1'] }, 'b.test': { a: ['192.0.2.2'] } });
  const broken = await runDns({ 'a.test': 'broken', 'b.test': 'broken' });
  t.after(() => {
    good.close();
    broken.close();
  });
  const { ask } = await resolverOn(t, {}, { servers: [broken.server, good.server] });
  assert.deepEqual(await ask('a.test'), ['192.0.2.1']);
  const before = broken.asked.length;
  assert.deepEqual(await ask('b.test'), ['192.0.2.2']);
  assert.equal(broken.asked.length, before);
});

test('a server where nobody listens is passed over at once', async (t) => {
  const gone = await runDns({});
  const nowhere = gone.server;
  gone.close();
  const good = await runDns({ 'a.test': { a: ['192.0.2.1'] } });
  t.after(() => good.close());
  const { ask } = await resolverOn(t, {}, { servers: [nowhere, good.server] });
  assert.deepEqual(await ask('a.test'), ['192.0.2.1']);
});

test('a family whose servers are silent is not waited for, and is added when it comes (RFC 8305)', async (t) => {
  const silent = { a: ['192.0.2.1'], aaaa: 'silent' } as const;
  const { ask, dns } = await resolverOn(t, { 'a.test': silent }, { resolutionDelayMs: 1 });
  assert.deepEqual(await ask('a.test'), ['192.0.2.1']);
  dns.zone = { 'a.test': { aaaa: ['2001:db8:0:0:0:0:0:1'] } };
  dns.breakSilence();
  for (let answer: readonly string[] = []; answer.length < 2; answer = await ask('a.test')) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(await ask('a.test'), ['2001:db8::1', '192.0.2.1']);
  assert.equal(dns.asked.length, 2);
});

test('a family that comes late is believed no longer than the first', async (t) => {
  const silent = { a: ['192.0.2.1'], aaaa: 'silent' } as const;
  const zone: Zone = { 'a.test': silent, 'b.test': {} };
  const { ask, dns, clock } = await resolverOn(t, zone, { resolutionDelayMs: 1 });
  await ask('a.test');
  clock.now += 50_000;
  dns.zone = { 'a.test': { a: ['192.0.2.2'], aaaa: ['2001:db8:0:0:0:0:0:1'] } };
  dns.breakSilence();
  await assert.rejects(ask('b.test')); // by now the late family has been heard
  clock.now += 10_001;
  assert.deepEqual(await ask('a.test'), ['2001:db8::1', '192.0.2.2']);
});

test('a family that comes too late does not replace a newer answer', async (t) => {
  const silent = { a: ['192.0.2.1'], aaaa: 'silent' } as const;
  const zone: Zone = { 'a.test': silent, 'b.test': {} };
  const { ask, dns, clock } = await resolverOn(t, zone, { resolutionDelayMs: 1 });
  await ask('a.test');
  clock.now += 60_001;
  dns.zone = { 'a.test': { a: ['192.0.2.2'] } };
  assert.deepEqual(await ask('a.test'), ['192.0.2.2']);
  dns.breakSilence();
  await assert.rejects(ask('b.test'));
  assert.deepEqual(await ask('a.test'), ['192.0.2.2']);
});

test('a family that tunnels cannot leave with is not enough', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const zone: Zone = { 'a.test': { a: 'silent', aaaa: ['2001:db8:0:0:0:0:0:1'] }, 'b.test': {} };
  const { ask, dns } = await resolverOn(t, zone, {
    resolutionDelayMs: 1,
    enough: new Set([4]),
  });
  const asked = ask('a.test');
  await until(() => dns.asked.length === 2);
  await assert.rejects(ask('b.test')); // by now the other family has been heard
  t.mock.timers.tick(1);
  dns.zone = { 'a.test': { a: ['192.0.2.1'] } };
  dns.breakSilence();
  assert.deepEqual(await asked, ['2001:db8::1', '192.0.2.1']);
});

test('a server that denies the name to one family only is not believed (RFC 4074)', async (t) => {
  const { ask } = await resolverOn(t, { 'a.test': { a: ['192.0.2.1'], aaaa: 'missing' } });
  assert.deepEqual(await ask('a.test'), ['192.0.2.1']);
});

test('a name that one family says is not there is not waited for', async (t) => {
  const zone = { 'a.test': { a: 'silent', aaaa: 'missing' } } as const;
  const { ask } = await resolverOn(t, zone, { resolutionDelayMs: 1 });
  await assert.rejects(ask('a.test'), fails('dns.failed'));
});

test('a family whose servers fail does not take the other along', async (t) => {
  const { ask } = await resolverOn(t, { 'a.test': { a: ['192.0.2.1'], aaaa: 'broken' } });
  assert.deepEqual(await ask('a.test'), ['192.0.2.1']);
});

test('of very many addresses some are kept', async (t) => {
  const a = Array.from({ length: 40 }, (_, index) => `192.0.2.${index}`);
  const { ask } = await resolverOn(t, { 'a.test': { a } });
  assert.equal((await ask('a.test')).length, 32);
});

test('only so many names are asked about at once; the others have their turn', async (t) => {
  const { ask, dns } = await resolverOn(
    t,
    { 'a.test': 'silent', 'b.test': { a: ['192.0.2.2'] } },
    { maxInFlight: 1 },
  );
  const first = ask('a.test');
  const second = ask('b.test');
  await until(() => dns.asked.length === 2);
  assert.ok(dns.asked.every((question) => question.endsWith('a.test')));
  dns.zone = { ...dns.zone, 'a.test': { a: ['192.0.2.1'] } };
  dns.breakSilence();
  assert.deepEqual(await Promise.all([first, second]), [['192.0.2.1'], ['192.0.2.2']]);
});

test('waiting for a turn ends at the deadline, and says nothing about the name', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const zone: Zone = { 'a.test': 'silent', 'b.test': { a: ['192.0.2.2'] } };
  const { ask } = await resolverOn(t, zone, { maxInFlight: 1, timeoutMs: 5_000 });
  const both = ['a.test', 'b.test'].map((host) => assert.rejects(ask(host), fails('dns.timeout')));
  t.mock.timers.tick(5_000);
  await Promise.all(both);
  assert.deepEqual(await ask('b.test'), ['192.0.2.2']);
});

test('names at or below a suffix are asked of its servers, the longest suffix first (split horizon)', async (t) => {
  const names = ['corp.test', 'a.corp.test', 'lab.corp.test', 'b.lab.corp.test', 'acorp.test'];
  const saying = (address: string) =>
    runDns(Object.fromEntries(names.map((name) => [name, { a: [address] }])));
  const [outer, corp, lab] = await Promise.all(['192.0.2.1', '10.0.0.1', '10.1.0.1'].map(saying));
  assert.ok(outer !== undefined && corp !== undefined && lab !== undefined);
  t.after(() => {
    for (const dns of [outer, corp, lab]) dns.close();
  });
  const zones = [
    { suffix: 'corp.test', servers: [corp.server] },
    { suffix: 'lab.corp.test', servers: [lab.server] },
  ];
  const { ask } = await resolverOn(t, {}, { servers: [outer.server], zones });
  const answers = await Promise.all(names.map(ask));
  assert.deepEqual(answers.flat(), ['10.0.0.1', '10.0.0.1', '10.1.0.1', '10.1.0.1', '192.0.2.1']);
});

test('a dead server of one suffix delays no name of another, however many wait for it (S13)', async (t) => {
  const dead = await runDns({ 'a.corp.test': 'silent', 'b.corp.test': 'silent' });
  t.after(() => dead.close());
  const zones = [{ suffix: 'corp.test', servers: [dead.server] }];
  const zone = { 'a.test': { a: ['192.0.2.1'] } };
  const { ask, resolver } = await resolverOn(t, zone, { zones, maxInFlight: 1 });
  const waiting = ['a.corp.test', 'b.corp.test'].map((host) => assert.rejects(ask(host)));
  assert.deepEqual(await ask('a.test'), ['192.0.2.1']);
  resolver.close();
  await Promise.all(waiting);
});

for (const [name, trouble] of [
  ['fail', 'broken'],
  ['are silent', 'silent'],
] as const) {
  test(`while the servers ${name} an expired answer is used, if so configured (RFC 8767)`, async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const zone: Zone = { 'a.test': { a: ['192.0.2.1'], ttl: 60 } };
    const { ask, dns, clock, outcomes } = await resolverOn(t, zone, { serveStaleMs: 3_600_000 });
    await ask('a.test');
    dns.zone = { 'a.test': trouble };
    clock.now += 60_001;
    const stale = ask('a.test');
    t.mock.timers.tick(trouble === 'silent' ? 1_800 : 0);
    assert.deepEqual(await stale, ['192.0.2.1']);
    const asked = dns.asked.length;
    assert.deepEqual(await ask('a.test'), ['192.0.2.1']);
    assert.equal(dns.asked.length, asked);
    assert.deepEqual(outcomes, ['ok', 'stale', 'stale']);
    dns.zone = { 'a.test': { a: ['192.0.2.2'] } };
    clock.now += 30_001;
    assert.deepEqual(await ask('a.test'), ['192.0.2.2']);
  });
}

test('an expired answer is used no longer than configured', async (t) => {
  const zone: Zone = { 'a.test': { a: ['192.0.2.1'], ttl: 60 } };
  const { ask, dns, clock } = await resolverOn(t, zone, { serveStaleMs: 10_000 });
  await ask('a.test');
  dns.zone = { 'a.test': 'broken' };
  clock.now += 69_000;
  assert.deepEqual(await ask('a.test'), ['192.0.2.1']);
  clock.now += 1_001;
  await assert.rejects(ask('a.test'), fails('dns.failed'));
});

test('an expired answer is not used unless configured', async (t) => {
  const zone: Zone = { 'a.test': { a: ['192.0.2.1'], ttl: 60 } };
  const { ask, dns, clock } = await resolverOn(t, zone);
  await ask('a.test');
  dns.zone = { 'a.test': 'broken' };
  clock.now += 60_001;
  await assert.rejects(ask('a.test'), fails('dns.failed'));
});

for (const [name, zone] of [
  ['does not exist any more', {}],
  ['has no addresses any more', { 'a.test': {} }],
] as const) {
  test(`an expired answer is never used for a name that ${name}`, async (t) => {
    const first: Zone = { 'a.test': { a: ['192.0.2.1'], ttl: 60 } };
    const { ask, dns, clock } = await resolverOn(t, first, { serveStaleMs: 3_600_000 });
    await ask('a.test');
    dns.zone = zone;
    clock.now += 60_001;
    await assert.rejects(ask('a.test'), fails('dns.failed'));
    dns.zone = { 'a.test': 'broken' };
    clock.now += 5_001;
    await assert.rejects(ask('a.test'), fails('dns.failed'));
  });
}

test('every look-up is counted by how it came out', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const zone: Zone = { 'a.test': { a: ['192.0.2.1'] }, 'c.test': 'silent' };
  const { ask, outcomes } = await resolverOn(t, zone, { timeoutMs: 5_000 });
  await ask('fixed.test');
  await ask('a.test');
  await ask('a.test');
  await assert.rejects(ask('b.test'));
  await assert.rejects(ask('b.test'));
  const late = assert.rejects(ask('c.test'));
  t.mock.timers.tick(5_000);
  await late;
  assert.deepEqual(outcomes, ['ok', 'cached', 'failed', 'cached', 'timeout']);
});

test('closing ends what is being asked', async (t) => {
  const { ask, resolver, dns } = await resolverOn(t, { 'a.test': 'silent' });
  const asked = assert.rejects(ask('a.test'), fails('dns.failed'));
  await until(() => dns.asked.length === 2);
  resolver.close();
  await asked;
});
