// Imports: what rules of other products become, and that nothing of them is lost without a word.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { importCsv } from '../../dtr-rules/import/csv.ts';
import { expectationsOf } from '../../dtr-rules/import/expectations.ts';
import { importServerRules } from '../../dtr-rules/import/server-rules.ts';
import { importWorkspaceOne } from '../../dtr-rules/import/workspace-one.ts';
import { root } from '../docs/markdown.ts';
import { imported, lossesOf, now, published, rule, rulesOf, written } from './imported.ts';

test('the published form becomes a set for each platform, in order of rank, and the file it writes is valid', async () => {
  const text = await readFile(join(root, 'deploy/import/workspace-one.example.json'), 'utf8');
  const value = imported(importWorkspaceOne(JSON.parse(text)));
  assert.deepEqual(
    value.sets.map(({ name, mode, platforms }) => [name, mode, platforms]),
    [
      ['Staff ios', 'per-app', ['ios']],
      ['Staff windows', 'per-app', ['windows']],
    ],
  );
  assert.deepEqual(rulesOf(value).slice(0, 4), [
    'rule-1 BLOCK *.gambling.example',
    'rule-2 TUNNEL *acme.okta.com,login.microsoftonline.com,*.msauth.net',
    'rule-3 PROXY proxy-corp-example *.partner.example',
    'rule-4 BLOCK legacy.example.com',
  ]);
  const { file } = written(value);
  assert.deepEqual(
    file.applications.map(({ bundleId, path }) => bundleId ?? path),
    ['com.example.mail', 'com.apple.mobilesafari', 'C:\\Program Files\\Mail\\mail.exe'],
  );
});

test('rules are put into the order of their ranks', () => {
  const value = imported(
    importWorkspaceOne(
      published([rule('TUNNEL', { serial_number: '10' }), rule('BLOCK', { serial_number: '9' })]),
    ),
  );
  assert.deepEqual(
    rulesOf(value).map((text) => text.split(' ')[0]),
    ['rule-9', 'rule-10'],
  );
});

test('a proxy that asks for Basic sign-in is asked with one, and another without', () => {
  const named = (host: string, authentication: string) =>
    rule('PROXY', {}, { host, authentication });
  const { upstreams } = imported(
    importWorkspaceOne(published([named('a.corp:8080', 'BASIC'), named('b.corp:8080', 'NONE')])),
  );
  assert.deepEqual(
    upstreams.map(({ host, username }) => [host, username]),
    [
      ['a.corp', ''],
      ['b.corp', null],
    ],
  );
});

test('platforms with the same rules share a set', () => {
  const rules = [rule('TUNNEL')];
  const payload = [
    { platform: 'APPLE', rules },
    { platform: 'ANDROID', rules },
  ];
  const { sets } = imported(importWorkspaceOne(published([], { payload })));
  assert.deepEqual(
    sets.map(({ name, platforms }) => [name, platforms]),
    [['Staff', ['ios', 'android']]],
  );
});

