// Which port a connection leaves from: each once before any again, never a reserved one, never a guessable one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createLocalPorts,
  parseLocalPorts,
  systemLocalPorts,
} from '../../../gateway/edge/local-ports.ts';

/** The same "random" numbers in every run. */
const dice = (seed: number) => (below: number) => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
  return seed % below;
};
const byNumber = (a: number, b: number): number => a - b;
const take = (count: number, next: () => number) => Array.from({ length: count }, next);

test('every port of the range is used once before any is used again', () => {
  const ports = parseLocalPorts('40000\t40099\n', '\n');
  const local = createLocalPorts(ports, dice(1));
  const round = take(100, () => local.next('192.0.2.1'));
  assert.deepEqual(round.toSorted(byNumber), ports);
  assert.deepEqual(
    take(100, () => local.next('192.0.2.1')),
    round,
  );
});

test('every egress address walks on its own, and another process in another order', () => {
  const ports = parseLocalPorts('40000 40099', '');
  const one = createLocalPorts(ports, dice(1));
  const first = take(50, () => one.next('192.0.2.1'));
  const other = take(100, () => one.next('192.0.2.2'));
  assert.deepEqual(other.toSorted(byNumber), ports);
  const rest = take(50, () => one.next('192.0.2.1'));
  assert.deepEqual([...first, ...rest].toSorted(byNumber), ports);
  const process = createLocalPorts(ports, dice(2));
  assert.notDeepEqual(
    take(100, () => process.next('192.0.2.2')),
    other,
  );
});

test('ports are not used in order, so that one does not tell the next (RFC 6056)', () => {
  const local = createLocalPorts(parseLocalPorts('32768 60999', ''), dice(3));
  const walked = take(1000, () => local.next('192.0.2.1'));
  const steps = walked.slice(1).map((port, i) => port - (walked[i] ?? 0));
  assert.ok(new Set(steps).size > 900);
});

test('what the system reserves is left alone', () => {
  assert.deepEqual(
    parseLocalPorts('40000 40006', '22,40001-40003,40005\n'),
    [40_000, 40_004, 40_006],
  );
});

test('without a range that makes sense the system chooses', () => {
  for (const range of ['', '\n', 'no ports', '0 60999', '60999 32768', '1024 70000']) {
    const ports = parseLocalPorts(range, '');
    assert.deepEqual(ports, [], range);
    assert.equal(createLocalPorts(ports, dice(1)).next('192.0.2.1'), 0);
  }
});

test('the system may be asked anywhere', () => {
  const port = systemLocalPorts().next('192.0.2.1');
  assert.ok(port >= 0 && port <= 65_535);
});
