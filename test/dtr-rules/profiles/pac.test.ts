// Owns the proof that a PAC file says what the rules say, over random rule sets and over what browsers hand to it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CompiledSet } from '../../../dtr-rules/compile.ts';
import { makeProfile } from '../../../dtr-rules/profiles/kinds.ts';
import { lengthNotes } from '../../../dtr-rules/profiles/pac.ts';
import { runPac } from '../../../gateway/edge/run-pac.ts';
import { ruleSet } from '../rule-file.ts';
import { facts } from './facts.ts';

function pacOf(set: CompiledSet, over: Partial<typeof facts> = {}): string {
  const input = { app: null, now: 0, facts: { ...facts, ...over }, runPac };
  const [file] = makeProfile('pac', set, input).files;
  return String(file?.content);
}

function asking(...rules: readonly string[]) {
  const find = runPac(pacOf(ruleSet(...rules)));
  return (url: string, host = new URL(url).hostname) => find(url, host);
}

const gateway = 'HTTPS gw.example.net:8443';

const label = fc.constantFrom('a', 'b', 'ab', 'a-b', 'x', 'constructor', '__proto__');
const host = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'));
const pattern = fc
  .array(fc.constantFrom('*', '*', 'a', 'b', 'ab', '.'), { minLength: 2, maxLength: 5 })
  .map((pieces) => pieces.join(''))
  .filter((text) => /[*]/.test(text) && !/^\.|\.\.|\.$|^\*+\.$/.test(text));
const block = fc.constantFrom(
  '10.0.0.0/29',
  '10.0.0.4-10.0.1.1',
  '0.0.0.0/0',
  '255.255.255.255',
  '[::/0]',
  '[2001:db8::1]',
  '[2001:db8::/32]',
);
const place = fc.oneof(
  host,
  host.map((name) => `*.${name}`),
  host.map((name) => `.${name}`),
  pattern,
  block,
);
const destination = fc
  .tuple(place, fc.constantFrom('', '', '', ':443', ':80,443', ':100-500', ':65535'))
  .map(([text, ports]) => `${text}${ports}`);
const rules = fc.array(
  fc.tuple(
    fc.constantFrom('TUNNEL', 'BYPASS', 'BLOCK', 'PROXY'),
    fc.array(destination, { minLength: 1, maxLength: 4 }),
  ),
  { maxLength: 6 },
);

test('a PAC file of any rule set agrees with the rules at all their boundaries', () => {
  fc.assert(
    fc.property(rules, fc.constantFrom('closed', 'open'), (list, failMode) => {
      const set = ruleSet(...list.map(([action, names]) => `${action} ${names.join(',')}`));
      // It would throw: each compilation checks itself.
      pacOf(set, { failMode });
    }),
    { numRuns: 150 },
  );
});

test('a PAC file that says something else is found out', () => {
  const wrong = {
    app: null,
    now: 0,
    facts,
    runPac: (text: string) => runPac(text.replace('"DIRECT"', '"PROXY a:1"')),
  };
  assert.throws(
    () => makeProfile('pac', ruleSet('BYPASS a.test'), wrong),
    /would not do what the rules say/,
  );
});

test('case, a final dot, and a port that is written out make no difference', () => {
  const ask = asking('TUNNEL acme.okta.com:443');
  assert.equal(ask('https://acme.okta.com/', 'ACME.Okta.Com.'), gateway);
  assert.equal(ask('HTTPS://acme.okta.com:443/', 'acme.okta.com'), gateway);
  assert.equal(ask('https://other.okta.com./', 'other.okta.com.'), 'DIRECT');
  assert.equal(ask('https://acme.okta.com:8443/'), 'DIRECT');
  assert.equal(ask('http://acme.okta.com/'), 'DIRECT');
});

test('a name that only ends like a domain is another name', () => {
  const ask = asking('TUNNEL .okta.com', 'TUNNEL *.example.com', 'TUNNEL *tenant.test');
  assert.equal(ask('https://okta.com/'), gateway);
  assert.equal(ask('https://evilokta.com/'), 'DIRECT');
  assert.equal(ask('https://example.com/'), 'DIRECT');
  assert.equal(ask('https://a.b.example.com/'), gateway);
  assert.equal(ask('https://eviltenant.test/'), gateway);
});

test('names of things that every object has are names like others', () => {
  const ask = asking('TUNNEL a.test');
  for (const name of ['constructor', '__proto__', 'tostring', 'hasownproperty'])
    assert.equal(ask(`https://${name}/`), 'DIRECT');
  assert.equal(asking('TUNNEL __proto__')('https://__proto__/'), gateway);
});

