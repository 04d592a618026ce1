// The metrics page: well-formed, named by the rules, and with every known label value from the start.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics, joinMetrics, sumOfCounts } from '../../runtime/metrics.ts';

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

/** What a process sends to another: plain data. */
async function sent(metrics: ReturnType<typeof createMetrics>) {
  return JSON.parse(JSON.stringify(await metrics.snapshot())) as Awaited<
    ReturnType<typeof metrics.snapshot>
  >;
}

function countingProcess(times: number) {
  const metrics = createMetrics();
  metrics.counterBy('zonegate_refusals_total', 'Refusals.', 'stage', ['rules']).rules.inc(times);
  metrics.gauge('zonegate_tunnels_open', 'Open.', () => times);
  metrics.histogram('zonegate_dial_seconds', 'Time to dial.', [1]).observe(times);
  return metrics;
}

test('the page of several processes has the sums', async () => {
  const own = createMetrics();
  own.gauge('zonegate_only_here', 'Here.', () => 7);
  const others = [await sent(countingProcess(2)), await sent(countingProcess(3))];
  const text = await joinMetrics(await own.snapshot(), others);
  assert.match(text, /^zonegate_refusals_total\{stage="rules"\} 5$/m);
  assert.match(text, /^zonegate_tunnels_open 5$/m);
  assert.match(text, /^zonegate_dial_seconds_count 2$/m);
  assert.match(text, /^zonegate_dial_seconds_bucket\{le="\+Inf"\} 2$/m);
  assert.match(text, /^zonegate_only_here 7$/m);
  assert.match(text, /^zonegate_build_info\{.*\} 1$/m);
  assert.match(text, /^process_start_time_seconds \d+$/m);
});

test('what a process that is gone has counted stays counted, what it measured is over', async () => {
  const past = await sumOfCounts([await sent(countingProcess(2)), await sent(countingProcess(3))]);
  const text = await joinMetrics(await createMetrics().snapshot(), [
    past,
    await sent(countingProcess(1)),
  ]);
  assert.match(text, /^zonegate_refusals_total\{stage="rules"\} 6$/m);
  assert.match(text, /^zonegate_dial_seconds_sum 6$/m);
  assert.match(text, /^zonegate_tunnels_open 1$/m);
});
