// The metrics page: well-formed, named by the rules, and with every known label value from the start.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics } from '../../runtime/metrics.ts';

test('every label value is there before anything has happened', async () => {
  const metrics = createMetrics();
  const refusals = metrics.counterBy('zonegate_refusals_total', 'Refusals.', 'stage', [
    'posture',
    'rules',
  ]);
  const tunnels = metrics.gaugeBy('zonegate_tunnels', 'Open tunnels.', 'protocol', ['h1', 'h2']);
  refusals.rules.inc();
  tunnels.h2.set(3);
  tunnels.h2.dec();
  const text = await metrics.text();
  assert.match(text, /^zonegate_refusals_total\{stage="posture"\} 0$/m);
  assert.match(text, /^zonegate_refusals_total\{stage="rules"\} 1$/m);
  assert.match(text, /^zonegate_tunnels\{protocol="h1"\} 0$/m);
  assert.match(text, /^zonegate_tunnels\{protocol="h2"\} 2$/m);
});

test('a gauge that is given a reader is read when the page is', async () => {
  const metrics = createMetrics();
  let open = 1;
  metrics.gauge('zonegate_open', 'Open.', () => open);
  open = 7;
  assert.match(await metrics.text(), /^zonegate_open 7$/m);
});

test('a histogram counts into its buckets', async () => {
  const metrics = createMetrics();
  metrics.histogram('zonegate_dial_seconds', 'Time to dial.', [0.01, 0.1]).observe(0.05);
  const text = await metrics.text();
  assert.match(text, /^zonegate_dial_seconds_bucket\{le="0.01"\} 0$/m);
  assert.match(text, /^zonegate_dial_seconds_bucket\{le="0.1"\} 1$/m);
});

test('the page says what is running', async () => {
  const text = await createMetrics().text();
  assert.match(text, /^zonegate_build_info\{version="[^"]+",node_version="v\d+[^"]*"\} 1$/m);
});

test('counters, and only they, end in _total', async () => {
  const metrics = createMetrics();
  metrics.counter('zonegate_reloads_total', 'Reloads.').inc();
  const types = [...(await metrics.text()).matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  assert.ok(types.some(([, name]) => name === 'process_cpu_seconds_total'));
  for (const [, name = '', type] of types) {
    assert.equal(name.endsWith('_total'), type === 'counter', name);
  }
});
