// The rules and alerts in deploy/prometheus, as promtool judges them: each alert fires, and each keeps silent.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { type Alert, readAlerts } from '../../scripts/docs/alerts.ts';
import { program, root, run } from '../support/program.ts';
import { type AlertCase, alertCases, type Series } from './alert-cases.ts';

const folder = join(root, 'deploy/prometheus');
const files = (await readdir(folder))
  .filter((name) => /\.(rules|alerts)\.yaml$/.test(name))
  .map((name) => join(folder, name));
const alerts = await readAlerts();

test('promtool finds nothing wrong with the rules', program('promtool'), async () => {
  const { code, stdout, stderr } = await run('promtool', [
    'check',
    'rules',
    '--lint-fatal',
    ...files,
  ]);
  assert.equal(code, 0, stdout + stderr);
});

test('every alert has a case, a summary that names the instance, and a part to read', () => {
  assert.deepEqual(
    alertCases.map(({ alert }) => alert),
    alerts.map(({ alert }) => alert),
  );
  for (const { alert, annotations } of alerts) {
    assert.match(annotations.summary, /\{\{ \$labels\.instance \}\}/, alert);
    assert.equal(annotations.runbook, `docs/troubleshooting.md#${alert.toLowerCase()}`);
    assert.ok(annotations.action.length > 40, alert);
  }
});

test('every alert fires when it should, and only then', program('promtool'), async (context) => {
  const home = await mkdtemp(join(tmpdir(), 'zonegate-alerts-'));
  context.after(() => rm(home, { recursive: true }));
  for (const one of alertCases) {
    await context.test(one.alert, async () => {
      const alert = alerts.find(({ alert }) => alert === one.alert);
      assert.ok(alert !== undefined, 'it is in the file');
      const file = join(home, `${one.alert}.yaml`);
      await writeFile(file, stringify(promtoolTest(one, alert)));
      const { code, stdout, stderr } = await run('promtool', ['test', 'rules', file]);
      assert.equal(code, 0, stdout + stderr);
    });
  }
});

/** promtool compares all alerts with that name: `good` must not be among them. */
function promtoolTest(one: AlertCase, rule: Alert) {
  const { alert, fires, silent, step = '1m', at = '30m', labels = {} } = one;
  const kept = { job: 'zonegate', instance: 'bad', ...labels };
  const filled = Object.entries(rule.annotations).map(([name, text]) => [
    name,
    text.replace(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) =>
      String((kept as Readonly<Record<string, string>>)[label]),
    ),
  ]);
  const expected = {
    exp_labels: { ...kept, severity: rule.labels.severity },
    exp_annotations: Object.fromEntries(filled) as unknown,
  };
  return {
    rule_files: files,
    evaluation_interval: step,
    tests: [
      {
        interval: step,
        input_series: [...seriesOf('bad', fires), ...seriesOf('good', silent)],
        alert_rule_test: [{ alertname: alert, eval_time: at, exp_alerts: [expected] }],
      },
    ],
  };
}

function seriesOf(instance: string, all: Series) {
  return Object.entries(all).map(([name, values]) => {
    const [, metric = '', inner = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(name) ?? [];
    const labels = [`job="zonegate"`, `instance="${instance}"`, ...(inner ? [inner] : [])];
    return { series: `${metric}{${labels.join(',')}}`, values };
  });
}
