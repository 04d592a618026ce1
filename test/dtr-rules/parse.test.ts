// Owns the tests of reading a rule file: what it becomes, and every way it can be wrong.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddressRange } from '../../dtr-rules/address.ts';
import { parseRuleFile, parseTargetText } from '../../dtr-rules/parse.ts';
import { issuesOf, ruleFile, target } from './rule-file.ts';

const rule = { id: 'okta', action: 'TUNNEL', destinations: ['*.okta.com'] };
const set = { name: 'staff', defaultAction: 'BYPASS', rules: [rule] };

function withRule(changes: object) {
  return { ruleSets: [{ ...set, rules: [{ ...rule, ...changes }] }] };
}

function withSet(changes: object) {
  return { ruleSets: [{ ...set, ...changes }] };
}

function withTest(changes: object) {
  return { ruleSets: [set], tests: [{ name: 'a test', accept: ['a.okta.com:443'], ...changes }] };
}

/** The one issue, as `path: message (hint)`. */
function issue(value: unknown): string {
  const [first, ...more] = issuesOf(value);
  assert.deepEqual(more, []);
  assert.ok(first);
  return `${first.path.join('.')}: ${first.message}${first.hint === null ? '' : ` (${first.hint})`}`;
}

test('a whole file is read with everything in it', () => {
  const mail = { bundleId: 'com.example.mail', path: 'C:\\Mail\\mail.exe' };
  const file = ruleFile({
    applications: { mail, browser: { publisher: 'CN=Example', packageName: 'org.example' } },
    ruleSets: [
      {
        name: 'Staff, all countries',
        mode: 'per-app',
        assign: {
          posture: 'any',
          platforms: ['ios', 'macos'],
          groups: ['staff'],
          tags: ['kiosk'],
        },
        defaultAction: 'BLOCK',
        rules: [
          {
            id: 'partner',
            action: 'PROXY',
            apps: ['mail'],
            upstream: 'partner-proxy',
            destinations: 'a.example:443,8443\n*.b.example',
            egress: 'main',
            open: ['10.20.0.0/16'],
            idle: '10m',
            lifetime: '12h',
            validFrom: '2026-12-01T00:00:00Z',
            validUntil: '2027-01-01T01:00:00+01:00',
            reportOnly: true,
            description: 'the partner',
            ticket: 'CHG-1234',
          },
        ],
      },
    ],
  });
  const nothing = { bundleId: null, packageName: null, path: null, publisher: null };
  const [first, second] = file.applications;
  assert.deepEqual(first, { ...nothing, name: 'mail', ...mail });
  assert.deepEqual(second, {
    ...nothing,
    name: 'browser',
    publisher: 'CN=Example',
    packageName: 'org.example',
  });
  const [only] = file.sets;
  assert.ok(only);
  const { rules, ...rest } = only;
  assert.deepEqual(rest, {
    name: 'Staff, all countries',
    mode: 'per-app',
    assign: {
      posture: ['healthy', 'unhealthy'],
      platforms: ['ios', 'macos'],
      groups: ['staff'],
      tags: ['kiosk'],
    },
    defaultAction: 'BLOCK',
    path: ['ruleSets', 0],
  });
  const everyPort = { ports: null, text: '*.b.example' };
  const ports = [
    { first: 443, last: 443 },
    { first: 8443, last: 8443 },
  ];
  assert.deepEqual(rules, [
    {
      id: 'partner',
      action: 'PROXY',
      apps: [first],
      destinations: [
        { kind: 'host', host: 'a.example', ports, text: 'a.example:443,8443' },
        { kind: 'subdomains', suffix: 'b.example', apex: false, ...everyPort },
      ],
      upstream: 'partner-proxy',
      egress: 'main',
      open: [parseAddressRange('10.20.0.0/16')],
      idleMs: 600_000,
      lifetimeMs: 43_200_000,
      validFromMs: Date.UTC(2026, 11, 1),
      validUntilMs: Date.UTC(2027, 0, 1),
      reportOnly: true,
      description: 'the partner',
      ticket: 'CHG-1234',
      path: ['ruleSets', 0, 'rules', 0],
    },
  ]);
});

