// How `zonegate devices` prints devices: one a line, or one with everything that is known of it.

import type { DeviceRow } from '../../gateway/device-row.ts';

/** What is not known is a dash, so that columns stay where they are. */
export function deviceLine(row: DeviceRow): string {
  const verdict = row.passes ? 'passes' : row.reason;
  const { device_id, compliance, platform, source, fetched_at } = row;
  const columns = [device_id, verdict, compliance, platform, source, fetched_at];
  return columns.map((value) => value ?? '-').join('  ');
}

export function deviceText(row: DeviceRow): string {
  const facts: readonly (readonly [name: string, value: string | null])[] = [
    ['source', row.source === null ? null : `${row.source} (number ${row.uem_id ?? '-'})`],
    ['learned', learnedText(row)],
    ['last seen', row.last_seen],
    ['user', row.user],
    ['serial', row.serial],
    ['system', [row.platform, row.os_version].filter((one) => one !== null).join(' ')],
    ['model', row.model],
    ['ownership', row.ownership],
    ['groups', row.groups.join(', ')],
    ['tags', row.tags.join(', ')],
    ['enrollment', row.enrollment],
    ['compliance', row.compliance],
    ['compromised', row.compromised],
    ['would refuse', row.would_refuse.join(', ')],
    ['excepted', exceptionText(row)],
    ['blocked', blockText(row)],
  ];
  const lines = facts
    .filter(([, value]) => value !== null && value !== '')
    .map(([name, value]) => `  ${name.padEnd(12)}  ${value}`);
  return [`${row.device_id}: ${verdictText(row)}`, ...lines, ...advice(row)].join('\n');
}

function verdictText({ passes, reason, failed_check: check }: DeviceRow): string {
  if (passes) return 'passes';
  return `refused, ${reason}${check === null ? '' : ` (check ${check})`}`;
}

function learnedText({ fetched_at: at, source_answered: answered }: DeviceRow): string | null {
  return at === null ? null : `${at}${answered ? '' : ' (its source has not answered since)'}`;
}

function blockText({ block }: DeviceRow): string | null {
  if (block === null) return null;
  const { reason, by, since, until } = block;
  return `${reason} (by ${by}, since ${since}, ${until === null ? 'no end' : `until ${until}`})`;
}

function exceptionText({ exceptions }: DeviceRow): string {
  return exceptions.map(({ check, why, until }) => `${check}: ${why}, until ${until}`).join('; ');
}

/** What the person at the device reads, too. */
function advice({ sentence, fix }: DeviceRow): readonly string[] {
  return sentence === null ? [] : [`  ${sentence} ${fix}`];
}
