// The table of docs/metrics.md, from what a running gateway and sign-in service expose.
import { createWorld } from '../../cli/demo/world.ts';
import { allReasons } from '../../gateway/decision/reasons.ts';
import { reasonCodes } from '../../idp-zone/decision/reasons.ts';

interface Metric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: ReadonlyMap<string, ReadonlySet<string>>;
}

export async function metricTable(): Promise<string> {
  const rows = readMetrics(await exposition())
    .filter(({ name }) => name.startsWith('zonegate_'))
    .toSorted((a, b) => a.name.localeCompare(b.name))
    .map(
      ({ name, type, help, labels }) =>
        `| \`${name}\` | ${type} | ${labelText(labels)} | ${help} |`,
    );
  return ['| Metric | Type | Labels | Meaning |', '|---|---|---|---|', ...rows].join('\n');
}

async function exposition(): Promise<string> {
  const world = await createWorld();
  try {
    const response = await fetch(`http://127.0.0.1:${world.process.adminPort}/metrics`);
    return await response.text();
  } finally {
    await world.close();
  }
}

/** Reads the Prometheus text format as far as it says what there is. */
function readMetrics(text: string): readonly Metric[] {
  return text
    .split(/^# HELP /m)
    .slice(1)
    .map((block): Metric => {
      const [, name = '', help = ''] = /^(\S+) (.*)/.exec(block) ?? [];
      const [, type = ''] = /^# TYPE \S+ (\S+)/m.exec(block) ?? [];
      const labels = new Map<string, Set<string>>();
      for (const [, label = '', value = ''] of block.matchAll(/[{,](\w+)="([^"]*)"/g)) {
        if (label === 'le') continue;
        labels.set(label, (labels.get(label) ?? new Set()).add(value));
      }
      return { name, type, help, labels };
    });
}

function labelText(labels: Metric['labels']): string {
  return [...labels]
    .map(([label, values]) => `\`${label}\`: ${configured[label] ?? valueText(values)}`)
    .join('; ');
}

// What stands in the configuration of whoever reads this.
const configured: Readonly<Record<string, string>> = {
  address: 'an egress address',
  pool: 'an egress pool',
};

function valueText(values: ReadonlySet<string>): string {
  if (values.size === allReasons.length) return '[reasons](reasons.md)';
  if (values.isSupersetOf(new Set(reasonCodes)))
    return '`allow` and the [sign-on reasons](reasons.md#sign-on)';
  if ([...values].some((value) => /\d\.\d/.test(value))) return 'a version';
  return [...values].map((value) => `\`${value}\``).join(', ');
}
