// Owns the tests of the text form of destinations.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddressRange } from '../../dtr-rules/address.ts';
import { readDestination, splitDestinations } from '../../dtr-rules/destination.ts';

function read(text: string) {
  const reading = readDestination(text);
  assert.ok(reading.ok, reading.ok ? text : reading.message);
  return reading.value;
}

function problem(text: string): readonly [string, string | null] {
  const reading = readDestination(text);
  assert.ok(!reading.ok, text);
  return [reading.message, reading.hint];
}

function addresses(range: string) {
  return { kind: 'addresses', range: parseAddressRange(range) };
}

test('each form of destination is told from the others', () => {
  const forms: readonly (readonly [string, object])[] = [
    ['*', { kind: 'any' }],
    ['Login.Example.com.', { kind: 'host', host: 'login.example.com' }],
    ['bücher.example', { kind: 'host', host: 'xn--bcher-kva.example' }],
    ['*.example.com', { kind: 'subdomains', suffix: 'example.com', apex: false }],
    ['.example.com', { kind: 'subdomains', suffix: 'example.com', apex: true }],
    ['*.BÜCHER.example.', { kind: 'subdomains', suffix: 'xn--bcher-kva.example', apex: false }],
    ['*acme.okta.com', { kind: 'pattern', pattern: '*acme.okta.com' }],
    ['*com', { kind: 'pattern', pattern: '*com' }],
    ['*Word*', { kind: 'pattern', pattern: '*word*' }],
    ['*.*', { kind: 'pattern', pattern: '*.*' }],
    ['api-*.example.com.', { kind: 'pattern', pattern: 'api-*.example.com' }],
    ['10.1.2.3', addresses('10.1.2.3')],
    ['10.0.0.0/8', addresses('10.0.0.0/8')],
    ['10.0.0.1-10.0.0.9', addresses('10.0.0.1-10.0.0.9')],
    ['2001:db8::/32', addresses('2001:db8::/32')],
    ['[2001:db8::1-2001:db8::9]', addresses('2001:db8::1-2001:db8::9')],
  ];
  for (const [text, place] of forms) assert.deepEqual(read(text), { ...place, ports: null, text });
});

test('several stars in a row are one star', () => {
  assert.equal(read('***').kind, 'any');
  assert.deepEqual(read('**.a.example'), { ...read('*.a.example'), text: '**.a.example' });
  assert.deepEqual(read('a**b'), { kind: 'pattern', pattern: 'a*b', ports: null, text: 'a**b' });
});

test('ports follow a colon, alone or as ranges', () => {
  const ports = [
    { first: 443, last: 443 },
    { first: 8443, last: 8450 },
  ];
  for (const text of [
    'a.example:443,8443-8450',
    '*:443,8443-8450',
    '10.0.0.0/8:443,8443-8450',
    '[2001:db8::/32]:443,8443-8450',
  ]) {
    assert.deepEqual(read(text).ports, ports);
  }
  assert.deepEqual(read('a.example:1-65535').ports, [{ first: 1, last: 65_535 }]);
});

test('ports out of range, reversed or malformed are refused', () => {
  const expected = 'is not a port from 1 to 65535, nor a range of them such as `8443-8450`';
  for (const ports of ['0', '65536', '', '080', 'https', '1-2-3', '-', '443-', '99999999999']) {
    assert.equal(problem(`a.example:${ports}`)[0], `\`${ports}\` ${expected}`);
  }
  assert.deepEqual(problem('a.example:90-80'), ['ports `90-80` run backwards', 'write `80-90`']);
});

test('a character no name or pattern has is named with its place', () => {
  const expected = 'expected letters, digits, `-`, `_`, `.` or `*`';
  for (const [text, place, advice = null] of [
    ['!example.com', '`!` at character 1'],
    ['ex?mple.com', '`?` at character 3'],
    ['*.{a}.com', '`{` at character 3'],
    ['*+(a)', '`+` at character 2'],
    ['*a*.[ab]', '`[` at character 5'],
    ['a b.example', '` ` at character 2', 'separate destinations by commas or line ends'],
    ['example.com/path', '`/` at character 12', 'write `example.com`'],
    ['a\u001bb', '`\\u001b` at character 2'],
  ] as const) {
    const [message, hint] = problem(text);
    assert.ok(message.endsWith(`has ${place}, ${expected}`), message);
    assert.equal(hint, advice);
  }
  assert.equal(problem('*bücher*')[1], 'write international names in their `xn--` form');
});

test('what can never match a name is refused', () => {
  for (const text of ['a*..b', '.a*', '*a*.', '*a*..', 'a*.7']) {
    assert.equal(problem(text)[0], `\`${text}\` can match no host name`);
  }
  for (const text of [
    '.',
    '*.',
    'a..b',
    '*..a.example',
    '*.7',
    'a'.repeat(64),
    '*.xn--a',
    '0x7f.1',
  ]) {
    const long = text.length === 64 ? 'has a label of 64 characters, at most 63 fit' : null;
    assert.equal(problem(text)[0], `\`${text}\` ${long ?? 'is not a host name'}`);
  }
  assert.match(problem(`*.${'b'.repeat(300)}.example`)[0], /has a label of 300 characters/);
  assert.match(problem(`*${'b'.repeat(64)}*`)[0], /can match no host name$/);
  assert.ok(readDestination(`*${'b'.repeat(63)}.${'c'.repeat(63)}*`).ok);
  assert.match(problem(`a*${'b'.repeat(252)}`)[0], /is longer than 253 characters$/);
  assert.match(problem(`a*${'b'.repeat(252)}`)[0], /^`.{79}…`/);
});

