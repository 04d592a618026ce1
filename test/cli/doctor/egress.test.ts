// What the doctor says of egress addresses, with a machine that is played.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkEgress } from '../../../cli/doctor/egress.ts';
import { policyFor } from '../../gateway/decision/policy-for.ts';

interface Machine {
  /** What keeps an address from being bound. */
  readonly bind?: Readonly<Record<string, string>>;
  /** What keeps it from going far away. */
  readonly route?: Readonly<Record<string, string>>;
}

async function examine(
  pools: Readonly<Record<string, readonly string[]>>,
  { bind = {}, route = {} }: Machine = {},
  bypass: readonly string[] | null = null,
) {
  const probe = ({ text }: { text: string }, destination: unknown) =>
    Promise.resolve((destination === null ? bind[text] : (bind[text] ?? route[text])) ?? null);
  const found = await checkEgress(policyFor({ pools, bypass }).egress, probe);
  return found.map(({ level, place, message }) => `${level} ${place}: ${message}`);
}

const both = ['45.33.32.1', '2606:4700::1'];

test('addresses that are here, public and on the way out are all well', async () => {
  assert.deepEqual(await examine({ main: both }), [
    'ok egress.pools.main 45.33.32.1: is an address of this machine',
    'ok egress.pools.main 2606:4700::1: is an address of this machine',
    'ok egress.pools.main: has addresses of both families',
  ]);
});

test('an address of another machine is a problem, that of a pool and that of BYPASS', async () => {
  const bind = { '45.33.32.1': 'EADDRNOTAVAIL', '45.33.32.9': 'EADDRNOTAVAIL' };
  const found = await examine({ main: both }, { bind }, ['45.33.32.9']);
  assert.equal(found[0], 'problem egress.pools.main 45.33.32.1: is not an address of this machine');
  assert.equal(found[2], 'problem egress.bypass 45.33.32.9: is not an address of this machine');
});

test('an address without a way out is a problem; a private one is worth a warning either way', async () => {
  const route = { '45.33.32.1': 'ENETUNREACH', '10.0.0.1': 'ENETUNREACH' };
  const found = await examine({ main: ['45.33.32.1', '10.0.0.1', '2606:4700::1'] }, { route });
  assert.deepEqual(
    found.filter((line) => !line.startsWith('ok')),
    [
      'problem egress.pools.main 45.33.32.1: has no way to the internet (ENETUNREACH)',
      'warning egress.pools.main 10.0.0.1: is a special-purpose address (private): nobody outside sees it',
      'warning egress.pools.main 10.0.0.1: has no way to the internet (ENETUNREACH)',
    ],
  );
});

test('an address in two pools is told, and where else it is', async () => {
  const found = await examine({ main: both, partners: ['45.33.32.1'] });
  assert.ok(
    found.includes('warning egress.pools.partners 45.33.32.1: is in `egress.pools.main` already'),
  );
});

test('a pool says which destinations it leaves out', async () => {
  const found = await examine({ main: ['45.33.32.1'], six: ['2606:4700::1'] });
  assert.deepEqual(found.slice(-2), [
    'ok egress.pools.main: is IPv4 only: destinations that have only IPv6 are refused',
    'warning egress.pools.six: is IPv6 only: destinations that have only IPv4 are refused',
  ]);
});
