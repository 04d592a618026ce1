// Moments as posture sources write them, read as milliseconds.

const MOMENT = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})?$/;

// ISO 8601 with any number of fractional digits; without a zone it is UTC, as Workspace ONE v1 writes it.
export function parseMoment(text: string): number | null {
  const parts = MOMENT.exec(text);
  if (parts === null) return null;
  const [, date, time, fraction = '', zone = 'Z'] = parts;
  const moment = Date.parse(`${date}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}${zone}`);
  return Number.isNaN(moment) ? null : moment;
}
