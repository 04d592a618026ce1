// Owns a candidate: one destination of one rule with its place in the order. Of the candidates that fit, the first wins.

import type { Application, Destination, Rule, RuleSet } from './rule.ts';

export interface Candidate {
  /** Place of the destination among all of the set. */
  readonly order: number;
  /** Place of its rule among the rules of the set. */
  readonly ruleOrder: number;
  readonly rule: Rule;
  readonly destination: Destination;
}

export function candidatesOf(set: RuleSet): readonly Candidate[] {
  return set.rules
    .flatMap((rule, ruleOrder) =>
      rule.destinations.map((destination) => ({ ruleOrder, rule, destination })),
    )
    .map((candidate, order) => ({ ...candidate, order }));
}

/** What a connection asks of rules, its destination aside. */
export interface Asked {
  readonly port: number;
  /** The applications it may be, as far as the file knows them. */
  readonly apps: ReadonlySet<Application>;
  readonly now: number;
  /** Rules before this one in the order are passed over. */
  readonly from: number;
}

/** Whether it matches whenever its destination does: nothing that stands behind it at the same place is ever reached. */
export function settles({ rule, destination }: Candidate): boolean {
  const { validFromMs, validUntilMs, reportOnly } = rule;
  return destination.ports === null && validFromMs === null && validUntilMs === null && !reportOnly;
}

/** Adds to a list that is in order and of one application, or of all. */
export function append<K>(table: Map<K, Candidate[]>, key: K, candidate: Candidate): void {
  const present = table.get(key);
  const last = present?.at(-1);
  if (present === undefined || last === undefined) table.set(key, [candidate]);
  else if (!settles(last)) present.push(candidate);
}

/** Applications aside: each has its own tables. */
export function fits({ rule, destination, ruleOrder }: Candidate, asked: Asked): boolean {
  return fitsPort(destination, asked.port) && ruleOrder >= asked.from && isInForce(rule, asked.now);
}

/** The first that fits; the list is in order. */
export function firstOf(
  candidates: readonly Candidate[] | undefined,
  asked: Asked,
): Candidate | null {
  return candidates?.find((candidate) => fits(candidate, asked)) ?? null;
}

export function earlier(a: Candidate | null, b: Candidate | null): Candidate | null {
  if (a === null || b === null) return a ?? b;
  return a.order <= b.order ? a : b;
}

function fitsPort({ ports }: Destination, port: number): boolean {
  return ports === null || ports.some(({ first, last }) => first <= port && port <= last);
}

export function isInForce({ validFromMs, validUntilMs }: Rule, now: number): boolean {
  return (
    (validFromMs === null || validFromMs <= now) && (validUntilMs === null || now < validUntilMs)
  );
}
