// Sign-on policy: ordered rules, the first whose conditions all hold decides, and nothing else lets anybody in.
import {
  type Condition,
  type Conditions,
  type Judged,
  judgeConditions,
  type SignOnRequest,
  type Status,
  statusOf,
} from './conditions.ts';
import { type PolicyReason, reasons } from './reasons.ts';

export type Access = 'ALLOW' | 'DENY';

export interface SignOnRule extends Conditions {
  readonly name: string;
  readonly access: Access;
  readonly reportOnly: boolean;
  readonly message: string | null;
  readonly help: string | null;
}

/** Somebody who is let in for a while, whatever the rules say; asked before them. */
export interface SignOnException {
  readonly name: string;
  readonly users: readonly string[];
  readonly clients: readonly string[] | null; // null: all
  readonly until: number; // ms since 1970, the first moment it no longer holds
  readonly reason: string;
}

export interface SignOnPolicy {
  readonly help: string | null;
  readonly exceptions: readonly SignOnException[];
  readonly rules: readonly SignOnRule[];
}

// A rule that was looked at and did not decide. With nothing failed it matched, but only reports.
export interface Step {
  readonly rule: string;
  readonly access: Access;
  readonly reportOnly: boolean;
  readonly failed: readonly Failed[];
}

export type Failed = Condition | `${Condition}_unknown`;

export interface Allow {
  readonly action: 'allow';
  readonly rule: string;
  readonly exception: SignOnException | null; // what let in instead of a rule
  readonly trail: readonly Step[];
}

export interface Deny {
  readonly action: 'deny';
  readonly reason: PolicyReason;
  readonly rule: string | null; // null: the last rule, which denies and cannot be removed
  readonly message: string;
  readonly help: string | null;
  readonly trail: readonly Step[];
}

export type SignOnDecision = Allow | Deny;

/** Of every rule, also of those after the one that decides: what somebody who asks why wants to see. */
export interface Evaluation {
  readonly rule: SignOnRule;
  readonly conditions: readonly Judged[];
  readonly status: Status;
}

export function judgeSignOn(policy: SignOnPolicy, request: SignOnRequest): SignOnDecision {
  const trail: Step[] = [];
  if (request.blocked !== null) {
    return deny(policy, { rule: null, reason: 'sign-on.blocked', trail });
  }
  const exception = policy.exceptions.find((one) => excepts(one, request)) ?? null;
  if (exception !== null) return { action: 'allow', rule: exception.name, exception, trail };
  for (const rule of policy.rules) {
    const evaluation = evaluateRule(rule, request);
    if (!holds(evaluation) || rule.reportOnly) trail.push(stepOf(evaluation));
    else if (rule.access === 'ALLOW') {
      return { action: 'allow', rule: rule.name, exception: null, trail };
    } else return deny(policy, deniedBy(evaluation, trail));
  }
  return deny(policy, { rule: null, reason: nearMiss(trail) ?? 'sign-on.no_rule', trail });
}

export function evaluateRule(rule: SignOnRule, request: SignOnRequest): Evaluation {
  const conditions = judgeConditions(rule, request);
  return { rule, conditions, status: statusOf(conditions) };
}

// What nobody can tell must never help to let somebody in: it keeps an ALLOW from holding, not a DENY.
export function holds({ rule, status }: Evaluation): boolean {
  return status === 'MATCH' || (status === 'UNDEFINED' && rule.access === 'DENY');
}

function excepts(one: SignOnException, { user, client, now }: SignOnRequest): boolean {
  const isFor = one.clients === null || one.clients.includes(client);
  return isFor && user !== null && one.users.includes(user) && now < one.until;
}

function stepOf({ rule, conditions }: Evaluation): Step {
  const failed = conditions.flatMap(({ condition, status }): readonly Failed[] => {
    if (status === 'NOT_MATCH') return [condition];
    return status === 'UNDEFINED' && rule.access === 'ALLOW' ? [`${condition}_unknown`] : [];
  });
  return { rule: rule.name, access: rule.access, reportOnly: rule.reportOnly, failed };
}

const ofDevice: readonly Failed[] = (
  ['platforms', 'device', 'assurances', 'risks'] as const
).flatMap((condition): readonly Failed[] => [condition, `${condition}_unknown`]);

// "You would be let in, were it not for where you are" is the one thing worth telling a person first; then, with what.
// Who it is comes after that: signing in would not help somebody who is in the wrong place.
function nearMiss(trail: readonly Step[]): PolicyReason | null {
  const near = trail
    .filter((step) => step.access === 'ALLOW' && !step.reportOnly)
    .map(({ failed }) => ({
      failed: failed.filter((one) => one !== 'people_unknown'),
      isNobody: failed.includes('people_unknown'),
    }));
  const byOne = near.filter(({ failed }) => failed.length === 1).map(({ failed }) => failed[0]);
  if (byOne.includes('network_unknown')) return 'sign-on.zone_unknown';
  if (byOne.includes('network')) return 'sign-on.outside_zone';
  if (near.some(({ failed, isNobody }) => isNobody && failed.length === 0)) {
    return 'sign-on.person_unknown';
  }
  const byDevice = near.some(({ failed }) => failed.every((one) => ofDevice.includes(one)));
  return byDevice ? 'sign-on.device' : null;
}

// A rule that denies some people denies whoever may be one of them, until they say who they are.
function deniedBy({ rule, conditions }: Evaluation, trail: readonly Step[]): Denied {
  const isNobody = conditions.some(
    ({ condition, status }) => condition === 'people' && status === 'UNDEFINED',
  );
  if (isNobody) return { rule, reason: 'sign-on.person_unknown', trail };
  return { rule, reason: nearMiss(trail) ?? 'sign-on.rule', trail };
}

interface Denied {
  readonly rule: SignOnRule | null;
  readonly reason: PolicyReason;
  readonly trail: readonly Step[];
}

function deny(policy: SignOnPolicy, { rule, reason, trail }: Denied): Deny {
  // Whoever has not signed in yet is not told what a rule says to those it denies.
  const own = reason === 'sign-on.person_unknown' ? null : (rule?.message ?? null);
  return {
    action: 'deny',
    reason,
    rule: rule?.name ?? null,
    message: own ?? reasons[reason].sentence,
    help: rule?.help ?? policy.help,
    trail,
  };
}
