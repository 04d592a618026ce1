// The decision: posture, then rules, then egress. Pure; live connections, `explain`, rule tests and open tunnels all use it.

import type { Address } from '../../dtr-rules/address.ts';
import type { CompiledSet, Match } from '../../dtr-rules/compile.ts';
import type { Circumstances, Rule, Target } from '../../dtr-rules/rule.ts';
import { blockHolds, type DeviceFacts } from './block.ts';
import {
  type Decision,
  type Pass,
  type Refusal,
  type Reported,
  refuse,
  type Unresolved,
} from './decision.ts';
import { chooseSources } from './egress.ts';
import type { Identity } from './identity.ts';
import type { EgressPolicy, EgressPool, Policy } from './policy.ts';
import { judgePosture, type PostureReason, type PostureVerdict } from './posture.ts';
import { isMetadataName } from './special.ts';

export interface Question {
  readonly identity: Identity;
  readonly posture: DeviceFacts;
  readonly target: Target;
  /** Null as long as nobody has resolved the name. */
  readonly addresses: readonly Address[] | null;
  /** Egress addresses that could not be used lately: everybody's last choice. */
  readonly unfit: ReadonlySet<string>;
}

// Asks for a rule set where there is no report; `judgePosture` has refused by then.
const nobody = { source: 'none', id: 'none', platform: null, groups: [], tags: [] } as const;

/** A device that is served by a rule set, for whatever target. */
export interface Assigned {
  readonly action: 'assigned';
  readonly set: CompiledSet;
  /** Why it is served by a remediation set; null is healthy. */
  readonly unhealthy: PostureReason | null;
  readonly trail: readonly Pass[];
}

/** The first half of the decision: is the device healthy, and whose rules are its rules? */
export function assignRules(
  { identity, posture }: Pick<Question, 'identity' | 'posture'>,
  policy: Policy,
  now: number,
): Assigned | Refusal {
  const passed: Pass[] = [{ stage: 'identity', by: identity.fingerprint }];
  // Before everything its UEM says: no remediation set either, the device may be in the wrong hands.
  if (blockHolds(posture.block, now)) return refuse('posture.blocked', posture.block.by, passed);
  const verdict = judgePosture(posture, policy.posture, now);
  const unhealthy = verdict.reason;
  const { source, id, platform, groups, tags } = posture.report ?? nobody;
  const health = unhealthy === null ? 'healthy' : 'unhealthy';
  const set = policy.rules.assign({ posture: health, platform, groups, tags });
  if (unhealthy !== null) {
    // Only a device that is known gets a remediation set; a device nobody can speak for gets none.
    if (posture.report === null || set === null) return refuse(unhealthy, verdict.check, passed);
    passed.push({ stage: 'posture', by: `${unhealthy} (remediation)` });
  } else {
    passed.push({ stage: 'posture', by: `${source}:${id}`, ...notesOf(verdict) });
  }
  if (set === null) return refuse('rules.no_rule_set', null, passed);
  return { action: 'assigned', set, unhealthy, trail: passed };
}

function notesOf({ wouldRefuse, excepted }: PostureVerdict): Partial<Pass> {
  return {
    ...(wouldRefuse.length > 0 && { wouldRefuse }),
    ...(excepted.length > 0 && { excepted }),
  };
}

/** Says whether the device may reach the target, and how. Never does I/O: where only the
 *  addresses of the name can tell, the answer is `resolve`, and the edge asks again with them. */
export function decide(question: Question, policy: Policy, now: number): Decision | Unresolved {
  const { identity, posture, target } = question;
  const known = assignRules({ identity, posture }, policy, now);
  if (known.action === 'refuse') return known;
  const { set, trail: passed } = known;
  // Before the rules: one that waits for addresses would have the name looked up (threats S06).
  if (isMetadataName(target.host)) return refuse('address.metadata', target.host, passed);

  const given = { app: identity.app, now };
  const match = set.match(target, question.addresses, given);
  if (match.kind === 'unresolved') return { action: 'resolve' };
  return follow({ match, given, set, identity, passed, unfit: question.unfit }, policy.egress);
}

interface Followed {
  readonly match: Exclude<Match, { kind: 'unresolved' }>;
  readonly given: Circumstances;
  readonly set: CompiledSet;
  readonly identity: Identity;
  readonly passed: readonly Pass[];
  readonly unfit: ReadonlySet<string>;
}

/** What the matched rule, or the default action, leads to. */
function follow(found: Followed, egress: EgressPolicy): Decision {
  const { match, given, set, identity, passed, unfit } = found;
  const rule = match.kind === 'rule' ? match.rule : null;
  const action = match.kind === 'rule' ? match.rule.action : match.action;
  const by = rule?.id ?? 'default';
  const reported = reportedBy(match.reported);
  if (action === 'BLOCK') return refuse('rules.block', by, passed, reported);
  if (action === 'BYPASS' && egress.bypass === null) {
    return refuse('rules.bypass', by, passed, reported);
  }

  const trail: Pass[] = [...passed, { stage: 'rules', by }];
  const named = rule?.egress ?? null;
  const pool = poolFor(action, named, egress);
  if (pool === null) return refuse('egress.unavailable', named, trail, reported);
  return {
    action: 'tunnel',
    rule: by,
    set: set.set.name,
    pool: pool.name,
    sources: chooseSources(identity.deviceId, pool, unfit),
    upstream: rule?.upstream ?? null,
    only: match.kind === 'rule' ? match.addresses : null,
    open: rule?.open ?? [],
    idleMs: rule?.idleMs ?? null,
    lifetimeMs: rule?.lifetimeMs ?? null,
    given,
    reported,
    trail: [...trail, { stage: 'egress', by: pool.name }],
  };
}

export function reportedBy(rules: readonly Rule[]): readonly Reported[] {
  return rules.map(({ id, action }) => ({ rule: id, action }));
}

/** Invariant: TUNNEL and PROXY leave only from a pool, BYPASS never does (design section 5.5). */
function poolFor(action: string, named: string | null, egress: EgressPolicy): EgressPool | null {
  if (action === 'BYPASS') return egress.bypass;
  if (named === null) return egress.defaultPool;
  return egress.pools.get(named) ?? null;
}
