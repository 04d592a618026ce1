// Owns the text form of moments: RFC 3339 with its offset, as milliseconds since 1970.

import { quoted, type Reading, readAs, unreadable } from './reading.ts';

const form =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|z|[+-]\d\d:\d\d)?$/;

/** The offset has to be written: a rule that begins at midnight begins at another moment in each country. */
export function readMoment(text: string): Reading<number> {
  const found = form.exec(text);
  const expected = `${quoted(text)} is not a moment such as \`2026-12-01T00:00:00Z\``;
  if (found === null) {
    const midnight = `${text}T00:00:00Z`;
    const isDay = form.test(midnight) && readMoment(midnight).ok;
    return unreadable(expected, isDay ? `write \`${midnight}\`` : null);
  }
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found
    .slice(1, 7)
    .map((part: string | undefined) => Number(part ?? '0'));
  if (day < 1 || day > daysIn(year, month))
    return unreadable(`${quoted(text)} names a day that no calendar has`);
  if (hour >= 24 || minute >= 60 || second >= 60)
    return unreadable(
      `${quoted(text)} names a time that no clock has: the last of a day is 23:59:59`,
    );
  const offset = found[8];
  if (offset === undefined) {
    return unreadable(
      `${quoted(text)} has no offset`,
      'end it with `Z` for UTC, or with an offset such as `+01:00`',
    );
  }
  const offsetMinutes = readOffset(offset);
  if (offsetMinutes === null) return unreadable(expected);
  const minutes = (daysBefore(year, month, day) * 24 + hour) * 60 + minute - offsetMinutes;
  const ms = Math.floor(Number(`0.${found[7] ?? '0'}`) * 1000);
  return readAs((minutes * 60 + second) * 1000 + ms);
}

function readOffset(text: string): number | null {
  if (/^z$/i.test(text)) return 0;
  const [hours = 0, minutes = 0] = text.slice(1).split(':').map(Number);
  if (hours >= 24 || minutes >= 60) return null;
  return (text.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}

function daysIn(year: number, month: number): number {
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
}

/** Days since 1970-01-01 in the Gregorian calendar; years begin in March, so that a leap day is the last one. */
function daysBefore(year: number, month: number, day: number): number {
  const march = month > 2 ? month - 3 : month + 9;
  const y = month > 2 ? year : year - 1;
  const leaps = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  return 365 * y + leaps + Math.floor((153 * march + 2) / 5) + day - 719_469;
}

/** In UTC, to the second. */
export function formatMoment(ms: number): string {
  const days = Math.floor(ms / 86_400_000);
  const seconds = Math.floor((ms - days * 86_400_000) / 1000);
  // The reverse of the above, within its cycle of 400 years.
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const day = shifted - era * 146_097;
  const y = Math.floor(
    (day - Math.floor(day / 1460) + Math.floor(day / 36_524) - Math.floor(day / 146_096)) / 365,
  );
  const ofYear = day - (365 * y + Math.floor(y / 4) - Math.floor(y / 100));
  const march = Math.floor((5 * ofYear + 2) / 153);
  const month = march < 10 ? march + 3 : march - 9;
  const year = y + era * 400 + (month <= 2 ? 1 : 0);
  const date = ofYear - Math.floor((153 * march + 2) / 5) + 1;
  const two = (value: number): string => String(value).padStart(2, '0');
  const time = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map(two);
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(date)}T${time.join(':')}Z`;
}
