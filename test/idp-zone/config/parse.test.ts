// Reading zones.yaml, sign-on.yaml and the `idp` section: what is taken, and every issue at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import {
  checkZoneNames,
  idpSection,
  parseSignOn,
  parseZones,
} from '../../../idp-zone/config/parse.ts';
import type { Entry } from '../../../idp-zone/decision/zone-table.ts';
import type { Issue } from '../../../runtime/issue.ts';
import { parseWith } from '../../../runtime/schema.ts';

type Result = { readonly ok: true } | { readonly ok: false; readonly issues: readonly Issue[] };

const said = (result: Result) =>
  result.ok ? [] : result.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);

const HASH = `scrypt$1024$8$1$${'s'.repeat(22)}$${'h'.repeat(43)}`;
const IDP = {
  listen: '127.0.0.1:0',
  tls: { certificate: 'idp.pem', key: 'idp.key' },
  keysFile: 'keys.json',
  cookieSecret: 'a cookie secret of thirty-two characters',
};
const parseIdp = parseWith(idpSection);

test('zones carry gateways, proxies and a feed', () => {
  const parsed = parseZones(
    parse(`
zones:
  - name: egress
    gateways: ["127.0.0.10", "203.0.113.8/29", "2001:db8::1-2001:db8::9"]
    proxies: ["198.51.100.1"]
  - name: fed
    feed: { url: "http://127.0.0.1:8446/api/v1/egress", token: "0123456789abcdef", refresh: 5s }
`),
  );
  assert.ok(parsed.ok);
  const [egress, fed] = parsed.value.zones;
  assert.ok(egress?.kind === 'addresses' && fed?.kind === 'addresses');
  assert.deepEqual(egress.gateways[0]?.range.text, '127.0.0.10');
  assert.equal(egress.gateways.length, 3);
  assert.equal(egress.feed, null);
  assert.deepEqual(fed.feed, {
    url: 'http://127.0.0.1:8446/api/v1/egress',
    token: '0123456789abcdef',
    refreshMs: 5_000,
  });
});

test('everything wrong with zones is said at once', () => {
  const parsed = parseZones({
    zones: [
      { name: 'a', gateways: ['10.0.0.1/8', '127.1'], gatways: [] },
      { name: 'b', feed: { url: 'ftp://x', refresh: '1ms' } },
    ],
  });
  assert.deepEqual(
    said(parsed).map((line) => line.split(':')[0]),
    [
      'zones.0.gateways.0',
      'zones.0.gateways.1',
      'zones.0.gatways',
      'zones.1.feed.url',
      'zones.1.feed.refresh',
    ],
  );
});

test('entries come as a list or as text, by comma or by line, each with its row', () => {
  const parsed = parseZones(
    parse(`
zones:
  - name: pasted
    gateways: |
      203.0.113.8, 203.0.113.9
      198.51.100.0/28

      2001:db8::1 - 2001:db8::9
    proxies: 198.51.100.40,198.51.100.41
  - name: listed
    gateways: ["203.0.113.8, 203.0.113.9", 198.51.100.0/28]
`),
  );
  assert.ok(parsed.ok, said(parsed).join('\n'));
  const [pasted, listed] = parsed.value.zones;
  assert.ok(pasted?.kind === 'addresses' && listed?.kind === 'addresses');
  const written = ({ range, item, row }: Entry) => [range.text, item, row];
  assert.deepEqual(pasted.gateways.map(written), [
    ['203.0.113.8', null, 1],
    ['203.0.113.9', null, 1],
    ['198.51.100.0/28', null, 2],
    ['2001:db8::1-2001:db8::9', null, 4],
  ]);
  assert.equal(pasted.proxies.length, 2);
  assert.deepEqual(listed.gateways.map(written), [
    ['203.0.113.8', 0, 0],
    ['203.0.113.9', 0, 0],
    ['198.51.100.0/28', 1, 0],
  ]);
});

