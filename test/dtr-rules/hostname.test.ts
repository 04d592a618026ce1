// Owns the tests of the canonical form of host names.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalHostname } from '../../dtr-rules/hostname.ts';

test('case and one final dot make no difference', () => {
  for (const text of ['acme.okta.com', 'ACME.Okta.COM', 'acme.okta.com.']) {
    assert.equal(canonicalHostname(text), 'acme.okta.com');
  }
  assert.equal(canonicalHostname('localhost'), 'localhost');
  assert.equal(canonicalHostname('_dmarc.a--b.-x-.com'), '_dmarc.a--b.-x-.com');
});

test('every Unicode spelling of a name gives its A-labels', () => {
  const spellings = [
    'bücher.example',
    'bu\u0308cher.example',
    'BÜCHER.example',
    'ｂücher.ｅxample',
    'bücher。example',
  ];
  for (const text of [
    ...spellings,
    'bü\u00adcher.example',
    'xn--bcher-kva.example',
    'XN--BCHER-KVA.EXAMPLE.',
    'bücher．example。',
  ]) {
    assert.equal(canonicalHostname(text), 'xn--bcher-kva.example', text);
  }
});

test('invisible and full-width characters give the plain name or nothing, never another name', () => {
  const name = 'example.com';
  const invisible = [
    '\u00ad',
    '\u200b',
    '\u200c',
    '\u200d',
    '\u2060',
    '\ufeff',
    '\ufe0f',
    '\u034f',
    '\u180e',
  ];
  for (const character of invisible) {
    for (let at = 0; at <= name.length; at++) {
      const canonical = canonicalHostname(name.slice(0, at) + character + name.slice(at));
      assert.ok(
        canonical === null || canonical === name,
        `U+${character.codePointAt(0)?.toString(16)} at ${at}`,
      );
    }
  }
  for (let at = 0; at < name.length; at++) {
    const wide = String.fromCodePoint(name.charCodeAt(at) + 0xfee0);
    assert.equal(canonicalHostname(name.slice(0, at) + wide + name.slice(at + 1)), name);
  }
});

test('nothing a resolver might fold to an address is a name', () => {
  const numbers = [
    '127.1',
    '0x7f.1',
    '2130706433',
    '0177.0.0.1',
    '１２７.0.0.1',
    '127.0.0.1',
    '1.2.3.4.',
    '0x',
    '0X7F',
  ];
  for (const text of [
    ...numbers,
    'example.1',
    'example.0x1f',
    'bücher.7',
    '::1',
    '[::1]',
    '127。0。0。1',
    '①②⑦.1',
  ]) {
    assert.equal(canonicalHostname(text), null, text);
  }
  assert.equal(canonicalHostname('1.example'), '1.example');
  assert.equal(canonicalHostname('0xg'), '0xg');
});

test('bad punycode is no name', () => {
  for (const text of [
    'xn--a.com',
    'xn--.com',
    'a.xn--',
    'xn--bcher-kva8.de',
    'xn--zzzzzz999999',
    'x\u00adn--a.com',
    'xn--abc-',
  ]) {
    assert.equal(canonicalHostname(text), null, text);
  }
});

test('labels, names and characters keep to their limits', () => {
  const label = 'a'.repeat(63);
  const longest = `${label}.${label}.${label}.${'a'.repeat(61)}`;
  assert.equal(canonicalHostname(longest), longest);
  assert.equal(canonicalHostname(`${longest}.`), longest);
  const malformed = [
    `a${longest}`,
    `${label}a.com`,
    '',
    '.',
    '..',
    'a..b',
    '.a',
    'a..',
    'bücher..de',
    'ü'.repeat(2_000),
  ];
  const characters = [
    'a b',
    'a\tb',
    'a\0b',
    'a%2eb',
    'a%00',
    'a/b',
    'a\\b',
    'a?b',
    'a#b',
    'a@b',
    'a:80',
    'a*b',
    '*.a',
    '{a}',
    'a|b',
    'a;b',
    '$(a)',
    'a`b',
  ];
  const folded = [
    'ü℀.com',
    'ü／a',
    'ü：80',
    'ü＠b',
    'ü％2e',
    'ü\u00a0a',
    'ü\ud800',
    'ü\ttab',
    'ü%41',
  ];
  for (const text of [...malformed, ...characters, ...folded])
    assert.equal(canonicalHostname(text), null, text);
});

test('a canonical name is its own canonical form', () => {
  const text = fc.oneof(
    fc.array(fc.nat(0xffff), { maxLength: 12 }).map((units) => String.fromCharCode(...units)),
    fc.string({
      unit: fc.constantFrom(...'aAxn-.0·ü１ſßİK\u00ad\u200d。'.split('')),
      maxLength: 20,
    }),
    fc.stringMatching(/^xn--[a-z0-9-]{1,12}$/),
  );
  fc.assert(
    fc.property(text, (input) => {
      const canonical = canonicalHostname(input);
      if (canonical !== null) assert.equal(canonicalHostname(canonical), canonical);
    }),
    { numRuns: 2_000 },
  );
});
