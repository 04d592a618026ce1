// The search for a name that some wildcards take and others leave: against trying every short name.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findName } from '../../dtr-rules/cover/names.ts';
import { compileGlob } from '../../dtr-rules/glob.ts';
import { canonicalHostname } from '../../dtr-rules/hostname.ts';

const isTaken = () => false;
const glob = fc
  .array(fc.constantFrom('*', '*', 'a', 'b', '.'), { minLength: 1, maxLength: 5 })
  .map((pieces) => pieces.join('').replace(/\*+/g, '*'))
  .filter((text) => !/^\.|\.\.|\.$|^\*+\.$/.test(text));

function* shortNames(most: number, letters: readonly string[]): Generator<string> {
  let level = [''];
  for (let length = 0; length < most; length++) {
    level = level.flatMap((text) => letters.map((letter) => text + letter));
    yield* level.filter((text) => canonicalHostname(text) === text);
  }
}

const names = [...shortNames(5, ['a', 'b', 'c', '.'])];

test('a name is found exactly where trying every short name finds one', () => {
  const seen = { name: 0, none: 0, unknown: 0 };
  fc.assert(
    fc.property(
      fc.array(glob, { minLength: 1, maxLength: 2 }),
      fc.array(glob, { maxLength: 4 }),
      (within, without) => {
        const inside = within.map(compileGlob);
        const outside = without.map(compileGlob);
        const fits = (name: string) =>
          inside.every((matches) => matches(name)) && !outside.some((matches) => matches(name));
        const found = findName({ within, without, isTaken });
        seen[found.kind] += 1;
        if (found.kind === 'name') assert.ok(fits(found.name), found.name);
        else assert.equal(names.find(fits), undefined);
      },
    ),
    { numRuns: 3_000 },
  );
  assert.ok(seen.name > 300 && seen.none > 300 && seen.unknown === 0, JSON.stringify(seen));
});

test('a name that is taken is passed over', () => {
  const found = findName({
    within: ['a*.b'],
    without: [],
    isTaken: (name) => name !== 'aqqq.b' && name.length < 5,
  });
  assert.ok(found.kind === 'name' && found.name.length >= 5);
});

test('names that are numbers to somebody are no names', () => {
  assert.deepEqual(
    findName({ within: ['0*'], without: ['*g*', '*.*', '*z*', '*x*', '*-*', '*_*'], isTaken }).kind,
    'name',
  );
  assert.deepEqual(findName({ within: ['*.1'], without: [], isTaken }).kind, 'none');
  assert.deepEqual(
    findName({ within: ['*.0x*'], without: ['*.0xg*', '*.0x'], isTaken }).kind,
    'name',
  );
});

test('where all readable names are taken, others are tried, and after a while nothing is claimed', () => {
  const sought = { within: ['*.b'], without: [] };
  assert.deepEqual(findName({ ...sought, isTaken: (name) => name !== 'z.b' }), {
    kind: 'name',
    name: 'z.b',
  });
  assert.deepEqual(findName({ ...sought, isTaken: () => true }).kind, 'unknown');
});

test('where only a number is left, there is no name', () => {
  for (const number of ['7', '12', '01', '0x', '0xa1', 'a.0x1'])
    assert.deepEqual(findName({ within: [number], without: [], isTaken }).kind, 'none', number);
});

test('where every name would be too long, nothing is claimed', () => {
  assert.deepEqual(
    findName({ within: [`${'a'.repeat(64)}*`], without: [], isTaken }).kind,
    'unknown',
  );
});

test('a search made to be endless is given up, and nothing is claimed', () => {
  const without = Array.from(
    { length: 12 },
    (_, i) => `*${'ab'.repeat(i + 1)}*ba*${'a'.repeat(12 - i)}*`,
  );
  const found = findName({
    within: ['*a*b*a*b*'],
    without: [...without, '*x*', '*w*', '*v*', 'e*', '*.*', '*-*'],
    isTaken,
  });
  assert.notEqual(found.kind, 'none');
});