const losing: readonly (readonly [string, object, RegExp, string])[] = [
  [
    'NTLM',
    rule('TUNNELPROXY', {}, { host: 'p.example:8080', authentication: 'NTLM' }),
    /rules\[0\]\.action: TUNNELPROXY with NTLM/,
    'rule-1 BLOCK a.example.com',
  ],
  [
    'WEBPROXY',
    rule('WEBPROXY'),
    /the action WEBPROXY has no counterpart/,
    'rule-1 BLOCK a.example.com',
  ],
  [
    'a proxy without port',
    rule('PROXY', {}, { host: 'p.example' }),
    /PROXY without a proxy/,
    'rule-1 BLOCK a.example.com',
  ],
  [
    'a rule without action',
    { destinations: ['a.example.com'] },
    /the action NONE/,
    'rule-1 BLOCK a.example.com',
  ],
  [
    'an unknown key',
    rule('TUNNEL', { shiny: true }),
    /rules\[0\]\.shiny: `shiny` is not carried over/,
    'rule-1 TUNNEL a.example.com',
  ],
  [
    'a destination of another grammar',
    rule('TUNNEL', { destinations: ['a.example.com', 'b[0-9].example'] }),
    /destinations: destination left out: `b\[0-9\]/,
    'rule-1 TUNNEL a.example.com',
  ],
  [
    'signing',
    rule('TUNNEL', {
      applications: [{ bundle_id: 'x.y', signing_info: { subject_name: 'CN=x' } }],
    }),
    /signing_info: signing/,
    'rule-1 TUNNEL a.example.com',
  ],
  [
    'an app without id',
    rule('TUNNEL', { applications: [{ bundle_id: 'x.y' }, { friendly_name: 'Lost' }] }),
    /the application `Lost` has no identifier/,
    'rule-1 TUNNEL a.example.com',
  ],
  ['some ranks', rule('TUNNEL', { serial_number: 'x' }), /^/, 'rule-x TUNNEL a.example.com'],
];

for (const [what, one, loss, expected] of losing) {
  test(`what cannot be carried over is told, and does not pass by mistake: ${what}`, () => {
    const value = imported(importWorkspaceOne(published([one])));
    assert.match(lossesOf(value).join('\n'), loss);
    assert.deepEqual(rulesOf(value), [expected]);
    written(value);
  });
}

test('a rule nothing is left of, and a platform nobody knows, are told', () => {
  const rules = [
    rule('TUNNEL', { destinations: ['?'] }),
    rule('TUNNEL', { applications: [{ friendly_name: 'x' }] }),
    rule('TUNNEL'),
    rule('BLOCK', { serial_number: '3' }),
  ];
  const payload = [
    { platform: 'APPLE', rules },
    { platform: 'TV', rules: [] },
  ];
  const losses = lossesOf(imported(importWorkspaceOne(published([], { payload }))));
  assert.match(
    losses.join('\n'),
    /no destination of it[\s\S]*no application of it[\s\S]*`TV` is not known/,
  );
  assert.match(losses.join('\n'), /some rules have no rank/);
});

test('a default that is a proxy becomes a last rule, and one that is missing stands as BLOCK', () => {
  const proxied = imported(
    importWorkspaceOne(
      published([], { default_action: 'PROXY', default_action_proxy: { host: 'p.example:8080' } }),
    ),
  );
  assert.deepEqual(rulesOf(proxied), ['everything-else PROXY p-example *']);
  const missing = imported(
    importWorkspaceOne(published([rule('TUNNEL')], { default_action: null })),
  );
  assert.equal(missing.sets[0]?.defaultAction, 'BLOCK');
  assert.match(lossesOf(missing).join(), /there is no default action/);
});

test('the flat form is read, as one set or several', () => {
  const item = (name?: string) => ({
    uuid: '1',
    name,
    traffic_rules: [
      {
        uuid: '2',
        action: 'TUNNEL',
        domains: ['a.example.com,b.example.com'],
        applications: [{ uuid: '3', bundle_id: 'com.example.app', device_type: 'ANDROID' }],
      },
    ],
  });
  const one = imported(importWorkspaceOne({ items: [item()] }));
  assert.deepEqual(rulesOf(one), ['rule-1 TUNNEL a.example.com,b.example.com']);
  assert.deepEqual(
    one.applications.map(({ kind }) => kind),
    ['packageName'],
  );
  const two = imported(importWorkspaceOne([item('A'), item('B')]));
  assert.deepEqual(
    two.sets.map(({ groups }) => groups),
    [['A'], ['B']],
  );
  assert.match(lossesOf(two).join(), /which devices get the set `A`/);
  written(two);
  assert.ok(importWorkspaceOne(item('A')).ok);
});

const server = {
  OutBoundProxies: [
    {
      Uid: 'p1',
      HostName: 'proxy.corp',
      Port: 8080,
      Authentication: 'BASIC',
      UserName: 'svc',
      Password: 'hunter2-secret',
    },
    {
      Uid: 'p2',
      HostName: 'ntlm.corp',
      Port: 8080,
      Authentication: 'NTLM',
      Password: 'hunter2-secret',
    },
    { Uid: 'p3', HostName: 'broken.corp' },
  ],
  TrafficRules: [
    {
      Uid: 'r1',
      Action: 'PROXY',
      HostNames: [{ HostName: '*.partner.example' }],
      MappedProxyUid: [{ UniqueIdentifier: 'p1' }, { UniqueIdentifier: 'p2' }],
    },
    {
      Uid: 'r2',
      Action: 'PROXY',
      HostNames: [{ HostName: 'old.example' }],
      MappedProxyUid: [{ UniqueIdentifier: 'p2' }],
    },
    { Uid: 'r3', Action: 'BYPASS', HostNames: ['*.corp.example'] },
    { Uid: 'r4', Action: 'NONE', HostNames: ['none.example'] },
    { Uid: 'r5', Action: 'PROXY', HostNames: [] },
  ],
  ApiViaProxy: true,
  use_pac_utility: true,
};

test('server traffic rules become PROXY rules and upstreams, without a password anywhere', () => {
  const value = imported(importServerRules(server));
  assert.deepEqual(rulesOf(value), [
    'server-1 PROXY proxy-corp *.partner.example',
    'server-2 BLOCK old.example',
    'server-3 TUNNEL *.corp.example',
    'server-4 BLOCK none.example',
  ]);
  const { text } = written(value);
  assert.ok(!(text + JSON.stringify(value)).includes('hunter2'));
  assert.ok(
    text.includes(
      '#     proxy-corp: { host: "proxy.corp", port: 8080, username: "svc", password: "$' +
        '{env:PROXY_CORP_PASSWORD}" }',
    ),
  );
  const losses = lossesOf(value).join('\n');
  for (const told of [
    'NTLM',
    'no host and port',
    'ApiViaProxy',
    'use_pac_utility',
    '2 proxies',
    'no host name',
    'password',
  ])
    assert.ok(losses.includes(told), told);
});

test('CSV is read by its header, with quotes, line breaks and semicolons', () => {
  const text =
    '\uFEFFSet;Rule;Action;Destinations;Apps;Proxy;Egress;Platforms;Groups;Ticket;Colour\r\n' +
    'staff;Okta (new);tunnel;"acme.okta.com\n*.oktacdn.com:443";com.example.mail|all;;main;ios|amiga;staff;CHG-1;red\r\n' +
    'staff;Okta (new);block;"say ""no"".example, b.example";;;main;;;;\r\n' +
    'other;p;PROXY;c.example;;p.example:3128;;;;;\n' +
    ';q;PROXY;d.example;;;;;;;\n;z;MAYBE;e.example;;;;;;;\n;z;TUNNEL;?;;;;;;;\n\n';
  const value = imported(importCsv(text));
  assert.deepEqual(rulesOf(value), [
    'okta-new TUNNEL acme.okta.com,*.oktacdn.com:443',
    'okta-new-2 BLOCK b.example',
    'p PROXY p-example c.example',
    'q BLOCK d.example',
    'z BLOCK e.example',
  ]);
  const [staff] = value.sets;
  assert.deepEqual(
    [staff?.platforms, staff?.groups, staff?.rules[0]?.egress, staff?.rules[0]?.ticket],
    [['ios'], ['staff'], 'main', 'CHG-1'],
  );
  const losses = lossesOf(value).join('\n');
  for (const told of [
    '`Colour`',
    'line 2: the platform `amiga`',
    'line 4: destination left out',
    'line 6: PROXY needs',
    'line 7: the action `MAYBE`',
    'line 8: the rule is left out',
  ])
    assert.ok(losses.includes(told), told);
  written(value);
});

test('the default action of a table is what its set says, or else the command, or else BYPASS and told', () => {
  const table = (action: string) =>
    `set,action,destinations,default action\ns,TUNNEL,a.example,${action}\n`;
  const read = (...args: Parameters<typeof importCsv>) => {
    const value = imported(importCsv(...args));
    return [value.sets[0]?.defaultAction, ...value.losses.map(({ what }) => what)];
  };
  assert.deepEqual(read(table('block')), ['BLOCK']);
  assert.deepEqual(read(table('tunnel'), 'BLOCK'), ['TUNNEL']);
  assert.deepEqual(read(table(''), 'BLOCK'), ['BLOCK']);
  assert.deepEqual(read(table('')), ['BYPASS', 'nothing says the default action of the set']);
  assert.deepEqual(read(table('proxy')), [
    'BLOCK',
    'the default action `proxy` has no counterpart',
  ]);
});

test('a signer stands for an application only where nothing narrower does', () => {
  const signing_info = { subject_name: 'CN=Example Corp' };
  const value = imported(
    importWorkspaceOne(
      published([
        rule('TUNNEL', {
          applications: [
            { bundle_id: 'com.example.mail', friendly_name: 'Mail', signing_info },
            { friendly_name: 'Signed', signing_info },
          ],
        }),
      ]),
    ),
  );
  assert.deepEqual(
    value.applications.map(({ kind, identifier }) => [kind, identifier]),
    [
      ['bundleId', 'com.example.mail'],
      ['publisher', 'CN=Example Corp'],
    ],
  );
  assert.match(lossesOf(value).join('\n'), /applications\[0\]\.signing_info: signing/);
  written(value);
});

test('another shape is refused with what was expected', () => {
  for (const shape of [null, [], {}, { rules: [] }, 'text', { device_traffic_rule_set: 7 }]) {
    const read = importWorkspaceOne(shape);
    assert.equal(read.ok && read.value.sets.length > 0, false);
    assert.equal(importServerRules(shape).ok, false);
  }
  assert.match(JSON.stringify(importCsv('a,b\n1,2\n')), /first line has to name the columns/);
});

test('names that YAML would read as numbers or other values stay names', () => {
  const names = ['7', 'null', 'true', '1e3', '0x10'];
  const applications = names.map((name) => ({ bundle_id: name, friendly_name: name }));
  const rules = names.map((name) =>
    rule('TUNNEL', { name, applications, destinations: [`x${name}.example`] }),
  );
  const { file } = written(imported(importWorkspaceOne(published(rules))));
  assert.deepEqual(file.applications.map(({ name }) => name).toSorted(), names.toSorted());
});

test('text of the input stays text: no reference to a secret, no line of its own', () => {
  const reference = (text: string) => `${'$'}{${text}}`;
  const name = `${reference('env:HOME')} "x"`;
  const one = rule('TUNNEL', {
    ['a\nruleSets: []']: 1,
    applications: [{ bundle_id: reference('file:/etc/passwd'), friendly_name: 'x' }],
  });
  const value = imported(importWorkspaceOne({ ...published([one]), meta: { name } }));
  const { text, file } = written(value);
  assert.ok(!/(?<!\$)\$\{(env|file):(HOME|\/etc)/.test(text));
  assert.deepEqual(
    file.sets.map((set) => set.rules.length),
    [1],
  );
});

test('whatever the input holds, an import is refused or gives a valid file', () => {
  const words = fc.constantFrom(
    'TUNNEL',
    'PROXY',
    'APPLE',
    'a.example',
    '*',
    '10.0.0.0/8',
    '',
    '1',
    'p:80',
    'all',
    null,
    7,
    '\u0000"#: x',
  );
  const action = fc.record(
    { type: words, host: words, authentication: words },
    { requiredKeys: [] },
  );
  const rules = fc.array(
    fc.record(
      {
        serial_number: words,
        action: fc.oneof(action, words),
        destinations: fc.array(words),
        applications: fc.array(
          fc.record({ bundle_id: words, friendly_name: words }, { requiredKeys: [] }),
        ),
      },
      { requiredKeys: [] },
    ),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(
      fc.array(fc.record({ platform: words, rules }), { maxLength: 3 }),
      words,
      (payload, default_action) => {
        const value = imported(importWorkspaceOne(published([], { payload, default_action })));
        if (value.sets.length === 0) return;
        const expected = expectationsOf(value, now);
        // A set given twice, or a control character in an identifier, is for a person to mend.
        if (expected.ok) written(value);
        else
          assert.ok(
            expected.issues.every(({ message }) =>
              /used twice|not an identifier|is no identifier|not a name/.test(message),
            ),
            JSON.stringify(expected),
          );
      },
    ),
    { numRuns: 300 },
  );
});
