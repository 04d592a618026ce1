// Owns what Apple devices are handed: the match lists of a relay, its payloads by Apple's schema, and the declaration.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uuid5 } from '../../../cli/profile/uuid.ts';
import { type CompiledSet, compileRules } from '../../../dtr-rules/compile.ts';
import { makeProfile } from '../../../dtr-rules/profiles/kinds.ts';
import type { ProfileFacts } from '../../../dtr-rules/profiles/profile.ts';
import { readRelayLists } from '../../../dtr-rules/profiles/relay-lists.ts';
import { runPac } from '../../../gateway/edge/run-pac.ts';
import { ruleFile, ruleSet } from '../rule-file.ts';
import type { Dict } from './apple-schema.ts';
import { facts } from './facts.ts';
import { readPlist } from './read-plist.ts';

function made(
  kind: 'apple-relay' | 'apple-relay-declaration',
  set: CompiledSet,
  over: Partial<ProfileFacts> = {},
) {
  const input = { app: null, now: 0, facts: { ...facts, ...over }, runPac };
  const { files, notExpressed } = makeProfile(kind, set, input);
  return { text: String(files[0]?.content), notes: notExpressed };
}

function payloads(set: CompiledSet, over: Partial<ProfileFacts> = {}): readonly Dict[] {
  const { PayloadContent } = readPlist(made('apple-relay', set, over).text) as Dict;
  return PayloadContent as readonly Dict[];
}

const ofType = (all: readonly Dict[], type: string): Dict =>
  all.find(({ PayloadType }) => PayloadType === type) ?? assert.fail(`there is no ${type}`);

const relay = (set: CompiledSet, over: Partial<ProfileFacts> = {}) =>
  ofType(payloads(set, over), 'com.apple.relay.managed');

const listNames = ['MatchDomains', 'MatchFQDNs', 'ExcludedDomains', 'ExcludedFQDNs'];

function lists(...rules: readonly string[]): Dict {
  const all = Object.entries(relay(ruleSet(...rules)));
  return Object.fromEntries(all.filter(([key]) => listNames.includes(key)));
}

