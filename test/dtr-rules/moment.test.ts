// Owns the tests of reading moments; Date is the measure.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatMoment, readMoment } from '../../dtr-rules/moment.ts';

function problem(text: string): string {
  const reading = readMoment(text);
  assert.ok(!reading.ok, text);
  return `${reading.message} (${reading.hint})`;
}

test('a moment is what Date reads it as, in any offset', () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-30'), noInvalidDate: true }),
      fc.integer({ min: -1439, max: 1439 }),
      (date, offset) => {
        const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, -1);
        fc.pre(/^\d{4}-/.test(local));
        const size = Math.abs(offset);
        const [hours, minutes] = [Math.floor(size / 60), size % 60].map((n) =>
          String(n).padStart(2, '0'),
        );
        const written = `${local}${offset < 0 ? '-' : '+'}${hours}:${minutes}`;
        assert.deepEqual(readMoment(written), { ok: true, value: date.getTime() });
      },
    ),
    { numRuns: 2_000 },
  );
});

test('seconds and their fraction may be left out, and letters be small', () => {
  const expected = { ok: true, value: Date.UTC(2026, 11, 1, 8) };
  for (const text of [
    '2026-12-01T08:00:00Z',
    '2026-12-01T08:00Z',
    '2026-12-01t08:00:00z',
    '2026-12-01 08:00:00.0009Z',
    '2026-12-01T09:30:00+01:30',
    '2026-11-30T23:00:00-09:00',
  ]) {
    assert.deepEqual(readMoment(text), expected, text);
  }
});

test('a day that no calendar has, and an hour that no clock has, are no moments', () => {
  for (const text of [
    '2026-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-04-00T00:00:00Z',
    '2026-04-01T24:00:00Z',
    '2026-04-01T00:60:00Z',
    '2026-04-01T00:00:60Z',
    '2026-04-01T00:00:00+24:00',
    '2026-04-01T00:00:00+01:60',
    '26-04-01T00:00:00Z',
    'tomorrow',
  ]) {
    assert.match(
      problem(text),
      /(?:is not a moment such as `2026-12-01T00:00:00Z`|names a (?:day|time) that no (?:calendar|clock) has.*) \(null\)$/,
    );
  }
  assert.ok(readMoment('2000-02-29T00:00:00Z').ok && readMoment('2024-02-29T00:00:00Z').ok);
});

test('a day alone, and a moment without offset, come with the way to write them', () => {
  assert.match(problem('2026-12-01'), /\(write `2026-12-01T00:00:00Z`\)$/);
  assert.match(problem('2026-12-01T00:00:00'), /has no offset \(end it with `Z` for UTC/);
});

test('a moment is written as Date writes it, to the second', () => {
  fc.assert(
    fc.property(fc.integer({ min: -62_000_000_000, max: 250_000_000_000 }), (seconds) => {
      const written = new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
      assert.equal(formatMoment(seconds * 1000 + 999), written);
    }),
  );
});

test('a day alone is advised with its time, unless no calendar has it', () => {
  assert.match(problem('2026-12-01'), /\(write `2026-12-01T00:00:00Z`\)$/);
  for (const day of ['2026-13-01', '2026-02-30', '2026-00-10', '2026-1-1'])
    assert.match(problem(day), /is not a moment .*\(null\)$/);
  // The worse of two mistakes first: an offset does not make it a day.
  assert.match(problem('2026-13-01T00:00:00'), /a day that no calendar has/);
  assert.match(problem('2026-12-01T25:00:00'), /a time that no clock has/);
});