test('a star among the parts of an address is refused: patterns match names', () => {
  const [message, hint] = problem('10.0.*');
  assert.equal(message, '`10.0.*` looks like IP addresses, but `*` stands in names only');
  assert.equal(hint, 'write a block such as `10.0.0.0/8`');
  assert.ok(!readDestination('1*').ok && readDestination('1password*').ok);
});

test('what looks like an address has to be one', () => {
  assert.equal(problem('10.0.0.300')[0], '`10.0.0.300` is not an IP address');
  assert.equal(problem('10.0.0.1/8')[1], 'write `10.0.0.0/8`');
  assert.equal(problem('443')[1], 'ports follow their destination: `example.com:443,8443`');
  assert.equal(problem('2001:db8::x')[1], 'IPv6 with ports is written `[2001:db8::1]:443`');
  assert.equal(problem('a.example:443:80')[0], '`a.example:443:80` is not an IP address');
  assert.equal(problem('[10.0.0.1]:443')[1], 'only IPv6 is written in brackets');
  assert.match(problem('[::1')[0], /is not an IP address$/);
  assert.match(problem('[::1]443')[0], /is not an IP address$/);
  assert.equal(problem(':443')[0], 'a destination is empty');
});

test('IPv4 inside IPv6 is refused, because such addresses are judged as IPv4', () => {
  const [message, hint] = problem('::ffff:10.0.0.0/104');
  assert.equal(message, '`::ffff:10.0.0.0/104` is IPv4 inside IPv6, which is judged as IPv4');
  assert.equal(hint, 'write `10.0.0.0-10.255.255.255`');
  assert.ok(readDestination('::/0').ok && readDestination('::ffff:0:0-1::').ok);
});

test('a URL is refused with its host as a hint', () => {
  const [message, hint] = problem('https://example.com/login');
  assert.equal(message, '`https://example.com/login` is a URL, expected a host name');
  assert.equal(hint, 'write `example.com`');
});

test('a user in a URL is no part of the host in the hint', () => {
  assert.equal(problem('https://a@b.example/')[1], 'write `b.example`');
  assert.equal(problem('https://a:1@2@b.example:443?x')[1], 'write `b.example:443`');
});

test('a pasted line is separated at commas and newlines, and ports stay with their destination', () => {
  const text = '*acme.okta.com,login.example.com:443,8443-8450,\n 10.0.0.0/8:22 , [::1]:80,81,,*';
  assert.deepEqual(splitDestinations(text), [
    '*acme.okta.com',
    'login.example.com:443,8443-8450',
    '10.0.0.0/8:22',
    '[::1]:80,81',
    '*',
  ]);
  assert.deepEqual(splitDestinations('443,a.example,443,2001:db8::1,443'), [
    '443',
    'a.example',
    '443',
    '2001:db8::1',
    '443',
  ]);
  assert.deepEqual(splitDestinations(' , \n'), []);
});

test('what spreadsheets, mails and other products leave around destinations is taken off', () => {
  const pasted =
    '\ufeff"a.example", \u201c*.b.example\u201d;\'c.example:443;8443\'\t.d.example\u00a0\r\n\r\n"e.example,f.example",';
  assert.deepEqual(splitDestinations(pasted), [
    'a.example',
    '*.b.example',
    'c.example:443,8443',
    '.d.example',
    'e.example',
    'f.example',
  ]);
  assert.deepEqual(splitDestinations('10.0.0.1 - 10.0.0.9 , 2001:db8::a - 2001:db8::f'), [
    '10.0.0.1-10.0.0.9',
    '2001:db8::a-2001:db8::f',
  ]);
  assert.deepEqual(splitDestinations('"" ; \'\''), []);
});

// What is advised has to be right: it is typed as it stands.
const advised: readonly (readonly [written: string, hint: string | null])[] = [
  ['https://a.com:443/', 'write `a.com:443`'],
  ['http://a b.com/', null],
  ['http://[::1/', null],
  ['https://user:pw@a.com:99999/x', null],
  ['ftp://', null],
  ['a.com/path', 'write `a.com`'],
  ['a.com?x', null],
  ['a b.com/x', 'separate destinations by commas or line ends'],
  ['a@b.com', null],
  ['?x', null],
  ['a.com:', 'leave the colon out, too: then every port matches'],
  ['a.com:*', 'leave the colon out, too: then every port matches'],
  ['a.com:http', null],
  ['a.com:443-80', 'write `80-443`'],
  ['10.0.0.1/24', 'write `10.0.0.0/24`'],
  ['10.0.0.9-10.0.0.1', 'write `10.0.0.1-10.0.0.9`'],
  ['10.0.0.1-', null],
  ['10.0.0.1-50', 'write `10.0.0.1-10.0.0.50`'],
  ['10.0.0.1-500', null],
  ['10.0.1-50', null],
  ['10.0.0.1-2001:db8::1', null],
  ['::1/129', null],
  ['fe80::1%eth0', null],
  ['::ffff:10.0.0.1', 'write `10.0.0.1`'],
  ['::ffff:10.0.0.0/104', 'write `10.0.0.0-10.255.255.255`'],
];

for (const [written, hint] of advised) {
  test(`\`${written}\` is refused, and ${hint === null ? 'nothing that is wrong too is advised' : hint}`, () => {
    assert.equal(problem(written)[1], hint);
    const [, advice] = /^write `(.*)`$/.exec(hint ?? '') ?? [];
    const isPorts = /^[\d-]+$/.test(advice ?? '');
    if (advice !== undefined) assert.ok(readDestination(isPorts ? `a.com:${advice}` : advice).ok);
  });
}
