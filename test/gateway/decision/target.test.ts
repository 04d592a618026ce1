// Targets: properties of the parsers; the spellings stand in test/cases/targets.json.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatAddress } from '../../../dtr-rules/address.ts';
import type { Target } from '../../../dtr-rules/rule.ts';
import {
  formatTarget,
  parseConnectTarget,
  parseForwardTarget,
} from '../../../gateway/decision/target.ts';

const port = fc.integer({ min: 1, max: 65_535 });

function literal(family: 4 | 6): fc.Arbitrary<Target> {
  const max = (1n << (family === 4 ? 32n : 128n)) - 1n;
  return fc.tuple(fc.bigInt({ min: 0n, max }), port).map(([value, at]) => {
    const text = formatAddress(family, value);
    return { host: text, address: { family, value, text }, port: at };
  });
}

const label = fc
  .stringMatching(/^[a-z_]([a-z0-9_-]{0,20}[a-z0-9_])?$/)
  .filter((text) => !text.startsWith('xn--'));
const name: fc.Arbitrary<Target> = fc
  .tuple(fc.array(label, { minLength: 1, maxLength: 4 }), port)
  .map(([labels, at]) => ({ host: labels.join('.'), address: null, port: at }));
const anyTarget = fc.oneof(name, literal(4), literal(6));

// Text made of what targets are made of comes nearer to their edges than random text does.
const piece = fc.oneof(
  fc.constantFrom(
    '[',
    ']',
    ':',
    '::',
    '.',
    '@',
    '/',
    '\\',
    '%',
    '%25',
    '*',
    '?',
    '#',
    '-',
    ' ',
    '\n',
  ),
  fc.constantFrom(
    '127',
    '0x7f',
    '0177',
    '1',
    '443',
    '0',
    'ffff',
    'example',
    'com',
    'xn--',
    'http://',
  ),
  fc.string({ unit: 'binary', maxLength: 3 }),
);
const hostile = fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(''));

test('a target survives being written and read', () => {
  fc.assert(
    fc.property(anyTarget, (target) => {
      assert.deepEqual(parseConnectTarget(formatTarget(target)), target);
    }),
  );
});

test('CONNECT and an absolute form of the same authority mean the same target (S12)', () => {
  fc.assert(
    fc.property(anyTarget, (target) => {
      const forward = parseForwardTarget(`http://${formatTarget(target)}/path`);
      assert.ok(typeof forward !== 'string');
      assert.deepEqual(forward.target, target);
      // What goes to the origin as Host is what was judged.
      assert.deepEqual(parseForwardTarget(`http://${forward.authority}/`), {
        ...forward,
        path: '/',
      });
    }),
  );
});

test('whatever is read is canonical: written and read again, it is the same', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        hostile,
        hostile.map((text) => `${text}:443`),
      ),
      (text) => {
        const target = parseConnectTarget(text);
        if (target === null) return;
        assert.match(formatTarget(target), /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+):[1-9]\d*$/);
        assert.deepEqual(parseConnectTarget(formatTarget(target)), target);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('no name is one that a resolver or URL takes for an address (S02)', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const target = parseConnectTarget(`${text}:443`);
      if (target === null || target.address !== null) return;
      assert.equal(URL.parse(`http://${target.host}/`)?.hostname, target.host);
    }),
    { numRuns: 2_000 },
  );
});

test('an absolute form never leads elsewhere than a URL parser says (H16)', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const written = `http://${text}`;
      const forward = parseForwardTarget(written);
      if (typeof forward === 'string' || forward.target.address !== null) return;
      const url = URL.parse(written);
      assert.ok(url);
      assert.equal(url.hostname.replace(/\.$/, ''), forward.target.host);
      assert.equal(Number(url.port) || 80, forward.target.port);
      assert.match(forward.path, /^\/[\x21-\x7e]*$/);
    }),
    { numRuns: 2_000 },
  );
});
