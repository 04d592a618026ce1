// Imports of what is there in another form than usual, or not there at all.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importCsv } from '../../dtr-rules/import/csv.ts';
import { expectationsOf } from '../../dtr-rules/import/expectations.ts';
import type { Imported } from '../../dtr-rules/import/imported.ts';
import { importServerRules } from '../../dtr-rules/import/server-rules.ts';
import { importWorkspaceOne } from '../../dtr-rules/import/workspace-one.ts';
import { imported, lossesOf, now, published, rule, rulesOf, written } from './imported.ts';

const fromCsv = (text: string) => imported(importCsv(text));
const fromPublished = (rules: readonly unknown[], more: object = {}) =>
  imported(importWorkspaceOne(published([], { payload: [{ platform: 'APPLE', rules }], ...more })));
const appsOf = ({ applications }: Imported) =>
  applications.map(({ name, kind, identifier }) => [name, kind, identifier]);

test('an empty table is refused like one without a header', () => {
  assert.match(JSON.stringify(importCsv('')), /first line has to name the columns/);
});

test('columns that a line of a table leaves out at its end are empty', () => {
  const value = fromCsv('action,destinations,ticket\nBLOCK,a.example\n');
  assert.deepEqual(rulesOf(value), ['rule-1 BLOCK a.example']);
  assert.equal(value.sets[0]?.rules[0]?.ticket, null);
});

test('a quote inside a field of a table is refused with its line: what follows must not be lost', () => {
  const read = importCsv(
    'action,destinations\nBLOCK,a.example\nBLOCK,b"c".example\nBLOCK,d.example\n',
  );
  assert.ok(!read.ok);
  assert.match(read.message, /^line 3: a quote within a field/);
});

test('a last line that ends in a separator is read', () => {
  const value = fromCsv('action,destinations,ticket\nBLOCK,a.example,x\nBLOCK,d.example,');
  assert.deepEqual(rulesOf(value), ['rule-1 BLOCK a.example', 'rule-2 BLOCK d.example']);
});

test('names that every object has are no columns and no platforms', () => {
  const { losses } = fromCsv('action,destinations,constructor\nBLOCK,a.example,x\n');
  assert.ok(losses.some(({ what }) => what.includes('`constructor` is not carried over')));
  const payload = [{ platform: 'constructor', rules: [rule('BLOCK')] }];
  const value = importWorkspaceOne({ device_traffic_rule_set: { payload } });
  assert.ok(value.ok && value.value.losses.some(({ what }) => what.includes('is not known')));
});

test('an application of a table with a slash is a path', () => {
  const value = fromCsv('action,destinations,apps\nTUNNEL,a.example,/usr/bin/mail|x.y\n');
  assert.deepEqual(appsOf(value), [
    ['usr-bin-mail', 'path', '/usr/bin/mail'],
    ['x-y', 'bundleId', 'x.y'],
  ]);
  written(value);
});

test('rules of one name are told apart by numbers, and share the proxy they have in common', () => {
  const line = (host: string) => `p,PROXY,${host}.example,proxy.example:3128\n`;
  const value = fromCsv(`rule,action,destinations,proxy\n${line('a')}${line('b')}${line('c')}`);
  assert.deepEqual(rulesOf(value), [
    'p PROXY proxy-example a.example',
    'p-2 PROXY proxy-example b.example',
    'p-3 PROXY proxy-example c.example',
  ]);
  assert.equal(value.upstreams.length, 1);
});

test('a rule for addresses is tested at the first of them', () => {
  const { text } = written(
    fromCsv('action,destinations\nBLOCK,2001:db8::/32\nTUNNEL,192.0.2.0/24\n'),
  );
  assert.match(text, /target: "\[2001:db8::\]:443", action: BLOCK/);
  assert.match(text, /target: "192\.0\.2\.0:443", action: TUNNEL/);
});

test('a rule that another hides is written without a test', () => {
  const { file } = written(fromPublished([rule('BLOCK'), rule('TUNNEL')]));
  assert.deepEqual(
    file.sets.map(({ rules }) => rules.length),
    [2],
  );
  assert.deepEqual(
    file.tests.flatMap(({ exact }) => exact.map((one) => one.rule)),
    ['rule-1'],
  );
});

test('a set without rules is written as one, and without a test', () => {
  const { file } = written(fromPublished([]));
  assert.deepEqual([file.sets.map(({ rules }) => rules.length), file.tests], [[0], []]);
});

test('sets that cannot be told apart have no tests but issues', () => {
  const payload = ['BLOCK', 'TUNNEL'].map((type) => ({ platform: 'APPLE', rules: [rule(type)] }));
  const expected = expectationsOf(fromPublished([], { payload }), now);
  assert.match(JSON.stringify(expected), /"ok":false.*used twice/);
});

test('a proxy that is not named at all stands as BLOCK', () => {
  const value = fromPublished([rule('PROXY')]);
  assert.deepEqual(rulesOf(value), ['rule-1 BLOCK a.example.com']);
  assert.match(lossesOf(value).join(), /PROXY without a proxy/);
});

test('a tunnelled proxy becomes a proxy, and the rule says what it was', () => {
  const value = fromPublished([rule('TUNNELPROXY', {}, { host: 'p.example:8080' })]);
  assert.deepEqual(rulesOf(value), ['rule-1 PROXY p-example a.example.com']);
  assert.equal(value.sets[0]?.rules[0]?.description, 'was TUNNELPROXY');
});

