// Owns what programs for the command line are told, and that none is told to go past the gateway by mistake.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRules } from '../../../dtr-rules/compile.ts';
import { type KindName, makeProfile } from '../../../dtr-rules/profiles/kinds.ts';
import type { ProfileFacts } from '../../../dtr-rules/profiles/profile.ts';
import { runPac } from '../../../gateway/edge/run-pac.ts';
import { ruleFile } from '../rule-file.ts';
import { facts } from './facts.ts';

function made(
  kind: KindName,
  rules: readonly string[],
  over: Partial<ProfileFacts & { defaultAction: string }> = {},
) {
  const { defaultAction = 'TUNNEL', ...more } = over;
  const numbered = rules.map((text, i) => {
    const [action = '', destinations = ''] = text.split(' ');
    return { id: `r${i}`, action, destinations };
  });
  const file = ruleFile({ ruleSets: [{ name: 'set', defaultAction, rules: numbered }] });
  const [set] = compileRules(file).sets;
  assert.ok(set);
  const profile = makeProfile(kind, set, {
    app: null,
    now: 0,
    facts: { ...facts, ...more },
    runPac,
  });
  return { text: String(profile.files[0]?.content), notes: profile.notExpressed };
}

function excepted(...rules: readonly string[]): string {
  const [, list = ''] = /noproxy = "(.*)"/.exec(made('curl', rules).text) ?? [];
  return list;
}

test('curl is told the gateway, the certificate and the domains that go direct', () => {
  const { text } = made('curl', ['BYPASS .intra.test', 'BYPASS 10.0.0.0/8'], { authority: 'PEM' });
  const [, ...lines] = text.trimEnd().split('\n');
  assert.deepEqual(lines, [
    'proxy = "https://gw.example.net:8443"',
    'proxy-cert = "/etc/zonegate/device.pem"',
    'proxy-key = "/etc/zonegate/device-key.pem"',
    'proxy-cacert = "/etc/zonegate/gateway-ca.pem"',
    'noproxy = "intra.test,10.0.0.0/8"',
  ]);
});

test('a domain is excepted only when all of it goes direct, on all ports', () => {
  assert.equal(excepted('BYPASS .a.test'), 'a.test');
  // An entry would take along the names below, or the apex, that belong into the tunnel.
  assert.equal(excepted('BYPASS a.test'), '');
  assert.equal(excepted('BYPASS *.a.test'), '');
  assert.equal(excepted('BYPASS .a.test:443'), '');
  assert.equal(excepted('TUNNEL b.a.test', 'BYPASS .a.test'), '');
  assert.equal(excepted('BLOCK *b*', 'BYPASS .a.test'), '');
  assert.equal(excepted('BYPASS *b*', 'BYPASS .a.test', 'BYPASS .c.a.test'), 'a.test');
});

test('a block is excepted only when all of it goes direct', () => {
  assert.equal(excepted('BYPASS 10.0.0.0/8', 'TUNNEL 10.1.0.0/16'), '10.0.0.0/8');
  assert.equal(excepted('TUNNEL 10.1.0.0/16', 'BYPASS 10.0.0.0/8'), '');
  assert.equal(excepted('BYPASS 10.0.0.1-10.0.0.2'), '');
});

test('nothing is excepted where patterns overlap in too many ways to look at all', () => {
  const many = Array.from({ length: 12 }, (_, i) => `TUNNEL *a${i}*b${i}*c${i}*`);
  assert.equal(excepted('BYPASS .a.test', ...many), '');
});

test('what is direct and cannot be excepted is declared', () => {
  const { notes } = made('curl', ['BYPASS .a.test', 'BYPASS b.test', 'BYPASS .c.test:443'], {
    defaultAction: 'BYPASS',
  });
  assert.deepEqual(
    notes.map(({ rule }) => rule),
    ['r2', null],
  );
});

test('open, it is said that these programs fail without the gateway all the same', () => {
  for (const kind of ['curl', 'git', 'apt', 'env'] as const) {
    const { notes } = made(kind, ['TUNNEL a.test'], { failMode: 'open' });
    assert.ok(
      notes.some(({ what }) => what === 'going direct when the gateway is away'),
      kind,
    );
  }
});

test('the environment names the gateway that offers HTTP/1.1 only, in both spellings', () => {
  const { text } = made('env', [], { gatewayHttp1: { host: 'gw.example.net', port: 8444 } });
  for (const name of ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy'])
    assert.ok(text.includes(`export ${name}='https://gw.example.net:8444'\n`), name);
  assert.ok(made('env', []).text.includes("export https_proxy='https://gw.example.net:8443'"));
});

test('git and apt get the names that differ from the default action, each way round', () => {
  const rules = ['TUNNEL a.test', 'BYPASS .b.test', 'TUNNEL *.c.test', 'BYPASS d.test:443'];
  const tunnelled = { git: made('git', rules), apt: made('apt', rules, { authority: 'PEM' }) };
  assert.match(tunnelled.git.text, /^\tproxy = https:\/\/gw\.example\.net:8443$/m);
  assert.match(tunnelled.git.text, /\[http "https:\/\/b\.test"\]\n\tproxy = ""\n/);
  assert.match(tunnelled.git.text, /\[http "https:\/\/d\.test"\]/);
  assert.doesNotMatch(tunnelled.git.text, /http:\/\/d\.test|a\.test/);
  assert.match(tunnelled.apt.text, /^Acquire::https::Proxy::b\.test "DIRECT";$/m);
  assert.match(tunnelled.apt.text, /^Acquire::https::CaInfo /m);
  assert.deepEqual(
    tunnelled.git.notes.map(({ rule }) => rule),
    [null, 'r1', 'r3'],
  );
  const direct = { defaultAction: 'BYPASS', authority: 'PEM' };
  assert.match(
    made('git', rules, direct).text,
    /\[http "https:\/\/a\.test"\]\n\tproxy = https:\/\/gw/,
  );
  assert.doesNotMatch(made('git', rules, direct).text, /b\.test/);
  assert.match(made('apt', rules, direct).text, /^Acquire::https::Proxy::a\.test "https:\/\/gw/m);
});

test('a path on the device may hold spaces, and what git takes for a comment', () => {
  const files = { ...facts.deviceFiles, key: '/Library/Application Support/zonegate/#1;key.pem' };
  for (const kind of ['git', 'curl', 'apt'] as const) {
    const { text } = made(kind, [], { deviceFiles: files });
    assert.ok(text.includes(`"${files.key}"`), kind);
  }
});