test('what is left out asks nothing, except that the device is healthy', () => {
  const [only] = ruleFile({ ruleSets: [{ name: 'all', defaultAction: 'BYPASS' }] }).sets;
  assert.deepEqual(only?.assign, {
    posture: ['healthy'],
    platforms: null,
    groups: null,
    tags: null,
  });
  assert.equal(only?.mode, 'full-device');
  assert.deepEqual(only?.rules, []);
  const [bare] = ruleFile(withRule({})).sets[0]?.rules ?? [];
  assert.deepEqual(
    [bare?.upstream, bare?.egress, bare?.open, bare?.idleMs, bare?.lifetimeMs, bare?.description],
    [null, null, [], null, null, null],
  );
  assert.deepEqual(
    [bare?.apps, bare?.validFromMs, bare?.validUntilMs, bare?.reportOnly, bare?.ticket],
    [null, null, null, false, null],
  );
  assert.deepEqual(
    ruleFile(withSet({ assign: { posture: 'unhealthy' } })).sets[0]?.assign.posture,
    ['unhealthy'],
  );
});

test('an application says at least one thing that it is known by', () => {
  const withApps = (applications: object, apps: unknown = ['mail']) => ({
    applications,
    ...withRule({ apps }),
  });
  const mail = { mail: { bundleId: 'com.example.mail' } };
  assert.equal(ruleFile(withApps(mail, 'all')).sets[0]?.rules[0]?.apps, null);
  assert.equal(
    issue(withApps({ ...mail, empty: {} })),
    'applications.empty: nothing says which application this is (add `bundleId`, `packageName`, `path`, `publisher`, or several of them)',
  );
  assert.equal(
    issue(withApps({ ...mail, all: { bundleId: 'x' } })),
    'applications.all: `all` is every application, not a name for one',
  );
  assert.match(
    issue(withApps({ ...mail, 'My App': { path: 'x' } })),
    /^applications\.My App: .* is not an id/,
  );
  assert.match(
    issue(withApps({ ...mail, b: { path: ' x' } })),
    /^applications\.b\.path: .*no identifier/,
  );
  assert.match(
    issue(withApps({ ...mail, b: { bundle: 'x', path: 'y' } })),
    /^applications\.b\.bundle: unknown key/,
  );
  assert.match(issue(withApps({ ...mail, b: 7 })), /^applications\.b: expected a mapping/);
  assert.match(issue(withApps([], 'all')), /^applications: expected a mapping/);
});

test('a rule names applications of its file, or all of them', () => {
  const place = 'ruleSets.0.rules.0.apps';
  const mail = { mail: { bundleId: 'com.example.mail' } };
  assert.equal(
    issue({ applications: mail, ...withRule({ apps: ['male'] }) }),
    `${place}.0: no application \`male\` in this file (known: mail)`,
  );
  assert.equal(
    issue(withRule({ apps: ['mail'] })),
    `${place}.0: no application \`mail\` in this file (the file has no \`applications\`)`,
  );
  assert.match(issue(withRule({ apps: [7] })), /apps\.0: expected text/);
  assert.equal(issue(withRule({ apps: [] })), `${place}: the list is empty`);
  assert.match(issue(withRule({ apps: 'mail' })), /apps: expected a list/);
});

test('applications times destinations are bounded', () => {
  const names = Array.from({ length: 1_000 }, (_, i) => `app${i}`);
  const applications = Object.fromEntries(names.map((name) => [name, { bundleId: name }]));
  const destinations = Array.from({ length: 1_001 }, (_, i) => `host${i}.example`);
  assert.equal(
    issue({ applications, ...withRule({ apps: names, destinations }) }),
    'ruleSets: the rules name more than 1000000 pairs of an application and a destination',
  );
});

test('a rule ends after it begins, and only reports when told so plainly', () => {
  const [from, until] = ['2026-12-01T00:00:00Z', '2026-12-01T01:00:00+01:00'];
  assert.equal(
    issue(withRule({ validFrom: from, validUntil: until })),
    'ruleSets.0.rules.0: the rule is never in force: `validUntil` is not after `validFrom`',
  );
  assert.match(issue(withRule({ validFrom: 'soon' })), /validFrom: `soon` is not a moment/);
  assert.equal(
    issue(withRule({ reportOnly: 'yes' })),
    'ruleSets.0.rules.0.reportOnly: expected `true` or `false`, got `yes`',
  );
  assert.match(
    issue(withSet({ mode: 'app' })),
    /mode: `app` is not one of `full-device`, `per-app`/,
  );
});

