// The snapshot as a configuration makes it: whom names are asked of, and whom devices may not reach.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadEverything } from '../../cli/load.ts';
import { snapshotOf } from '../../gateway/snapshot.ts';
import { runDns } from '../support/dns.ts';
import { makeGatewayFolder } from '../support/gateway-folder.ts';

async function snapshotWith(t: TestContext, dns: object) {
  const made = await makeGatewayFolder({ settings: { dns } });
  t.after(() => made[Symbol.asyncDispose]());
  const read = await loadEverything(join(made.folder, 'zonegate.yaml'));
  assert.ok(read.ok && read.all.gateway !== null);
  const snapshot = snapshotOf(read.all.gateway, []);
  t.after(() => snapshot.resolver.close());
  return snapshot;
}

test('names of a zone are asked of its servers, other names of the others', async (t) => {
  const outer = await runDns({ 'a.test': { a: ['192.0.2.1'] } });
  const inner = await runDns({ 'a.corp.test': { a: ['10.0.0.1'] } });
  t.after(() => {
    outer.close();
    inner.close();
  });
  const zones = [{ suffix: 'corp.test', servers: [inner.server] }];
  const { resolver } = await snapshotWith(t, { servers: [outer.server], zones });
  const ask = async (host: string) => (await resolver.resolve(host)).map(({ text }) => text);
  assert.deepEqual(await ask('a.test'), ['192.0.2.1']);
  assert.deepEqual(await ask('a.corp.test'), ['10.0.0.1']);
});

test('the DNS servers are the gateway’s own, those of zones too (S11)', async (t) => {
  const { policy } = await snapshotWith(t, {
    servers: ['192.0.2.53'],
    zones: [{ suffix: 'corp.test', servers: ['[2001:db8::53]:5353'] }],
  });
  const own = policy.guard.own.map(({ address, port }) => `${address?.text} ${port}`);
  assert.deepEqual(own.slice(-2), ['192.0.2.53 53', '2001:db8::53 5353']);
});