// What is wrong with one zone, and the words that say so.
const badZones: readonly (readonly [object, RegExp])[] = [
  [{ gateways: '10.0.0.1, 10.0.0.300' }, /^zones\.0\.gateways: `10\.0\.0\.300` is not an IP/],
  [
    { gateways: ['10.0.0.1', '10.0.0.9/30'] },
    /^zones\.0\.gateways\.1: `10\.0\.0\.9\/30` has host bits/,
  ],
  [{ proxies: ['10.0.0.1'] }, /holds nobody/],
  [{ gateways: [] }, /holds nobody/],
  [{ gateways: ['10.0.0.1'], locations: ['FI'] }, /not of both/],
  [{ proxies: ['10.0.0.1'], notAsns: [1] }, /not of both/],
  [{ locations: ['FI'], usage: 'EXEMPT' }, /an exempt zone is of addresses/],
  [{ gateways: ['10.0.0.1'], proxies: ['10.0.0.2'], usage: 'BLOCKLIST' }, /proxies mean nothing/],
  [{ gateways: ['10.0.0.1'], proxies: ['10.0.0.2'], usage: 'EXEMPT' }, /proxies mean nothing/],
  [{ feed: { url: 'http://127.0.0.1/' }, usage: 'BLOCKLIST' }, /expected `usage: EXEMPT`/],
  [{ locations: ['fi'] }, /^zones\.0\.locations\.0: .* got `fi`$/],
  [{ locations: ['XX'] }, /ISO 3166-1/],
  [{ locations: ['US-CALIFORNIA'] }, /ISO 3166-2/],
  [{ locations: ['US', 'US-CA'] }, /^zones\.0\.locations\.1: `US` holds `US-CA` already/],
  [{ notLocations: ['US-CA', 'US'] }, /^zones\.0\.notLocations\.0: `US` holds/],
  [{ locations: [] }, /at least 1/],
  [{ asns: [0] }, /at least 1/],
];
for (const [zone, expected] of badZones) {
  test(`a zone ${JSON.stringify(zone)} is refused`, () => {
    const places = { countries: 'c.mmdb', asns: 'a.mmdb' };
    const lines = said(parseZones({ zones: [{ name: 'z', ...zone }], places }));
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(lines.join(), expected);
  });
}

test('a zone of places needs the database that knows them', () => {
  const of = (zone: object) => said(parseZones({ zones: [{ name: 'z', ...zone }] })).join();
  assert.match(of({ locations: ['FI'] }), /^zones\.0: .* expected `places\.countries`/);
  assert.match(of({ notAsns: [1] }), /^zones\.0: .* expected `places\.asns`/);
  assert.equal(of({ gateways: ['10.0.0.1'] }), '');
});