test('every issue is reported at once, each at its place', () => {
  const issues = issuesOf({
    ruleset: [],
    ruleSets: [
      {
        name: 'a',
        rules: [
          { id: 'X', action: 'TUNEL', destination: ['a'], destinations: ['10.0.0.1/8', 'a b'] },
        ],
      },
      { name: 'b', defaultAction: 'PROXY', rules: [7] },
    ],
  });
  assert.deepEqual(
    issues.map(({ path }) => path.join('.')),
    [
      'ruleset',
      'ruleSets.0',
      'ruleSets.0.rules.0.destination',
      'ruleSets.0.rules.0.id',
      'ruleSets.0.rules.0.action',
      'ruleSets.0.rules.0.destinations.0',
      'ruleSets.0.rules.0.destinations.1',
      'ruleSets.1.defaultAction',
      'ruleSets.1.rules.0',
    ],
  );
});

test('an unknown key comes with the key it was probably meant to be', () => {
  assert.equal(
    issue(withRule({ descripton: 'x' })),
    'ruleSets.0.rules.0.descripton: unknown key `descripton` (did you mean `description`?)',
  );
  assert.equal(
    issue(withSet({ 'default-action': 'BLOCK' })),
    'ruleSets.0.default-action: unknown key `default-action` (did you mean `defaultAction`?)',
  );
  assert.equal(
    issue(withRule({ priority: 1 })),
    'ruleSets.0.rules.0.priority: unknown key `priority`',
  );
  assert.equal(issue(withRule({ x: 1 })), 'ruleSets.0.rules.0.x: unknown key `x`');
  assert.match(issue(withTest({ acept: [] })), /did you mean `accept`\?/);
  assert.match(issue(withSet({ assign: { platform: ['ios'] } })), /did you mean `platforms`\?/);
});

test('keys that mean something to the language are only unknown keys', () => {
  const text = '{"__proto__":{"ruleSets":[]},"constructor":1,"toString":2}';
  const issues = issuesOf(JSON.parse(text));
  assert.deepEqual(
    issues.map(({ message }) => message),
    [
      'unknown key `__proto__`',
      'unknown key `constructor`',
      'unknown key `toString`',
      '`ruleSets` is missing',
    ],
  );
  assert.equal(issue(Object.create({ ruleSets: [set] })), ': `ruleSets` is missing');
});

test('a word that is not in the language comes with the nearest one that is', () => {
  const actions = '`TUNNEL`, `BYPASS`, `BLOCK`, `PROXY`';
  assert.equal(
    issue(withRule({ action: 'tunnel' })),
    `ruleSets.0.rules.0.action: \`tunnel\` is not one of ${actions} (did you mean \`TUNNEL\`?)`,
  );
  assert.equal(
    issue(withRule({ action: 'ALLOW' })),
    `ruleSets.0.rules.0.action: \`ALLOW\` is not one of ${actions}`,
  );
  assert.match(issue(withSet({ assign: { platforms: ['mac-os'] } })), /did you mean `macos`\?/);
});

test('values of another kind say what was expected and what came', () => {
  assert.equal(issue(null), ': expected a mapping, got nothing');
  assert.equal(issue([]), ': expected a mapping, got a list');
  assert.equal(issue('x'), ': expected a mapping, got `x`');
  assert.equal(issue(undefined), ': expected a mapping, got undefined');
  assert.equal(issue({ ruleSets: {} }), 'ruleSets: expected a list, got a mapping');
  assert.equal(issue(withSet({ rules: 7 })), 'ruleSets.0.rules: expected a list, got `7`');
  assert.equal(issue(withRule({ id: true })), 'ruleSets.0.rules.0.id: expected text, got `true`');
  assert.equal(
    issue(withRule({ description: ' ' })),
    'ruleSets.0.rules.0.description: expected text, got none',
  );
  assert.equal(issue(withRule({ action: 7 })), 'ruleSets.0.rules.0.action: expected text, got `7`');
  assert.equal(issue(withRule({ idle: 600 })), 'ruleSets.0.rules.0.idle: expected text, got `600`');
  assert.equal(issue({ ruleSets: [null] }), 'ruleSets.0: expected a mapping, got nothing');
});