const whats = (...rules: readonly string[]) =>
  made('apple-relay', ruleSet(...rules)).notes.map(({ what }) => what.replace(/ \(.*/, ''));

test('names match alone, domains with everything below them', () => {
  assert.deepEqual(lists('TUNNEL acme.okta.com,.example.com'), {
    MatchDomains: ['example.com'],
    MatchFQDNs: ['acme.okta.com'],
  });
});

test('what is blocked goes to the gateway, which says why', () => {
  assert.deepEqual(lists('BLOCK .ads.test')['MatchDomains'], ['ads.test']);
});

test('what goes direct inside of a domain is excluded from it', () => {
  assert.deepEqual(lists('BYPASS .cdn.example.com,www.example.com', 'TUNNEL .example.com'), {
    MatchDomains: ['example.com'],
    ExcludedDomains: ['cdn.example.com'],
    ExcludedFQDNs: ['www.example.com'],
  });
});

test('what goes direct by default is not excluded from anything', () => {
  assert.deepEqual(lists('TUNNEL a.b.com', 'BYPASS *.b.com'), {
    MatchDomains: ['zonegate.invalid'],
    MatchFQDNs: ['a.b.com'],
  });
});

test('with everything tunnelled nothing is matched by name', () => {
  assert.deepEqual(lists('BYPASS .cdn.test', 'TUNNEL *'), { ExcludedDomains: ['cdn.test'] });
});

test('with nothing tunnelled the lists do not mean everything', () => {
  const { MatchDomains } = lists('BYPASS .cdn.test') as { MatchDomains: string[] };
  const reads = { matchNames: [], excludedDomains: [], excludedNames: [] };
  assert.equal(readRelayLists({ ...reads, matchDomains: MatchDomains })('www.test'), false);
  assert.equal(readRelayLists({ ...reads, matchDomains: [] })('www.test'), true);
});

test('an exception inside of what goes direct is not excluded with it, and declared', () => {
  const rules = ['TUNNEL a.b.com', 'BYPASS .b.com', 'TUNNEL *'];
  assert.deepEqual(lists(...rules), { ExcludedFQDNs: ['b.com'] });
  assert.ok(whats(...rules).includes('an exception inside of what goes direct'));
});

test('around such an exception everything else that goes direct is excluded', () => {
  const rules = ['TUNNEL a.b.com', 'BYPASS .b.com,x.c.b.com', 'TUNNEL *'];
  assert.deepEqual(lists(...rules), {
    ExcludedDomains: ['x.c.b.com'],
    ExcludedFQDNs: ['b.com'],
  });
});

test('of many such exceptions the first are named', () => {
  const domains = ['b', 'c', 'd', 'e', 'f', 'g'].map((one) => `${one}.test`);
  const inside = domains.map((domain) => `a.${domain}`);
  const set = ruleSet(`TUNNEL ${inside.join()}`, `BYPASS .${domains.join(',.')}`, 'TUNNEL *');
  const said = made('apple-relay', set).notes.map(({ what }) => what);
  assert.match(said.join('\n'), /direct \(b\.test(, [a-d.]+\.test){4} and 7 more\)/);
});

test('subdomains take their domain with them, and that is declared', () => {
  assert.deepEqual(lists('TUNNEL *.example.com'), { MatchDomains: ['example.com'] });
  assert.ok(whats('TUNNEL *.example.com').includes('subdomains without the domain itself'));
  assert.ok(!whats('TUNNEL .example.com').includes('subdomains without the domain itself'));
  // Neither line alone means that: it is said of the set.
  const set = ruleSet('BYPASS example.com', 'TUNNEL .example.com');
  const { rule } = made('apple-relay', set).notes.find(({ what }) => what.startsWith('sub')) ?? {};
  assert.equal(rule, null);
});

test('addresses, ports and patterns are declared', () => {
  const said = whats('TUNNEL 10.0.0.0/8', 'TUNNEL a.test:443', 'TUNNEL login-*.test');
  for (const what of ['addresses', 'ports', 'a `*` inside of a name'])
    assert.ok(said.includes(what));
});

const pem = '-----BEGIN CERTIFICATE-----\nTUlJ\nQw==\n-----END CERTIFICATE-----\n';
test('the authority of the gateway comes with the profile', () => {
  const all = payloads(ruleSet('TUNNEL a.test'), { authority: pem });
  assert.deepEqual(ofType(all, 'com.apple.security.root')['PayloadContent'], Buffer.from('MIIC'));
});

test('the relay presents the identity of the profile, over HTTP/2', () => {
  const all = payloads(ruleSet('TUNNEL a.test'));
  assert.deepEqual(ofType(all, 'com.apple.relay.managed')['Relays'], [
    {
      HTTP2RelayURL: 'https://gw.example.net:8443/',
      PayloadCertificateUUID: ofType(all, 'com.apple.security.acme')['PayloadUUID'],
    },
  ]);
});

test('the fail mode decides whether people and names may go past the relay', () => {
  const set = ruleSet('TUNNEL a.test');
  for (const [failMode, expected] of [
    ['closed', false],
    ['open', true],
  ] as const) {
    const made = relay(set, { failMode });
    assert.equal(made['UIToggleEnabled'], expected);
    assert.equal(made['AllowDNSFailover'], expected);
  }
});

test('made again from other rules, every UUID and identifier is the same', () => {
  const [one, two] = ['TUNNEL a.test', 'TUNNEL b.test,.c.test'].map((rules) =>
    [...made('apple-relay', ruleSet(rules)).text.matchAll(/<string>([0-9A-F-]{36})</g)].map(
      ([, uuid]) => uuid,
    ),
  );
  assert.ok(one !== undefined && one.length >= 4);
  assert.deepEqual(two, one);
});

test('a UUID is that of RFC 9562 for the name', () => {
  assert.equal(uuid5('www.example.com'), '2ED6657D-E927-568B-95E1-2665A8AEA6A2');
});

test('the declaration says the same, and names the asset with the certificate', () => {
  const set = ruleSet('BYPASS www.a.test', 'TUNNEL .a.test');
  const { text, notes } = made('apple-relay-declaration', set);
  const { Relays: _, ...same } = Object.fromEntries(
    Object.entries(relay(set)).filter(([key]) => !key.startsWith('Payload')),
  );
  assert.deepEqual(JSON.parse(text), {
    Type: 'com.apple.configuration.network.relay',
    Identifier: 'net.example.gw.zonegate.relay',
    Payload: {
      VisibleName: 'Example gateway',
      Relays: [
        {
          HTTP2RelayURL: 'https://gw.example.net:8443/',
          CredentialAssetReference: 'net.example.gw.zonegate.identity',
        },
      ],
      ...same,
    },
  });
  assert.match(JSON.stringify(notes), /com\.apple\.asset\.credential\.acme/);
});

test('a PKCS #12 file is an asset by another name', () => {
  assert.ok(facts.apple);
  const apple = {
    ...facts.apple,
    identity: { kind: 'pkcs12', payload: {}, isSecret: true },
  } as const;
  const { notes } = made('apple-relay-declaration', ruleSet('TUNNEL a.test'), { apple });
  assert.match(JSON.stringify(notes), /`com\.apple\.asset\.credential\.identity`/);
});

test('for single applications it is said by which UUID the MDM gives them the relay', () => {
  const file = { ruleSets: [{ name: 'set', mode: 'per-app', defaultAction: 'TUNNEL' }] };
  const [set] = compileRules(ruleFile(file)).sets;
  assert.ok(set);
  const { text, notes } = made('apple-relay-declaration', set);
  const { RelayUUID } = (JSON.parse(text) as { Payload: { RelayUUID: string } }).Payload;
  assert.ok(notes.some(({ consequence }) => consequence.includes(`\`RelayUUID\` ${RelayUUID} in`)));
  assert.ok(!whats('TUNNEL *').includes('which applications use the relay'));
});

test('without a source of certificates there is no relay, and it says what to set', () => {
  assert.ok(facts.apple);
  const apple = { ...facts.apple, identity: null };
  assert.throws(
    () => made('apple-relay', ruleSet('TUNNEL a.test'), { apple }),
    /--identity pkcs12:FILE/,
  );
});
