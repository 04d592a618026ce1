// `zonegate demo` tells the product's story and checks each step; here it is told to the end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zonegate } from '../support/program.ts';

const steps = 6;

test('every step of the demo holds', async () => {
  const { code, stdout } = await zonegate('demo');
  const lines = stdout.trimEnd().split('\n');
  assert.deepEqual(
    lines.filter((line) => line.includes('BROKE')),
    [],
  );
  assert.equal(lines.at(-1), `demo: ${steps} of ${steps} steps held`);
  assert.equal(code, 0);
});

test('the demo as JSON is one line per step and a sum', async () => {
  const { code, stdout } = await zonegate('demo', '--json');
  const lines = stdout.trimEnd().split('\n');
  const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(told.at(-1), { held: steps, steps });
  assert.deepEqual(
    told.slice(0, -1).map(({ step, holds }) => ({ step, holds })),
    Array.from({ length: steps }, (_, i) => ({ step: i + 1, holds: true })),
  );
  assert.equal(code, 0);
});
