// The egress addresses of a machine with several processes: one word on each, in log, readiness and feed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EgressState, Fault } from '../../gateway/edge/egress-health.ts';
import { createEgressBoard } from '../../gateway/egress-board.ts';
import { createLog } from '../../runtime/log.ts';
import { createReadiness } from '../../runtime/readiness.ts';
import { policyFor } from './decision/policy-for.ts';

function boardOf(pools: Readonly<Record<string, readonly string[]>>) {
  const readiness = createReadiness();
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(JSON.parse(line).msg) };
  const log = createLog({ level: 'debug', secrets: [], stream });
  const { egress } = policyFor({ pools });
  const board = createEgressBoard({ egress: () => egress, log, readiness });
  return { board, readiness, lines };
}

const says = (...pairs: readonly (readonly [string, Fault | null])[]): readonly EgressState[] =>
  pairs.map(([address, fault]) => ({ address, fault }));
const [a, b] = ['198.51.100.1', '198.51.100.2'];

test('a fault that one process meets is one of the machine, told once and over when nobody meets it', () => {
  const { board, lines } = boardOf({ main: [a, b] });
  board.report(1, says([a, null], [b, null]));
  board.report(2, says([a, 'missing'], [b, null]));
  assert.equal(board.faultOf(a), 'missing');
  assert.equal(board.faultOf(b), null);
  board.report(1, says([a, 'missing'], [b, null]));
  board.report(2, says([a, null], [b, null]));
  assert.equal(board.faultOf(a), 'missing');
  board.report(1, says([a, null], [b, null]));
  assert.equal(board.faultOf(a), null);
  assert.deepEqual(lines, [
    'an egress address is not on this machine',
    'an egress address can be used again',
  ]);
});

test('a process that is gone takes its word along', () => {
  const { board } = boardOf({ main: [a, b] });
  board.report(1, says([a, 'ports']));
  board.report(2, says([a, null]));
  board.forget(1);
  assert.equal(board.faultOf(a), null);
});

test('readiness says how many, without addresses, and fails only without any of the default pool', () => {
  const { board, readiness } = boardOf({ main: [a, b], partners: ['198.51.100.9'] });
  const check = () => ({ ...readiness.report(), text: readiness.report().checks['egress'] });
  board.report(1, says([a, null], [b, null], ['198.51.100.9', null]));
  assert.equal(check().text, 'ok');
  board.report(1, says([a, 'missing'], [b, null], ['198.51.100.9', 'missing']));
  assert.equal(check().ready, true);
  assert.equal(
    check().text,
    'ok: egress addresses that cannot be used: 1 of 2 in pool main, 1 of 1 in pool partners',
  );
  board.report(1, says([a, 'missing'], [b, 'unreachable'], ['198.51.100.9', null]));
  assert.equal(check().ready, false);
  assert.equal(check().text, 'no address of egress pool main can be used');
});
