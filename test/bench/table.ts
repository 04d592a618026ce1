// Turns the reports of all rounds into figures: median, range, and the gateway's ratio to each peer.

import type { Case, Figure } from './cases.ts';
import type { Report } from './load-generator.ts';

export interface Measured {
  readonly round: number;
  readonly case: string;
  readonly contender: string;
  readonly report: Report;
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  /** The gateway's figure divided by this one's, the median over the rounds; null for the gateway itself. */
  readonly ratio: number | null;
}

export interface Row {
  readonly case: string;
  readonly figure: Figure;
  readonly contenders: Readonly<Record<string, Spread>>;
}

export function rowsOf(cases: readonly Case[], measured: readonly Measured[]): readonly Row[] {
  return cases.flatMap(({ name, figures }) => {
    const runs = measured.filter((run) => run.case === name);
    return figures.map((figure) => ({ case: name, figure, contenders: spreads(figure, runs) }));
  });
}

function spreads(figure: Figure, runs: readonly Measured[]): Row['contenders'] {
  const values = new Map<string, Map<number, number>>();
  for (const { contender, round, report } of runs) {
    const value = report[figure.key];
    const known = values.get(contender) ?? new Map<number, number>();
    if (typeof value === 'number') values.set(contender, known.set(round, value));
  }
  const own = values.get('gateway') ?? new Map<number, number>();
  return Object.fromEntries(
    [...values].map(([contender, rounds]) => [contender, spread(rounds, own)]),
  );
}

/** Ratios are taken within a round and then averaged: what disturbs the machine for a while disturbs
 *  both halves of a ratio, and the figures of two different rounds not alike. */
function spread(rounds: ReadonlyMap<number, number>, own: ReadonlyMap<number, number>): Spread {
  const values = [...rounds.values()];
  const ratios = [...rounds].flatMap(([round, value]) => {
    const gateway = own.get(round);
    return gateway === undefined || value <= 0 ? [] : [gateway / value];
  });
  return {
    median: median(values),
    least: Math.min(...values),
    most: Math.max(...values),
    ratio: rounds === own || ratios.length === 0 ? null : median(ratios),
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  const lower = sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** A Markdown table, padded so that it can be read as it is. */
export function formatTable(rows: readonly Row[], names: readonly string[]): string {
  const lines = [
    ['', ...names],
    ...rows.map(({ figure, contenders: spreads }) => [
      `${figure.title} ${figure.better === 'less' ? '↓' : '↑'}`,
      ...names.map((name) => formatSpread(spreads[name])),
    ]),
  ];
  const widths = ['', ...names].map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  const [head = '', ...body] = lines.map((line) => {
    const cells = line.map((cell, column) => cell.padEnd(widths[column] ?? 0));
    return `| ${cells.join(' | ')} |`;
  });
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [head, rule, ...body].join('\n');
}

function formatSpread(spread: Spread | undefined): string {
  if (spread === undefined) return '-';
  const { median: middle, least, most, ratio } = spread;
  const range = least === most ? '' : ` (${short(least)}–${short(most)})`;
  return `${short(middle)}${range}${ratio === null ? '' : ` **${ratio.toFixed(2)}**`}`;
}

/** Three significant digits: no measurement here is better than that. */
function short(value: number): string {
  const magnitude = Math.floor(Math.log10(Math.abs(value) || 1));
  return value.toFixed(Math.min(2, Math.max(0, 2 - magnitude)));
}
