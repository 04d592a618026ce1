// The `dns` section: which servers may be named, and what is said of those that may not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatewayShape } from '../../../gateway/config/config.ts';
import { parseWith, section } from '../../../runtime/schema.ts';

const parse = parseWith(section({ dns: gatewayShape.dns }));

function serversOf(servers: readonly string[]): readonly string[] {
  const parsed = parse({ dns: { servers } });
  assert.ok(parsed.ok);
  return parsed.value.dns.servers.map(({ address, port }) => `${address.text} ${port}`);
}

function issuesOf(dns: unknown): readonly string[] {
  const parsed = parse({ dns });
  assert.ok(!parsed.ok);
  return parsed.issues.map(({ path, message, hint }) => `${path.join('.')}: ${message} (${hint})`);
}

test('a server is an address, with a port where it is not 53', () => {
  assert.deepEqual(
    serversOf(['192.0.2.53', '192.0.2.53:5353', '2001:DB8::53', '[2001:db8::53]:5353']),
    ['192.0.2.53 53', '192.0.2.53 5353', '2001:db8::53 53', '2001:db8::53 5353'],
  );
});

for (const server of [
  'dns.example',
  '192.0.2.53:',
  '192.0.2.53:0',
  '192.0.2.53:65536',
  '[192.0.2.53]:53',
  '[2001:db8::53]',
  '127.1',
  'fe80::1%eth0',
  '',
]) {
  test(`\`${server}\` is no server`, () => {
    assert.deepEqual(issuesOf({ servers: ['192.0.2.1', server] }), [
      'dns.servers.1: expected an address, `address:port` or `[address]:port` ' +
        '(a server by name would have to be looked up itself)',
    ]);
  });
}

test('a zone has a host name as suffix, in any spelling, and servers', () => {
  const parsed = parse({ dns: { zones: [{ suffix: 'Corp.Example.', servers: ['192.0.2.1'] }] } });
  assert.ok(parsed.ok);
  assert.equal(parsed.value.dns.zones[0]?.suffix, 'corp.example');
  assert.equal(issuesOf({ zones: [{ suffix: '*.corp.example', servers: [] }] }).length, 2);
});

test('two zones of one suffix are an issue', () => {
  const zones = ['corp.example', 'CORP.example'].map((suffix) => ({
    suffix,
    servers: ['192.0.2.1'],
  }));
  assert.deepEqual(issuesOf({ zones }), [
    'dns.zones.1.suffix: `corp.example` has a zone already (list all its servers in one zone)',
  ]);
});

test('answers past their time are not used unless the operator says so', () => {
  const parsed = parse({});
  assert.ok(parsed.ok);
  assert.equal(parsed.value.dns.serveStale, 0);
});
