// Carries one question through the decision: resolves the name when it comes to that, once, and never for a refusal.

import type { Address } from '../../dtr-rules/address.ts';
import { decide, type Question } from '../decision/decide.ts';
import { type Pass, type Refusal, refuse, type Tunnel } from '../decision/decision.ts';
import { type Candidate, pin } from '../decision/pin.ts';
import type { Policy } from '../decision/policy.ts';
import { failedAfter } from '../errors.ts';
import type { Resolver } from './resolve.ts';

export interface JudgeParts {
  readonly resolver: () => Resolver;
  /** Where an upstream proxy is reached; what the device asked for is resolved there. */
  readonly upstream: (tunnel: Tunnel) => Promise<readonly Candidate[]>;
  readonly now: () => number;
}

export interface Judged {
  readonly action: 'tunnel';
  readonly tunnel: Tunnel;
  readonly trail: readonly Pass[];
  /** What the name resolved to; null when an upstream proxy resolves it. */
  readonly addresses: readonly Address[] | null;
  readonly candidates: readonly Candidate[];
}

/** Steps 3 to 6 of the admission; a world that fails on the way throws, with what had passed. */
export async function judge(
  question: Question,
  policy: Policy,
  parts: JudgeParts,
): Promise<Judged | Refusal> {
  const { target } = question;
  const resolve = () => parts.resolver().resolve(target.host);
  let addresses = target.address === null ? question.addresses : [target.address];

  let decision = decide({ ...question, addresses }, policy, parts.now());
  if (decision.action === 'resolve') {
    addresses = await resolve();
    decision = decide({ ...question, addresses }, policy, parts.now());
  }
  if (decision.action === 'resolve') throw new Error('a resolved target is still unresolved');
  if (decision.action === 'refuse') return decision;
  try {
    // The upstream proxy resolves the name, because it is the one that dials it; where an address rule
    // had it resolved here already, the addresses are judged all the same.
    if (decision.upstream === null) addresses ??= await resolve();
    const pinned = addresses === null ? null : pin(decision, target, addresses, policy);
    if (pinned?.action === 'refuse') return pinned;
    const trail = pinned?.trail ?? decision.trail;
    const candidates =
      decision.upstream === null ? (pinned?.candidates ?? []) : await parts.upstream(decision);
    if (candidates.length === 0) return refuse('egress.no_family', decision.pool, trail);
    return { action: 'tunnel', tunnel: decision, trail, addresses, candidates };
  } catch (error) {
    throw failedAfter(error, decision.trail);
  }
}
