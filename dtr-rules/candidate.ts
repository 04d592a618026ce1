// Owns a candidate: one destination of one rule with its place in the order. Of the candidates that fit, the first wins.

import type { Destination, Rule, RuleSet } from './rule.ts';

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

export function fitsPort({ destination }: Candidate, port: number): boolean {
  const { ports } = destination;
  return ports === null || ports.some(({ first, last }) => first <= port && port <= last);
}

/** The first that fits the port; the list is in order. */
export function firstFor(port: number, candidates: readonly Candidate[]): Candidate | null {
  return candidates.find((candidate) => fitsPort(candidate, port)) ?? null;
}

export function earlier(a: Candidate | null, b: Candidate | null): Candidate | null {
  if (a === null || b === null) return a ?? b;
  return a.order < b.order ? a : b;
}
