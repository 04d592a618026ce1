// Owns the conditions of a rule beside the place: ports, applications and validity, and cutting them into cells that
// every rule looked at takes whole or not at all.

import type { Application, Destination, PortRange, Rule } from '../rule.ts';

export interface Box {
  readonly ports: readonly PortRange[];
  /** Identifiers of applications; null is every application, unknown ones too. */
  readonly apps: ReadonlySet<string> | null;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A piece of a box: a span of ports, one application (null: any that is not named), a span of time. */
export interface Cell {
  readonly first: number;
  readonly last: number;
  readonly app: string | null;
  readonly fromMs: number;
  readonly untilMs: number;
}

export const everyPort: readonly PortRange[] = [{ first: 1, last: 65_535 }];
export const wholeBox: Box = { ports: everyPort, apps: null, fromMs: -Infinity, untilMs: Infinity };

export function boxOf({ apps, validFromMs, validUntilMs }: Rule, { ports }: Destination): Box {
  return {
    ports: ports ?? everyPort,
    apps: apps === null ? null : new Set(apps.flatMap(identifiersOf)),
    fromMs: validFromMs ?? -Infinity,
    untilMs: validUntilMs ?? Infinity,
  };
}

/** As the table of applications knows them: paths in any case. */
function identifiersOf({
  name,
  bundleId,
  packageName,
  path,
  publisher,
}: Application): readonly string[] {
  const all = [name, bundleId, packageName, path?.toLowerCase() ?? null, publisher];
  return all.filter((one) => one !== null);
}

/** The box cut at the borders of the others. */
export function cellsOf(box: Box, others: readonly Box[]): readonly Cell[] {
  const spans = cutPorts(box.ports, others);
  const apps = appsOf(box, others);
  const times = cutTime(box, others);
  return spans.flatMap(({ first, last }) =>
    apps.flatMap((app) => times.map((time) => ({ first, last, app, ...time }))),
  );
}

export function covers(box: Box, cell: Cell): boolean {
  if (box.fromMs > cell.fromMs || box.untilMs < cell.untilMs) return false;
  if (box.apps !== null && (cell.app === null || !box.apps.has(cell.app))) return false;
  return box.ports.some(({ first, last }) => first <= cell.first && cell.last <= last);
}

/** Null where they have nothing in common. */
export function meet(a: Cell, b: Cell): Cell | null {
  const first = Math.max(a.first, b.first);
  const last = Math.min(a.last, b.last);
  const fromMs = Math.max(a.fromMs, b.fromMs);
  const untilMs = Math.min(a.untilMs, b.untilMs);
  if (first > last || fromMs >= untilMs || a.app !== b.app) return null;
  return { first, last, app: a.app, fromMs, untilMs };
}

function cutPorts(ports: readonly PortRange[], others: readonly Box[]): readonly PortRange[] {
  const cuts = new Set<number>();
  for (const { first, last } of [...ports, ...others.flatMap((other) => other.ports)])
    cuts.add(first).add(last + 1);
  const starts = [...cuts].toSorted((a, b) => a - b);
  return starts.flatMap((first, i) => {
    const last = (starts[i + 1] ?? 65_536) - 1;
    return first <= last && ports.some((one) => one.first <= first && last <= one.last)
      ? [{ first, last }]
      : [];
  });
}

/** One of each kind: applications that the same boxes name behave alike. */
function appsOf(box: Box, others: readonly Box[]): readonly (string | null)[] {
  const naming = [box, ...others].map(({ apps }) => apps).filter((apps) => apps !== null);
  const named = box.apps ?? new Set(naming.flatMap((apps) => [...apps]));
  const kinds = new Map<string, string | null>();
  if (box.apps === null) kinds.set('', null);
  for (const app of named) {
    const kind = naming.flatMap((apps, i) => (apps.has(app) ? [i] : [])).join();
    if (!kinds.has(kind)) kinds.set(kind, app);
  }
  return [...kinds.values()];
}

function cutTime(box: Box, others: readonly Box[]) {
  const inside = others
    .flatMap(({ fromMs, untilMs }) => [fromMs, untilMs])
    .filter((moment) => box.fromMs < moment && moment < box.untilMs);
  const starts = [box.fromMs, ...new Set(inside)].toSorted((a, b) => a - b);
  return starts.map((fromMs, i) => ({ fromMs, untilMs: starts[i + 1] ?? box.untilMs }));
}
