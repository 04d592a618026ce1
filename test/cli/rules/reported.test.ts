// The summary of report-only rules: counts, devices, destinations, and memory that does not grow with the log.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSummary } from '../../../cli/rules/reported.ts';

function line(more: object = {}): string {
  return JSON.stringify({
    time: '2026-11-22T12:00:00.000Z',
    'event.name': 'zonegate.admit',
    'server.address': 'a.example.com',
    'server.port': 443,
    'device.id': 'one',
    'zonegate.action': 'tunnel',
    report_only: [{ rule: 'trial', action: 'BLOCK' }],
    ...more,
  });
}

function summed(...lines: readonly string[]) {
  const summary = createSummary();
  for (const one of lines) summary.add(one);
  return summary.read(2);
}

test('connections, devices, destinations and times are told for each rule', () => {
  const { rules, lines, decisions } = summed(
    line(),
    line({ 'device.id': 'two', time: '2026-11-22T11:00:00.000Z' }),
    line({
      'server.address': 'b.example.com',
      'zonegate.action': 'refuse',
      time: '2026-11-22T13:00:00Z',
    }),
    line({
      report_only: [
        { rule: 'open', action: 'TUNNEL' },
        { rule: 'trial', action: 'BLOCK' },
      ],
    }),
    line({ report_only: undefined }),
    JSON.stringify({
      'event.name': 'zonegate.tunnel.end',
      report_only: [{ rule: 'trial', action: 'BLOCK' }],
    }),
  );
  assert.deepEqual([lines, decisions], [6, 5]);
  assert.deepEqual(rules[0], {
    rule: 'trial',
    action: 'BLOCK',
    count: 4,
    refusals: 3,
    devices: 2,
    isMoreDevices: false,
    destinations: [
      { target: 'a.example.com:443', count: 3 },
      { target: 'b.example.com:443', count: 1 },
    ],
    first: '2026-11-22T11:00:00.000Z',
    last: '2026-11-22T13:00:00.000Z',
  });
  assert.deepEqual([rules[1]?.rule, rules[1]?.refusals], ['open', 0]);
});

test('lines that are no JSON object are counted, and what is odd in others is passed over', () => {
  const { bad, lines, rules } = summed(
    '{"half',
    '[]',
    '',
    'null',
    line({ report_only: [7, { rule: 'x' }], time: 'never' }),
    line({ time: 7, 'device.id': null, 'server.address': null }),
  );
  assert.deepEqual([bad, lines, rules.length, rules[0]?.devices], [3, 5, 1, 0]);
});

test('memory stays bounded, and a frequent destination is not lost among rare ones', () => {
  const summary = createSummary();
  for (let i = 0; i < 20_000; i++) {
    summary.add(line({ 'device.id': `d${i}`, 'server.address': `x${i}.example` }));
    if (i % 10 === 0) summary.add(line({ 'server.address': 'often.example' }));
    if (i < 11_000) summary.add(line({ report_only: [{ rule: `r${i}`, action: 'BLOCK' }] }));
  }
  const { rules } = summary.read(1);
  assert.equal(rules.length, 10_000);
  assert.deepEqual([rules[0]?.devices, rules[0]?.isMoreDevices], [10_000, true]);
  assert.equal(rules[0]?.destinations[0]?.target, 'often.example:443');
});
