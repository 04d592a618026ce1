// The part of docs/troubleshooting.md about alerts, from the rules that Prometheus is given.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  /** Absent: it fires at once. */
  readonly for?: string;
  readonly labels: { readonly severity: 'warning' | 'critical' };
  readonly annotations: {
    readonly summary: string;
    /** What whoever is woken by it does. */
    readonly action: string;
    /** From the root of the repository. */
    readonly runbook: string;
  };
}

export const alertFile = join(import.meta.dirname, '../../deploy/prometheus/zonegate.alerts.yaml');

export async function readAlerts(): Promise<readonly Alert[]> {
  const file = parse(await readFile(alertFile, 'utf8')) as {
    readonly groups: readonly { readonly rules: readonly Alert[] }[];
  };
  return file.groups.flatMap(({ rules }) => rules);
}

export async function alertParts(): Promise<string> {
  const alerts = await readAlerts();
  return alerts
    .map(({ alert, expr, for: lasting, labels, annotations }) => {
      const since = lasting === undefined ? 'at once' : `after ${lasting}`;
      const code = `\`\`\`text\n${expr}\n\`\`\``;
      return `### ${alert}\n\n${capital(labels.severity)}, ${since}:\n\n${code}\n\n${annotations.action}`;
    })
    .join('\n\n');
}

function capital(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
