// How the admission policy is written, and what is said of what cannot be one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  admitSection,
  endedExceptions,
  exceptionList,
  movedPostureKeys,
  posturePolicy,
  whenUnavailable,
} from '../../../gateway/config/admission.ts';
import { parseWith, section } from '../../../runtime/schema.ts';

const posture = section({ admit: admitSection, whenUnavailable, exceptions: exceptionList }).meta({
  moved: movedPostureKeys,
});

function parsed(value: object) {
  const result = parseWith(posture)(value);
  assert.ok(result.ok);
  return result.value;
}

function issuesOf(value: object): readonly string[] {
  const result = parseWith(posture)(value);
  return result.ok
    ? []
    : result.issues.map(({ path, message, hint }) => [path.join('.'), message, hint].join(' | '));
}

test('what is left out is the strict default', () => {
  const { required, graceMs, exceptions } = posturePolicy({
    maxReportAge: 60_000,
    reportOnly: [],
    ...parsed({}),
  });
  assert.deepEqual(
    [[...required.enrollment], [...required.compromise], [...required.compliance]],
    [['enrolled'], ['no'], ['compliant']],
  );
  assert.deepEqual([required.seenWithinMs, required.ownership], [null, null]);
  assert.deepEqual([required.osVersion.size, exceptions.size, graceMs], [0, 0, 900_000]);
});

test('an outage is bridged for so long, or not at all', () => {
  assert.equal(parsed({ whenUnavailable: 'deny' }).whenUnavailable.graceForMs, 0);
  const long = parsed({ whenUnavailable: { graceFor: '2h' } });
  assert.equal(long.whenUnavailable.graceForMs, 7_200_000);
});

test('exceptions of one device are found by its canonical name', () => {
  const exception = { checks: ['tags'], reason: 'x', until: '2026-12-31T00:00:00Z' };
  const { exceptions } = posturePolicy({
    maxReportAge: 60_000,
    reportOnly: [],
    ...parsed({
      exceptions: [
        { device: 'ABCD-1', ...exception },
        { device: 'abcd-1', ...exception, checks: ['groups'] },
      ],
    }),
  });
  assert.equal(exceptions.get('abcd-1')?.length, 2);
});

const exception = { device: 'abcd', checks: ['tags'], reason: 'x', until: '2026-12-31T00:00:00Z' };

for (const [value, ...issues] of [
  [
    { grace: '15m' },
    'grace | unknown key `grace` | write `whenUnavailable: { graceFor: 15m }`, or `whenUnavailable: deny` for none',
  ],
  [{ maxSeenAge: '14d' }, 'maxSeenAge | unknown key `maxSeenAge` | it is `admit.seenWithin` now'],
  [{ admit: { compliance: ['pending'] } }, 'admit.compliance | expected `compliant` among them | '],
  [
    { admit: { compliance: ['compliant', 'non_compliant'] } },
    'admit.compliance.1 | expected `compliant`, `in_grace_period`, `not_evaluated` or `pending`, got `non_compliant` | ',
  ],
  [{ admit: { osVersion: { ios: 18.1 } } }, 'admit.osVersion.ios | expected text, got `18.1` | '],
  [
    { admit: { osVersion: { ios: 'iOS 18' } } },
    'admit.osVersion.ios | expected a version | for example `"18.1"`',
  ],
  [{ admit: { ownership: [] } }, 'admit.ownership | expected at least 1 in this list | '],
  [
    { exceptions: [{ ...exception, checks: [] }] },
    'exceptions.0.checks | expected at least 1 in this list | ',
  ],
  [
    { exceptions: [{ ...exception, device: 'no device' }] },
    'exceptions.0.device | expected 4 to 128 letters, digits, `.`, `_` or `-` | ',
  ],
  [
    { exceptions: [{ ...exception, until: '2026-12-31' }] },
    'exceptions.0.until | `2026-12-31` is not a moment such as `2026-12-01T00:00:00Z` | write `2026-12-31T00:00:00Z`',
  ],
] as const) {
  test(`an issue: ${JSON.stringify(value)}`, () => {
    assert.deepEqual(issuesOf(value), issues);
  });
}

test('an exception that is over is told, at its end and not before', () => {
  const { exceptions } = parsed({ exceptions: [exception] });
  const end = Date.UTC(2026, 11, 31);
  assert.deepEqual(endedExceptions(exceptions, end - 1), []);
  assert.deepEqual(endedExceptions(exceptions, end), [
    {
      path: ['posture', 'exceptions', 0, 'until'],
      message: 'the exception for device `abcd` ended on 2026-12-31T00:00:00Z',
      hint: 'take it out, or give it a later end',
    },
  ]);
});
