// How changes between rule files are put into few lines: pieces of one destination joined, equal changes together.

import type { Change, Span } from '../../dtr-rules/diff/change.ts';
import { keyOf, type Outcome } from '../../dtr-rules/diff/outcome.ts';

/** Places that change in the same way, and one of the changes. */
export interface Line {
  readonly places: readonly string[];
  readonly change: Change;
}

export function linesOf(changes: readonly Change[]): readonly Line[] {
  const told = changes.some(isRest)
    ? changes.filter((one) => !isRest(one) || one.kind === 'names')
    : changes;
  const groups = Map.groupBy(
    told,
    (one) =>
      `${one.kind} ${one.witness === null} ${one.manyOn} ${keyOf(one.before)} > ${keyOf(one.after)} ${conditions(one)}`,
  );
  return [...groups.values()].flatMap((group) => {
    const [change] = group;
    if (change === undefined) return [];
    const byPlace = Map.groupBy(joined(group), placeText);
    const places = [...byPlace].map(
      ([place, pieces]) => `${place}${portsText(pieces)}${conditions(change)}`,
    );
    return [{ places, change }];
  });
}

/** `TUNNEL (rule okta, egress main)` */
export function outcomeText({ action, rule, upstream, egress }: Outcome): string {
  const by = rule === 'default' ? 'by default' : `rule ${rule}`;
  const ways = [
    by,
    ...(upstream === null ? [] : [`through ${upstream}`]),
    ...(egress === null ? [] : [`egress ${egress}`]),
  ];
  return `${action} (${ways.join(', ')})`;
}

/** Where only a setting of the rule has changed, that setting. */
export function afterText(before: Outcome, after: Outcome): string {
  if (outcomeText(before) !== outcomeText(after)) return outcomeText(after);
  const settings = (['open', 'idleMs', 'lifetimeMs'] as const).filter(
    (key) => String(before[key]) !== String(after[key]),
  );
  const names = { open: 'open', idleMs: 'idle', lifetimeMs: 'lifetime' };
  const texts = settings.map(
    (key) => `${names[key]} ${valueText(before[key])} → ${valueText(after[key])}`,
  );
  return `the same with ${texts.join(', ')}`;
}

function valueText(value: readonly string[] | number | null): string {
  if (value === null) return 'as configured';
  if (typeof value === 'number') return `${value / 1000}s`;
  return value.length === 0 ? 'nothing' : value.join(', ');
}

/** What neither file names. */
function isRest({ kind, before, after }: Change): boolean {
  return kind !== 'dialled' && before.rule === 'default' && after.rule === 'default';
}

function placeText(change: Change): string {
  const { kind, globs } = change;
  if (isRest(change)) return 'everything that no rule names';
  const name = globs.join(' that are also ');
  const places = change.leads.map((spans) =>
    spans === null ? 'addresses of other rules' : spansText(spans),
  );
  const leads = places.join(' and ');
  switch (kind) {
    case 'names':
      return name === '' ? 'names that no rule names' : name;
    case 'addresses':
      return leads;
    case 'leading':
      return `${name === '' ? 'names' : name} leading to ${leads}`;
    case 'dialled':
      return `tunnelled names leading to ${leads}`;
  }
}

const mostSpans = 4;

function spansText(spans: readonly Span[]): string {
  const texts = spans.map(({ first, last }) =>
    first.text === last.text ? first.text : `${first.text}-${last.text}`,
  );
  if (texts.length <= mostSpans) return texts.join(' or ');
  const shown = texts.slice(0, mostSpans - 1).join(' or ');
  return `${shown} or ${texts.length - mostSpans + 1} more`;
}

/** Neighbouring spans of addresses with the same ports are one. */
function joined(changes: readonly Change[]): readonly Change[] {
  const alone: Change[] = [];
  const done = new Map<string, Change>();
  for (const change of changes) {
    const { kind, cell, leads } = change;
    const span = kind === 'leading' ? undefined : leads[0]?.[0];
    if (span === undefined) {
      alone.push(change);
      continue;
    }
    const { first, last } = span;
    const endingAt = (value: bigint) => `${first.family} ${value} ${cell.first}-${cell.last}`;
    const before = done.get(endingAt(first.value - 1n))?.leads[0]?.[0]?.first ?? first;
    done.delete(endingAt(first.value - 1n));
    done.set(endingAt(last.value), { ...change, leads: [[{ first: before, last }]] });
  }
  return [...alone, ...done.values()];
}

function portsText(pieces: readonly Change[]): string {
  const spans: { first: number; last: number }[] = [];
  for (const { cell } of pieces.toSorted((a, b) => a.cell.first - b.cell.first)) {
    const last = spans.at(-1);
    if (last !== undefined && cell.first <= last.last + 1)
      last.last = Math.max(last.last, cell.last);
    else spans.push({ first: cell.first, last: cell.last });
  }
  const [only] = spans;
  if (spans.length === 1 && only?.first === 1 && only.last === 65_535) return '';
  return `:${spans.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join()}`;
}

function conditions({ cell: { app, fromMs, untilMs } }: Change): string {
  const forApp = app === null ? '' : ` for ${app}`;
  const from = fromMs <= Date.now() ? '' : ` from ${moment(fromMs)}`;
  const until = untilMs === Infinity ? '' : ` until ${moment(untilMs)}`;
  return `${forApp}${from}${until}`;
}

function moment(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}
