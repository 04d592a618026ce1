// Posture, by the table in test/cases/posture.json, and what a table cannot hold.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  judgePosture,
  type PosturePolicy,
  type PostureReason,
  type PostureReport,
} from '../../../gateway/decision/posture.ts';

interface AgedReport extends Omit<PostureReport, 'fetchedAt' | 'lastSeen'> {
  readonly ageMs: number;
  readonly seenAgeMs: number | null;
}

interface Table {
  readonly report: AgedReport;
  readonly policy: PosturePolicy;
  readonly cases: readonly {
    readonly name: string;
    readonly report: Partial<AgedReport> | null;
    readonly known: boolean;
    readonly policy?: Partial<PosturePolicy>;
    readonly reason: PostureReason | null;
  }[];
}

const NOW = Date.UTC(2026, 0, 31);
const table: Table = JSON.parse(
  readFileSync(new URL('../../cases/posture.json', import.meta.url), 'utf8'),
);

function reportOf({ ageMs, seenAgeMs, ...report }: AgedReport): PostureReport {
  const lastSeen = seenAgeMs === null ? null : NOW - seenAgeMs;
  return { ...report, lastSeen, fetchedAt: NOW - ageMs };
}

for (const { name, report, known, policy, reason } of table.cases) {
  test(name, () => {
    const facts = { report: report && reportOf({ ...table.report, ...report }), known };
    assert.equal(judgePosture(facts, { ...table.policy, ...policy }, NOW), reason);
  });
}

test('a moment that is not a number is refused, not taken for new', () => {
  const report = reportOf(table.report);
  const facts = (change: Partial<PostureReport>) => ({
    report: { ...report, ...change },
    known: true,
  });
  const noTime = facts({ fetchedAt: Number.NaN });
  assert.equal(judgePosture(noTime, table.policy, NOW), 'posture.stale');
  assert.equal(judgePosture({ ...noTime, known: false }, table.policy, NOW), 'posture.unavailable');
  const seen = { ...table.policy, maxSeenAgeMs: 1 };
  assert.equal(judgePosture(facts({ lastSeen: Number.NaN }), seen, NOW), 'posture.not_seen');
});
