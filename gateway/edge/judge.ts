// Carries one question through the decision: resolves the name when it comes to that, once, and never for a refusal.

import type { Address } from '../../dtr-rules/address.ts';
import { decide, type Question } from '../decision/decide.ts';
import type { Pass, Refusal, Reported, Tunnel } from '../decision/decision.ts';
import { type Candidate, pin } from '../decision/pin.ts';
import type { Policy } from '../decision/policy.ts';
import { failedAfter } from '../errors.ts';
import type { Resolver } from './resolve.ts';

export interface JudgeParts {
  readonly resolver: () => Resolver;
  /** Egress addresses that could not be used lately. */
  readonly unfit: () => ReadonlySet<string>;
  readonly now: () => number;
}

export interface Judged {
  readonly action: 'tunnel';
  readonly tunnel: Tunnel;
  readonly trail: readonly Pass[];
  readonly reported: readonly Reported[];
  /** What the name resolved to; null when an upstream proxy resolves it. */
  readonly addresses: readonly Address[] | null;
  /** Empty with an upstream proxy: it dials, and `reach` finds it. */
  readonly candidates: readonly Candidate[];
}

/** Steps 3 to 6 of the admission; a world that fails on the way throws, with what had passed. */
export async function judge(
  asked: Omit<Question, 'unfit'>,
  policy: Policy,
  parts: JudgeParts,
): Promise<Judged | Refusal> {
  const question: Question = { ...asked, unfit: parts.unfit() };
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
    const { trail, reported } = pinned ?? decision;
    const candidates = pinned?.candidates ?? [];
    return { action: 'tunnel', tunnel: decision, trail, reported, addresses, candidates };
  } catch (error) {
    throw failedAfter(error, decision.trail);
  }
}