test('a key left blank is an issue: blank must not widen who a rule set is for', () => {
  assert.equal(
    issue(withSet({ assign: { groups: null } })),
    'ruleSets.0.assign.groups: expected a list, got nothing',
  );
  assert.equal(
    issue(withSet({ assign: { groups: [] } })),
    'ruleSets.0.assign.groups: the list is empty',
  );
  assert.equal(
    issue(withSet({ assign: null })),
    'ruleSets.0.assign: expected a mapping, got nothing',
  );
  assert.equal(
    issue(withSet({ assign: { platforms: [] } })),
    'ruleSets.0.assign.platforms: the list is empty',
  );
  assert.equal(issue({ ruleSets: [] }), 'ruleSets: the list is empty');
  assert.equal(issue(withRule({ open: [] })), 'ruleSets.0.rules.0.open: the list is empty');
});

test('a rule needs destinations, as a list or as one line', () => {
  assert.equal(
    issue(withRule({ destinations: [] })),
    'ruleSets.0.rules.0.destinations: the list is empty',
  );
  assert.equal(
    issue(withRule({ destinations: '' })),
    'ruleSets.0.rules.0.destinations: expected text, got none',
  );
  assert.equal(
    issue(withRule({ destinations: ', ,' })),
    'ruleSets.0.rules.0.destinations: `, ,` names no destination',
  );
  assert.equal(
    issue(withRule({ destinations: ['a.example', 443] })),
    'ruleSets.0.rules.0.destinations.1: expected text, got `443`',
  );
  const [read] =
    ruleFile(withRule({ destinations: ['a.example,b.example:443,80', 'c.example'] })).sets[0]
      ?.rules ?? [];
  assert.deepEqual(
    read?.destinations.map(({ text }) => text),
    ['a.example', 'b.example:443,80', 'c.example'],
  );
});

test('names are unique, and `default` stays the name of the default action', () => {
  assert.equal(issue({ ruleSets: [set, set] }), 'ruleSets.1.name: `staff` is used twice');
  assert.equal(
    issue(withSet({ rules: [rule, { ...rule, id: 'b' }, rule] })),
    'ruleSets.0.rules.2.id: `okta` is used twice',
  );
  assert.equal(
    issue(withRule({ id: 'default' })),
    'ruleSets.0.rules.0.id: `default` is the default action, not an id for a rule',
  );
  assert.match(
    issue(withRule({ id: 'Okta' })),
    /`Okta` is not an id: expected up to 63 of `a-z`, `0-9` and `-`/,
  );
  assert.match(issue(withSet({ name: 'two\nlines' })), /`two\\nlines` is not a name/);
});

test('PROXY names its upstream, and nothing else does', () => {
  assert.equal(issue(withRule({ action: 'PROXY' })), 'ruleSets.0.rules.0: `upstream` is missing');
  assert.equal(
    issue(withRule({ upstream: 'p' })),
    'ruleSets.0.rules.0.upstream: `upstream` has no meaning with `TUNNEL`, only with `PROXY`',
  );
  assert.match(
    issue(withSet({ defaultAction: 'PROXY' })),
    /^ruleSets\.0\.defaultAction: the default action cannot be `PROXY` \(/,
  );
  const { defaultAction: _, ...without } = set;
  assert.equal(issue({ ruleSets: [without] }), 'ruleSets.0: `defaultAction` is missing');
});

test('bypassed traffic never names an egress pool', () => {
  const problem = '`egress` has no meaning with `BYPASS`, only with `TUNNEL`, `PROXY`';
  assert.equal(
    issue(withRule({ action: 'BYPASS', egress: 'main' })),
    `ruleSets.0.rules.0.egress: ${problem}`,
  );
  assert.equal(
    issuesOf(
      withRule({
        action: 'BLOCK',
        open: ['10.0.0.1'],
        idle: '1m',
        lifetime: '1h',
        egress: 'main',
      }),
    ).length,
    4,
  );
});

test('idle and lifetime are durations that a timer can hold', () => {
  const idleMs = (idle: string) => ruleFile(withRule({ idle })).sets[0]?.rules[0]?.idleMs;
  assert.deepEqual(
    ['1500ms', '30s', '10m', '12h', '7d'].map(idleMs),
    [1_500, 30_000, 600_000, 43_200_000, 604_800_000],
  );
  for (const idle of [
    '0s',
    '999ms',
    '8d',
    '30d',
    '10',
    '1.5h',
    '-1s',
    '10 m',
    '1w',
    '01s',
    '9999999999s',
  ]) {
    assert.match(issue(withRule({ idle })), /is not a duration from `1s` to `7d`/, idle);
    assert.match(issue(withRule({ lifetime: idle })), /is not a duration from `1s` to `7d`/, idle);
  }
});

test('ten thousand rules are read and one more is too many', () => {
  const rules = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ ...rule, id: `r${i}` }));
  const half = { ...set, name: 'half', rules: rules(5_000) };
  assert.ok(
    parseRuleFile({ ruleSets: [half, { ...half, name: 'other' }, { ...set, rules: [] }] }).ok,
  );
  assert.equal(
    issue({ ruleSets: [half, { ...half, name: 'other' }, set] }),
    'ruleSets: 10001 rules are too many, expected at most 10000',
  );
});