test('of all that fits, whichever table it is in, the first rule decides', () => {
  const ask = asking(
    'TUNNEL one.a.test:443,8000-8999',
    'BYPASS *.a.test:443,one.b.test',
    'TUNNEL login*,*word*:8080,*.a.test,10.0.0.0/8:443',
    'BYPASS 10.1.0.0/16,255.255.255.255,[::/0]:443',
    'TUNNEL *:443,[2001:db8::/32],one.b.test',
    'BYPASS *.b.test',
  );
  for (const [url, expected] of [
    ['https://one.a.test/', gateway],
    ['https://one.a.test:8500/', gateway],
    ['https://two.a.test/', 'DIRECT'],
    ['http://two.a.test/', gateway],
    ['https://one.b.test/', 'DIRECT'],
    ['http://login.test/', gateway],
    ['http://a-word-b:8080/', gateway],
    ['http://a-word-b/', 'DIRECT'],
    ['https://10.1.0.1/', gateway],
    ['http://10.1.0.1/', 'DIRECT'],
    ['https://255.255.255.255/', 'DIRECT'],
    ['https://11.0.0.1/', gateway],
    ['http://11.0.0.1/', 'DIRECT'],
    ['https://[2001:db8::1]/', 'DIRECT'],
    ['http://[2001:db8::1]/', gateway],
    ['https://any.b.test/', gateway],
    ['http://any.b.test/', 'DIRECT'],
  ] as const)
    assert.equal(ask(url, new URL(url).hostname.replace(/^\[|\]$/g, '')), expected, url);
});

test('IPv6 literals are understood in every form, with brackets and without', () => {
  const ask = asking('TUNNEL 2001:db8::/32', 'TUNNEL 192.0.2.0/24:8080');
  for (const text of [
    '2001:db8::1',
    '[2001:DB8::1]',
    '2001:db8:0:0:0:0:0:1',
    '2001:db8::192.0.2.1',
  ])
    assert.equal(ask('https://[2001:db8::1]/', text), gateway, text);
  assert.equal(ask('https://[2001:db9::1]/', '2001:db9::1'), 'DIRECT');
  assert.equal(ask('http://[::ffff:192.0.2.9]:8080/', '::ffff:c000:209'), gateway);
  assert.equal(ask('http://[::ffff:192.0.2.9]:8081/', '::ffff:192.0.2.9'), 'DIRECT');
});

test('what cannot be read as a host and a port goes to the gateway, whatever the rules say', () => {
  const ask = asking('BYPASS *');
  for (const [url, name] of [
    ['https://127.1/', '127.1'],
    ['https://0x7f000001/', '0x7f000001'],
    ['https://010.0.0.1/', '010.0.0.1'],
    ['https://a..b/', 'a..b'],
    ['https://b%C3%BCcher.example/', 'bücher.example'],
    ['https://[fe80::1%25eth0]/', 'fe80::1%25eth0'],
    ['https://[1::2::3]/', '1::2::3'],
    ['https://a.test:0/', 'a.test'],
    ['gopher://a.test/', 'a.test'],
    ['a.test', 'a.test'],
    ['https:///', ''],
  ] as const)
    assert.equal(ask(url, name), gateway, url);
});

test('closed, nothing of the tunnel ever goes direct; open, what is blocked still does not', () => {
  const set = ruleSet('TUNNEL a.test', 'BLOCK b.test', 'PROXY c.test', 'BYPASS d.test');
  const answers = (text: string) =>
    ['a', 'b', 'c', 'd'].map((one) => runPac(text)(`https://${one}.test/`, `${one}.test`));
  assert.deepEqual(answers(pacOf(set)), [gateway, gateway, gateway, 'DIRECT']);
  const orDirect = `${gateway}; DIRECT`;
  assert.deepEqual(answers(pacOf(set, { failMode: 'open' })), [
    orDirect,
    gateway,
    orDirect,
    'DIRECT',
  ]);
});

test('a gateway that is known by an IPv6 address stands in brackets', () => {
  const text = pacOf(ruleSet('TUNNEL a.test'), { gateway: { host: '2001:db8::1', port: 8443 } });
  assert.equal(runPac(text)('https://a.test/', 'a.test'), 'HTTPS [2001:db8::1]:8443');
});

test('nothing in the name of a rule set can get out of its comment', () => {
  const set = ruleSet('TUNNEL a.test');
  const renamed = { ...set, set: { ...set.set, name: 'x\nvar zonegate = 1; // \u2028' } };
  assert.equal(pacOf(renamed).split('\n')[1]?.startsWith('var zonegate = {'), true);
  assert.match(pacOf(renamed), /^[\n\x20-\x7e]+$/);
});

test('rules that go the way of the default action at the end take no room', () => {
  const many = Array.from({ length: 100 }, (_, i) => `BYPASS name${i}.test`);
  assert.equal(
    pacOf(ruleSet('TUNNEL a.test', ...many)).length,
    pacOf(ruleSet('TUNNEL a.test')).length,
  );
});

test('a rule set of the largest size gives a PAC file that answers from a table', () => {
  const large = Array.from({ length: 5_000 }, (_, i) => {
    const action = i % 2 === 0 ? 'TUNNEL' : 'BYPASS';
    return `${action} host${i}.example.com,*.zone${i}.example,10.${i >> 8}.${i & 255}.0/24`;
  });
  const text = pacOf(ruleSet(...large));
  assert.ok(text.length < 1_000_000, `${text.length} bytes`);
  const find = runPac(text);
  assert.equal(find('https://host4998.example.com/', 'host4998.example.com'), gateway);
  assert.equal(find('https://a.zone4999.example/', 'a.zone4999.example'), 'DIRECT');
  assert.equal(find('https://10.19.134.7/', '10.19.134.7'), gateway);
});

test('a PAC file too long for Chromium says so', () => {
  assert.deepEqual(lengthNotes('x'.repeat(1_048_576)), []);
  const [note] = lengthNotes('x'.repeat(1_048_577));
  assert.match(note?.consequence ?? '', /Chromium loads none above 1048576/);
});