test('more entries than the field allows name the zone that has the most', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`).join();
  const of = (count: number) =>
    said(
      parseZones({
        zones: [
          { name: 'small', gateways: many(10) },
          { name: 'large', gateways: many(count) },
        ],
      }),
    );
  assert.deepEqual(of(24_990), []);
  assert.deepEqual(of(24_991), [
    'zones.1: all zones together have 25001 entries, expected at most 25000; `large` has the most',
  ]);
});

test('a zone that is no zone for rules is not one to name in a rule', () => {
  const zones = parseZones({
    zones: [{ name: 'bad', usage: 'BLOCKLIST', gateways: ['10.0.0.1'] }],
  });
  const file = parseSignOn({
    rules: [{ name: 'a', access: 'DENY', network: { zones: ['bad'] } }],
  });
  assert.ok(zones.ok && file.ok);
  assert.deepEqual(said({ ok: false, issues: checkZoneNames(file.value, zones.value.zones) }), [
    'rules.0.network.zones.0: the zone `bad` is for `BLOCKLIST`, not for rules',
  ]);
});

test('a zone that could hold nobody, and a name used twice, are refused', () => {
  assert.match(
    said(parseZones({ zones: [{ name: 'a', proxies: ['10.0.0.1'] }] })).join(),
    /holds nobody/,
  );
  const zone = { name: 'a', gateways: ['10.0.0.1'] };
  assert.deepEqual(said(parseZones({ zones: [zone, zone] })), [
    'zones.1.name: the name `a` is used twice',
  ]);
});

test('a sign-on file becomes a policy and its tests', () => {
  const parsed = parseSignOn(
    parse(`
help: https://help.example/why
rules:
  - name: staff through the tunnel
    people: { groups: [staff] }
    network: { zones: [egress] }
    clients: [demo-app]
    access: ALLOW
  - { name: everyone else, access: DENY, message: No., reportOnly: true }
tests:
  - { name: in, user: ann, groups: [staff], address: 127.0.0.10, client: demo-app, expect: ALLOW, rule: staff through the tunnel }
`),
  );
  assert.ok(parsed.ok);
  const { policy, tests } = parsed.value;
  assert.deepEqual(
    policy.rules.map(({ name, access, reportOnly }) => [name, access, reportOnly]),
    [
      ['staff through the tunnel', 'ALLOW', false],
      ['everyone else', 'DENY', true],
    ],
  );
  assert.deepEqual(policy.rules[0]?.network, { zones: ['egress'], notZones: [] });
  assert.equal(policy.rules[1]?.network, null);
  assert.deepEqual(tests[0]?.path, ['tests', 0]);
});

test('a rule that would mean something else than it says is refused', () => {
  const issues = said(
    parseSignOn({
      rules: [
        { name: 'a', access: 'allow' },
        { name: 'b', access: 'DENY', network: {} },
        { name: 'c', access: 'DENY', networks: { zones: ['x'] } },
        { name: 'd', access: 'DENY', clients: [] },
      ],
    }),
  );
  assert.equal(issues.length, 4);
  assert.match(issues[0] ?? '', /^rules\.0\.access: expected `ALLOW` or `DENY`/);
  assert.match(issues[1] ?? '', /^rules\.1\.network: expected `zones` or `notZones`/);
  assert.match(issues[2] ?? '', /^rules\.2\.networks: unknown key/);
  assert.match(issues[3] ?? '', /^rules\.3\.clients: /);
});

test('a device is managed or not only when it is registered, and something has to be asked of it', () => {
  const of = (rule: object) =>
    said(parseSignOn({ rules: [{ name: 'a', access: 'ALLOW', ...rule }] })).join();
  assert.equal(of({ device: { registered: true, managed: false } }), '');
  assert.equal(of({ device: { registered: false } }), '');
  assert.match(of({ device: {} }), /^rules\.0\.device: expected `registered`, `managed` or/);
  assert.match(of({ device: { managed: true } }), /expected `registered: true` beside it/);
  assert.match(of({ device: { registered: false, compliant: true } }), /`registered: true`/);
  assert.match(of({ platforms: ['iOS'] }), /did you mean|expected `ANDROID`/);
  assert.match(of({ risks: [] }), /at least 1/);
});

test('an exception has people, an end and a reason', () => {
  const whole = { name: 'e', users: ['ann'], until: '2026-12-01T00:00:00Z', reason: 'repair' };
  const of = (exception: object) =>
    said(parseSignOn({ rules: [], exceptions: [exception] })).join('\n');
  assert.equal(of(whole), '');
  for (const key of ['users', 'until', 'reason'] as const) {
    const { [key]: _, ...rest } = whole;
    assert.match(of(rest), new RegExp(`^exceptions\\.0\\.${key}: key .* is missing`), key);
  }
  assert.match(of({ ...whole, until: '2026-12-01' }), /is not a moment/);
  assert.match(of({ ...whole, users: [] }), /at least 1/);
});

test('a test needs one origin and a rule that exists', () => {
  const base = { name: 't', user: 'ann', client: 'app', expect: 'DENY' };
  const of = (given: object) => said(parseSignOn({ rules: [], tests: [{ ...base, ...given }] }));
  assert.match(of({}).join(), /either `address`/);
  assert.match(of({ address: '127.1' }).join(), /either `address`/);
  assert.match(of({ address: '127.0.0.1', zones: [] }).join(), /either `address`/);
  assert.deepEqual(of({ zones: [], rule: 'x' }), ['tests.0.rule: there is no rule `x`']);
});

test('zones that nobody wrote down are found in rules and tests', () => {
  const zones = parseZones({ zones: [{ name: 'egress', gateways: ['127.0.0.10'] }] });
  const file = parseSignOn({
    rules: [{ name: 'a', access: 'DENY', network: { zones: ['egress', 'x'], notZones: ['y'] } }],
    tests: [{ name: 't', user: 'ann', client: 'app', expect: 'DENY', zones: ['z'] }],
  });
  assert.ok(zones.ok && file.ok);
  assert.deepEqual(said({ ok: false, issues: checkZoneNames(file.value, zones.value.zones) }), [
    'rules.0.network.zones.1: there is no zone `x`',
    'rules.0.network.notZones.0: there is no zone `y`',
    'tests.0.zones.0: there is no zone `z`',
  ]);
});

test('the idp section has defaults and milliseconds', () => {
  const parsed = parseIdp(IDP);
  assert.ok(parsed.ok, said(parsed).join('\n'));
  const { issuer, accessTokenTtlMs, refreshTokenTtlMs, cookieSecrets, clients } = parsed.value;
  assert.deepEqual([issuer, accessTokenTtlMs, refreshTokenTtlMs], [null, 600_000, 2_592_000_000]);
  assert.deepEqual([cookieSecrets, clients], [[IDP.cookieSecret], []]);
});

test('an issuer is an https origin, and needed when every address is listened on', () => {
  const of = (given: object) => said(parseIdp({ ...IDP, ...given }));
  assert.deepEqual(of({ issuer: 'https://IdP.example/', listen: ':8445' }), []);
  assert.match(of({ issuer: 'http://idp.example' }).join(), /https URL without a path/);
  assert.match(of({ issuer: 'https://idp.example/x' }).join(), /https URL without a path/);
  assert.match(of({ listen: ':8445' }).join(), /^issuer: key `issuer` is missing/);
});

test('a client has a secret or is public, and redirects only to where it can be', () => {
  const of = (given: object) =>
    said(
      parseIdp({
        ...IDP,
        clients: [{ id: 'app', redirectUris: ['https://app.example/cb'], ...given }],
      }),
    );
  assert.deepEqual(of({ public: true }), []);
  assert.deepEqual(of({ secret: '0123456789abcdef' }), []);
  assert.match(of({}).join(), /either `secret` or `public: true`/);
  assert.match(of({ public: true, secret: '0123456789abcdef' }).join(), /either `secret`/);
  const uri = (text: string) => of({ public: true, redirectUris: [text] }).length;
  for (const good of ['http://127.0.0.1/cb', 'http://[::1]:9/cb', 'com.example.app:/cb']) {
    assert.equal(uri(good), 0, good);
  }
  for (const bad of [
    'http://app.example/cb',
    'javascript:alert(1)',
    'data:x',
    'https://*.example/',
    'x',
  ]) {
    assert.equal(uri(bad), 1, bad);
  }
});

test('a password hash is checked when it is read and never shown', () => {
  const of = (password: string) =>
    said(parseIdp({ ...IDP, users: [{ name: 'ann', password }] })).join();
  assert.equal(of(HASH), '');
  for (const bad of ['secret-password', HASH.replace('1024', '1000'), HASH.replace('$8$', '$0$')]) {
    assert.match(of(bad), /expected a hash/);
    assert.ok(!of(bad).includes(bad));
  }
  assert.match(of(HASH.replace('1024', '16777216')), /expected a hash/);
});

test('a proxy that asks is a trusted one, and no field has two meanings', () => {
  const of = (authz: object) =>
    said(
      parseIdp({
        ...IDP,
        trustedProxies: ['10.0.0.0/24', '2001:db8::/64'],
        authz: { peers: ['10.0.0.5'], apps: ['wiki'], ...authz },
      }),
    ).join();
  assert.equal(of({ userField: 'Remote-User', groupsField: 'Remote-Groups' }), '');
  assert.equal(of({ peers: ['10.0.0.0/24', '2001:db8::5'] }), '');
  for (const peer of ['10.0.1.5', '10.0.0.0/23', '2001:db8::/63', '::ffff:a00:5']) {
    assert.match(
      of({ peers: [peer] }),
      /^authz\.peers\.0: .* is not in `idp\.trustedProxies`/,
      peer,
    );
  }
  assert.match(of({ peers: [] }), /^authz\.peers/);
  assert.match(of({ apps: [] }), /^authz\.apps/);
  assert.match(of({ groupsField: 'Remote-Groups' }), /key `userField` is missing/);
  for (const field of ['X-Forwarded-For', 'forwarded', 'Host', 'x-app']) {
    assert.match(of({ appField: 'X-App', userField: field }), /a field of its own/, field);
  }
  assert.match(of({ userField: 'Remote_User' }), /a field name of letters/);
});

test('users and clients are named once', () => {
  const user = { name: 'ann', password: HASH };
  const client = { id: 'app', public: true, redirectUris: ['https://app.example/cb'] };
  const issues = said(parseIdp({ ...IDP, users: [user, user], clients: [client, client] }));
  assert.equal(issues.length, 2);
});