test('tests are read with their defaults', () => {
  const [first, second] = ruleFile({
    ruleSets: [set],
    tests: [
      { name: 'one', accept: ['A.okta.com:443'] },
      {
        name: 'two',
        posture: 'unhealthy',
        platform: 'linux',
        groups: ['staff'],
        tags: ['kiosk'],
        app: 'com.example.mail',
        at: '2026-12-01T00:00:00Z',
        deny: ['[2001:db8::1]:443'],
        exact: [
          { target: '192.0.2.1:443', action: 'BYPASS' },
          { target: 'b:1', rule: 'default', set: 'staff' },
        ],
      },
    ],
  }).tests;
  const none = { deny: [], exact: [], groups: [], tags: [], app: null, atMs: null };
  assert.deepEqual(first, {
    name: 'one',
    posture: 'healthy',
    platform: null,
    accept: [target('a.okta.com:443')],
    ...none,
    path: ['tests', 0],
  });
  assert.deepEqual(second, {
    name: 'two',
    posture: 'unhealthy',
    platform: 'linux',
    groups: ['staff'],
    tags: ['kiosk'],
    app: 'com.example.mail',
    atMs: Date.UTC(2026, 11, 1),
    accept: [],
    deny: [target('[2001:db8::1]:443')],
    exact: [
      { target: target('192.0.2.1:443'), action: 'BYPASS', rule: null, set: null },
      { target: target('b:1'), action: null, rule: 'default', set: 'staff' },
    ],
    path: ['tests', 1],
  });
});

test('a test has to name something and expect something', () => {
  assert.equal(
    issue({ ruleSets: [set], tests: [{ name: 'x' }] }),
    'tests.0: the test expects nothing (add `accept`, `deny` or `exact`)',
  );
  assert.equal(
    issue({ ruleSets: [set], tests: [{ deny: ['a:1'] }] }),
    'tests.0: `name` is missing',
  );
  assert.equal(issue({ ruleSets: [set], tests: ['x'] }), 'tests.0: expected a mapping, got `x`');
  assert.equal(
    issue(withTest({ exact: [{ target: 'a:1' }] })),
    'tests.0.exact.0: nothing is expected of the target (add `action`, `rule` or `set`)',
  );
  assert.equal(
    issue(withTest({ exact: [{ action: 'BLOCK' }] })),
    'tests.0.exact.0: `target` is missing',
  );
  assert.equal(issue(withTest({ exact: [7] })), 'tests.0.exact.0: expected a mapping, got `7`');
  assert.equal(
    issue(withTest({ deny: ['a.example'] })),
    'tests.0.deny.0: `a.example` is not `host:port`, `192.0.2.1:443` or `[2001:db8::1]:443` (add a port: `a.example:443`)',
  );
  assert.match(issue(withTest({ deny: ['::1'] })), /^tests\.0\.deny\.0: `::1` is not [^()]+$/);
});

test('a target has a host in its canonical form and a port written out', () => {
  assert.deepEqual(parseTargetText('Login.Example.com.:443'), {
    host: 'login.example.com',
    address: null,
    port: 443,
  });
  assert.equal(parseTargetText('192.0.2.1:1')?.address?.text, '192.0.2.1');
  assert.equal(parseTargetText('[2001:DB8:0::1]:65535')?.host, '2001:db8::1');
  const hosts = [
    'a',
    'a:',
    ':1',
    'a:0',
    'a:65536',
    'a:01',
    'a:+1',
    'a:1:2',
    '::1:443',
    '[::1]',
    '[a]:1',
    '[192.0.2.1]:1',
  ];
  for (const text of [
    ...hosts,
    '[::1%eth0]:1',
    '127.1:80',
    '*.a:1',
    'a b:1',
    'u@a:1',
    'http://a:1',
    ' a:1',
    'a:1 ',
    '',
  ]) {
    assert.equal(parseTargetText(text), null, text);
  }
});
