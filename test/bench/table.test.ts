// Owns the proof that medians, ranges and ratios are what the table says they are.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Case } from './cases.ts';
import { formatTable, median, rowsOf } from './table.ts';

const one: Case = {
  name: 'full',
  h2: false,
  usual: true,
  tool: 'tunnelbench',
  args: () => [],
  figures: [{ key: 'cost', title: 'cost', better: 'less' }],
};

function run(round: number, contender: string, cost: number) {
  return { round, case: 'full', contender, report: { cost } };
}

test('the median of an even number of rounds lies between the middle two', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([9, 1, 2]), 2);
});

test('a ratio compares within a round, so that a slow round disturbs both sides alike', () => {
  const fair = [run(1, 'gateway', 10), run(1, 'squid', 20)];
  const slow = [run(2, 'gateway', 100), run(2, 'squid', 200)];
  // The gateway missed the third round: it has no ratio there.
  const [row] = rowsOf([one], [...fair, ...slow, run(3, 'squid', 1)]);
  assert.deepEqual(row?.contenders['squid'], { median: 20, least: 1, most: 200, ratio: 0.5 });
  assert.deepEqual(row?.contenders['gateway'], { median: 55, least: 10, most: 100, ratio: null });
});

test('a figure that nobody measured is a dash', () => {
  const rows = rowsOf([one], [run(1, 'gateway', 1234.5)]);
  assert.match(formatTable(rows, ['gateway', 'squid']), /\| cost ↓ \| 1235\s+\| -/);
});