test('a published rule set has the name of its release, or else its own, or else one for it', () => {
  const nameOf = (more: object, ruleSet: object = {}) =>
    imported(
      importWorkspaceOne({
        ...published([], { ...ruleSet, payload: [{ platform: 'LINUX' }] }),
        ...more,
      }),
    ).sets[0]?.name;
  assert.equal(nameOf({}, { name: 'Own' }), 'Staff');
  assert.equal(nameOf({ meta: null }, { name: 'Own' }), 'Own');
  assert.equal(nameOf({ meta: {} }), 'imported');
});

test('a full tunnel takes the whole device, in either form', () => {
  const tunnel_mode = 'FULL_TUNNEL';
  assert.equal(fromPublished([rule('TUNNEL')], { tunnel_mode }).sets[0]?.mode, 'full-device');
  const flat = imported(importWorkspaceOne([{ tunnel_mode, traffic_rules: [rule('TUNNEL')] }]));
  assert.equal(flat.sets[0]?.mode, 'full-device');
});

test('what is no object where one has to be is told, and the rest is read', () => {
  const value = fromPublished([7, rule('TUNNEL', { applications: ['x'] }), rule('BLOCK')]);
  assert.deepEqual(rulesOf(value), ['rule-1 BLOCK a.example.com']);
  assert.match(
    lossesOf(value).join('\n'),
    /rules\[0\]: the rule is left out[\s\S]*rules\[1\]: the rule is left out/,
  );
  const payload = [null, { platform: 'LINUX', rules: [rule('BLOCK')] }];
  assert.match(
    lossesOf(fromPublished([], { payload })).join(),
    /payload\[0\]\.platform: .*not known/,
  );
  const flat = imported(importWorkspaceOne(['x']));
  assert.deepEqual(rulesOf(flat), []);
  assert.match(lossesOf(flat).join(), /items\[0\]\.default_action: there is no default action/);
});

test('destinations of a rule may be one text, and what is none is told as lost', () => {
  const mixed = fromPublished([rule('BLOCK', { destinations: [null, 'a.example', {}] })]);
  assert.deepEqual(rulesOf(mixed), ['rule-1 BLOCK a.example']);
  const told = mixed.losses.filter(({ what }) => what === 'it is no text, and left out');
  assert.equal(told.length, 2);
  const value = fromPublished([rule('BLOCK', { destinations: 'a.example, b.example' })]);
  assert.deepEqual(rulesOf(value), ['rule-1 BLOCK a.example,b.example']);
});

test('an application is known by what its identifier looks like and what its device is', () => {
  const applications = [
    { bundle_id: 'CN=Example Corp' },
    { signing_info: { subject_name: 'CN=Other Corp' } },
    { bundle_id: 'x.android', device_type: 'ANDROID' },
    { bundle_id: 'x.unsaid' },
    { bundle_id: 'x.other', device_type: 'TV' },
  ];
  const traffic_rules = [rule('TUNNEL', { applications })];
  const value = imported(importWorkspaceOne([{ traffic_rules }]));
  assert.deepEqual(appsOf(value), [
    ['cn-example-corp', 'publisher', 'CN=Example Corp'],
    ['cn-other-corp', 'publisher', 'CN=Other Corp'],
    ['x-android', 'packageName', 'x.android'],
    ['x-unsaid', 'bundleId', 'x.unsaid'],
    ['x-other', 'bundleId', 'x.other'],
  ]);
  written(value);
});

test('server rules name their proxies and hosts as objects or as texts', () => {
  const value = imported(
    importServerRules({
      OutBoundProxies: [
        { Uid: 'open', HostName: 'Open.corp', Port: '3128' },
        { Uid: 'basic', HostName: 'basic.corp', Port: 8080, Authentication: 'basic' },
      ],
      TrafficRules: [
        { Action: 'PROXY', HostNames: ['a.example'], MappedProxyUid: ['open'] },
        { Action: 'PROXY', HostNames: [{}, 'b.example'], MappedProxyUid: [{}, 'basic'] },
      ],
    }),
  );
  assert.deepEqual(rulesOf(value), [
    'server-1 PROXY open-corp a.example',
    'server-2 PROXY basic-corp b.example',
  ]);
  assert.deepEqual(
    value.upstreams.map(({ host, port, username }) => [host, port, username]),
    [
      ['open.corp', 3128, null],
      ['basic.corp', 8080, ''],
    ],
  );
});

test('a server rule without an action or with a proxy that is not there stands as BLOCK', () => {
  const value = imported(
    importServerRules({
      OutBoundProxies: ['x'],
      TrafficRules: [
        'x',
        { HostNames: ['a.example'] },
        { Action: 'PROXY', HostNames: ['b.example'], MappedProxyUid: ['gone'] },
      ],
    }),
  );
  assert.deepEqual(rulesOf(value), ['server-2 BLOCK a.example', 'server-3 BLOCK b.example']);
  assert.match(
    lossesOf(value).join('\n'),
    /OutBoundProxies\[0\]: the proxy has no host[\s\S]*action NONE[\s\S]*none of its proxies/,
  );
});
