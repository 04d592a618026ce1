// Owns what a connection gets from a rule, as far as somebody would notice a difference.

import type { Claim } from '../cover/claims.ts';
import type { Rule, RuleSet } from '../rule.ts';

export interface Outcome {
  readonly action: Rule['action'];
  /** Its id, or `default`. */
  readonly rule: string;
  readonly upstream: string | null;
  readonly egress: string | null;
  readonly open: readonly string[];
  readonly idleMs: number | null;
  readonly lifetimeMs: number | null;
}

export function outcomeOf(claim: Claim | null, set: RuleSet): Outcome {
  if (claim === null) {
    const nothing = { upstream: null, egress: null, open: [], idleMs: null, lifetimeMs: null };
    return { action: set.defaultAction, rule: 'default', ...nothing };
  }
  const { action, id, upstream, egress, open, idleMs, lifetimeMs } = claim.rule;
  return {
    action,
    rule: id,
    upstream,
    egress,
    open: open.map(({ text }) => text),
    idleMs,
    lifetimeMs,
  };
}

export function keyOf({
  action,
  rule,
  upstream,
  egress,
  open,
  idleMs,
  lifetimeMs,
}: Outcome): string {
  return JSON.stringify([action, rule, upstream, egress, open, idleMs, lifetimeMs]);
}
