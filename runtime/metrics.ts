// Metrics in the Prometheus text format; the only file that knows prom-client.
import * as prom from 'prom-client';
import { version } from './version.ts';

export interface Counter {
  inc(by?: number): void;
}
export interface Gauge {
  set(value: number): void;
  inc(): void;
  dec(): void;
}
export interface GaugeRow {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
export interface Histogram {
  observe(value: number): void;
}

/** The values of one process at one moment, as plain data for another process. */
export type MetricsSnapshot = readonly prom.MetricObjectWithValues<prom.MetricValue<string>>[];

export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
  snapshot(): Promise<MetricsSnapshot>;
  counter(name: string, help: string): Counter;
  // Children for all values are made at once: they start at 0, so that rates exist, and using one
  // in a hot path takes no look-up (0.3 µs against 0.6 µs).
  counterBy<L extends string>(
    name: string,
    help: string,
    label: string,
    values: readonly L[],
  ): Record<L, Counter>;
  gauge(name: string, help: string, read?: () => number): Gauge;
  gaugeBy<L extends string>(
    name: string,
    help: string,
    label: string,
    values: readonly L[],
  ): Record<L, Gauge>;
  // Labels out of the configuration: what is there is read anew for every page.
  gaugeOf(
    name: string,
    help: string,
    how: { readonly labels: readonly string[]; readonly join: 'sum' | 'min' },
    read: () => readonly GaugeRow[],
  ): void;
  counterOf(
    name: string,
    help: string,
    labels: readonly string[],
  ): (values: Readonly<Record<string, string>>) => Counter;
  histogram(name: string, help: string, buckets: readonly number[]): Histogram;
}

// Gauges whose names end like counters; `nodejs_active_handles` and its like, without `_total`, say the same by type.
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

export function createMetrics(): Metrics {
  const registry = new prom.Registry();
  prom.collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const registers = [registry];
  new prom.Gauge({
    name: 'zonegate_build_info',
    help: 'What is running; the value is always 1.',
    labelNames: ['version', 'node_version'],
    aggregator: 'first',
    registers,
  }).set({ version, node_version: process.version }, 1);
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    snapshot: () => registry.getMetricsAsJSON(),
    counter(name, help) {
      const tally = tallyFor(
        new prom.Counter({ name, help, registers, collect: () => tally.settle() }),
      );
      return tally;
    },
    counterBy(name, help, label, values) {
      const tallies: Tally[] = [];
      const collect = (): void => {
        for (const tally of tallies) tally.settle();
      };
      const counter = new prom.Counter({ name, help, labelNames: [label], registers, collect });
      return byValue(values, (value) => {
        const tally = tallyFor(started(counter.labels(value)));
        tallies.push(tally);
        return tally;
      });
    },
    gauge(name, help, read) {
      const gauge: prom.Gauge = new prom.Gauge({
        name,
        help,
        registers,
        ...(read && { collect: () => gauge.set(read()) }),
      });
      return gauge;
    },
    gaugeBy(name, help, label, values) {
      const gauge = new prom.Gauge({ name, help, labelNames: [label], registers });
      return byValue(values, (value) => started(gauge.labels(value)));
    },
    gaugeOf(name, help, { labels, join }, read) {
      const gauge: prom.Gauge = new prom.Gauge({
        name,
        help,
        labelNames: [...labels],
        aggregator: join,
        registers,
        collect() {
          gauge.reset();
          for (const row of read()) gauge.set(row.labels, row.value);
        },
      });
    },
    counterOf(name, help, labels) {
      const counter = new prom.Counter({ name, help, labelNames: [...labels], registers });
      return (values) => counter.labels(values);
    },
    histogram(name, help, buckets) {
      let seen: number[] = [];
      const settle = (): void => {
        for (const value of seen) observer.observe(value);
        seen = [];
      };
      const settings = { name, help, buckets: [...buckets], registers, collect: settle };
      const observer = new prom.Histogram(settings).labels();
      return {
        observe(value) {
          if (seen.push(value) >= maxSeen) settle();
        },
      };
    },
  };
}

/** prom-client's own ways look labels up, check and hash. A tunnel counts seven times and observes three times: so that
 *  is added up here, and told when a page is asked for. */
interface Tally extends Counter {
  settle(): void;
}

/** Of one histogram, until they are sorted into its buckets together. */
const maxSeen = 1024;

function tallyFor(into: Counter): Tally {
  let sum = 0;
  return {
    inc(by = 1) {
      sum += by;
    },
    settle() {
      into.inc(sum);
      sum = 0;
    },
  };
}

/** One page for several processes: sums, but for what speaks of the first process only. */
export async function joinMetrics(
  first: MetricsSnapshot,
  others: readonly MetricsSnapshot[],
): Promise<string> {
  const own = first.map((one) => (isOfOneProcess(one) ? { ...one, aggregator: 'first' } : one));
  const rest = others.map((metrics) => metrics.filter((one) => !isOfOneProcess(one)));
  return await prom.AggregatorRegistry.aggregate([own, ...rest]).metrics();
}

/** What processes that are gone have counted stays counted: a sum that shrinks would look like a restart of
 *  everything, and every rate would jump. What they measured (gauges) is over. */
export async function sumOfCounts(parts: readonly MetricsSnapshot[]): Promise<MetricsSnapshot> {
  const counts = parts.map((metrics) => metrics.filter(({ type }) => countTypes.has(String(type))));
  return await prom.AggregatorRegistry.aggregate(counts).getMetricsAsJSON();
}

const countTypes = new Set(['counter', 'histogram']);

// prom-client leaves out when the process was started: of several there is no one answer.
function isOfOneProcess({ aggregator }: MetricsSnapshot[number]): boolean {
  return aggregator === 'omit';
}

function started<C extends { inc(by: number): void }>(child: C): C {
  child.inc(0);
  return child;
}

function byValue<L extends string, C>(values: readonly L[], make: (value: L) => C): Record<L, C> {
  return Object.fromEntries(values.map((value) => [value, make(value)])) as Record<L, C>;
}
