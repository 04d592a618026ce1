// Owns the decision value: what was decided about one target, why, and what had passed before.

import type { Address, AddressRange } from '../../dtr-rules/address.ts';
import type { Action, Circumstances } from '../../dtr-rules/rule.ts';
import type { Excepted, Finding } from './posture.ts';
import type { Reason } from './reasons.ts';

/** A stage that let the connection through, and what satisfied it: never a secret. */
export interface Pass {
  readonly stage: 'identity' | 'posture' | 'rules' | 'egress' | 'address';
  /** Certificate fingerprint, report id, rule id, pool name or address. */
  readonly by: string;
  /** Of the posture stage: checks that do not hold and refused nothing. Left out where there are none. */
  readonly wouldRefuse?: readonly Finding[];
  readonly excepted?: readonly Excepted[];
}

/** A report-only rule that fits, and what it would have done. */
export interface Reported {
  readonly rule: string;
  readonly action: Action;
}

/** The addresses a connection may leave from, by family: the device's own, then those it moves to when
 *  that one cannot be used. Empty where the pool has none. */
export interface Sources {
  readonly v4: readonly Address[];
  readonly v6: readonly Address[];
}

export interface Tunnel {
  readonly action: 'tunnel';
  /** The rule that decided, or `default` for the rule set's default action. */
  readonly rule: string;
  readonly set: string;
  /** The egress pool, or `bypass` when the configured non-zone address carries a BYPASS rule. */
  readonly pool: string;
  readonly sources: Sources;
  /** Upstream proxy of a PROXY rule; null dials directly. */
  readonly upstream: string | null;
  /** When an address rule matched a host name: only these may be dialled. */
  readonly only: readonly Address[] | null;
  /** Special-purpose addresses the rule opens. */
  readonly open: readonly AddressRange[];
  readonly idleMs: number | null;
  readonly lifetimeMs: number | null;
  /** What was judged besides the target: later stages judge by the same. */
  readonly given: Circumstances;
  readonly reported: readonly Reported[];
  readonly trail: readonly Pass[];
}

export interface Refusal {
  readonly action: 'refuse';
  readonly reason: Reason;
  /** The rule or check that refused, when there is one. For logs only, never for the client. */
  readonly by: string | null;
  readonly reported: readonly Reported[];
  readonly trail: readonly Pass[];
}

export type Decision = Tunnel | Refusal;

/** An address rule stands before any other match: decide again once the name is resolved. */
export interface Unresolved {
  readonly action: 'resolve';
}

export function refuse(
  reason: Reason,
  by: string | null,
  trail: readonly Pass[],
  reported: readonly Reported[] = [],
): Refusal {
  return { action: 'refuse', reason, by, reported, trail };
}
