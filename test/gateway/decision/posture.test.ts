// Posture, by the table in test/cases/posture.json, and what a table cannot hold.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import {
  admitSection,
  exceptionList,
  posturePolicy,
  reportOnlyList,
} from '../../../gateway/config/admission.ts';
import {
  type Finding,
  failedChecks,
  judgePosture,
  nextVerdict,
  type PosturePolicy,
  type PostureReport,
} from '../../../gateway/decision/posture.ts';

interface AgedReport extends Omit<PostureReport, 'fetchedAt' | 'lastSeen'> {
  readonly ageMs: number;
  readonly seenAgeMs: number | null;
}

interface PolicyWords {
  readonly maxReportAgeMs: number;
  readonly graceMs: number;
  /** As they stand in the configuration. */
  readonly admit?: unknown;
  readonly reportOnly?: unknown;
  readonly exceptions?: unknown;
}

interface Table {
  readonly report: AgedReport;
  readonly policy: PolicyWords;
  readonly cases: readonly {
    readonly name: string;
    readonly report: Partial<AgedReport> | null;
    readonly known: boolean;
    readonly policy?: Partial<PolicyWords>;
    readonly reason: string | null;
    readonly check?: string;
    readonly wouldRefuse?: readonly string[];
    readonly excepted?: readonly string[];
  }[];
}

const NOW = Date.UTC(2026, 0, 31);
const table: Table = JSON.parse(
  readFileSync(new URL('../../cases/posture.json', import.meta.url), 'utf8'),
);
const words = z.object({
  admit: admitSection,
  reportOnly: reportOnlyList,
  exceptions: exceptionList,
});

function reportOf({ ageMs, seenAgeMs, ...report }: AgedReport): PostureReport {
  const lastSeen = seenAgeMs === null ? null : NOW - seenAgeMs;
  return { ...report, lastSeen, fetchedAt: NOW - ageMs };
}

function policyOf(change: Partial<PolicyWords> = {}): PosturePolicy {
  const { maxReportAgeMs, graceMs, ...rest } = { ...table.policy, ...change };
  return posturePolicy({
    maxReportAge: maxReportAgeMs,
    whenUnavailable: { graceForMs: graceMs },
    ...words.parse(rest),
  });
}

function textOf(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ check, reason }) => `${check}=${reason}`);
}

for (const entry of table.cases) {
  const { name, report, known, policy, reason, check = null } = entry;
  test(name, () => {
    const facts = { report: report && reportOf({ ...table.report, ...report }), known };
    const verdict = judgePosture(facts, policyOf(policy), NOW);
    assert.deepEqual([verdict.reason, verdict.check], [reason, check]);
    assert.deepEqual(textOf(verdict.wouldRefuse), entry.wouldRefuse ?? []);
    assert.deepEqual(textOf(verdict.excepted), entry.excepted ?? []);
  });
}

const factsOf = (change: Partial<AgedReport>, known = true) => ({
  report: reportOf({ ...table.report, ...change }),
  known,
});

test('a moment that is not a number is refused, not taken for new', () => {
  const noTime = factsOf({ ageMs: Number.NaN });
  assert.equal(judgePosture(noTime, policyOf(), NOW).reason, 'posture.stale');
  const silent = { ...noTime, known: false };
  assert.equal(judgePosture(silent, policyOf(), NOW).reason, 'posture.unavailable');
  const seen = policyOf({ admit: { seenWithin: '1m' } });
  const never = factsOf({ seenAgeMs: Number.NaN });
  assert.equal(judgePosture(never, seen, NOW).reason, 'posture.not_seen');
});

test('all that fails is told, whoever is excepted', () => {
  const { report } = factsOf({ compromised: 'yes', compliance: 'pending' });
  assert.deepEqual(textOf(failedChecks(report, policyOf().required, NOW)), [
    'compromise=posture.compromised',
    'compliance=posture.pending',
  ]);
});

const exceptions = [
  { device: table.report.deviceId, checks: ['tags'], reason: 'x', until: '2026-01-31T00:00:10Z' },
];
const minute = 60_000;

for (const [name, facts, change, after] of [
  ['a report grows too old', factsOf({}), {}, 2 * minute + 1],
  ['grace ends', factsOf({ ageMs: 3 * minute }, false), {}, 12 * minute + 1],
  ['grace is longer than a report is good', factsOf({}, false), {}, 2 * minute + 1],
  ['an exception ends', factsOf({}), { exceptions }, 10_000],
  [
    'a device was seen too long ago',
    factsOf({ seenAgeMs: 59_000 }),
    { admit: { seenWithin: '1m' } },
    1001,
  ],
  [
    'a device was never seen',
    factsOf({ seenAgeMs: null }),
    { admit: { seenWithin: '1m' } },
    120_001,
  ],
  ['what is too old stays so', factsOf({ ageMs: 3 * minute }), {}, null],
  ['without a report', { report: null, known: true }, {}, null],
] as const) {
  test(`the next moment at which time alone may change a verdict: ${name}`, () => {
    const next = nextVerdict(facts, policyOf(change), NOW);
    assert.equal(next, after === null ? null : NOW + after);
  });
}
