// Sign-on policy: ordered rules, the first whose conditions all hold decides, and nothing else lets anybody in.
import { type PolicyReason, reasons } from './reasons.ts';
import type { Standing } from './zone.ts';

export type Access = 'ALLOW' | 'DENY';

export interface People {
  readonly users: readonly string[]; // with no users and no groups: everybody
  readonly groups: readonly string[];
  readonly excludeUsers: readonly string[];
  readonly excludeGroups: readonly string[];
}

export interface Network {
  readonly zones: readonly string[] | null; // in any of these; null = anywhere
  readonly notZones: readonly string[]; // and in none of these
}

export interface SignOnRule {
  readonly name: string;
  readonly people: People | null;
  readonly network: Network | null;
  readonly clients: readonly string[] | null;
  readonly access: Access;
  readonly reportOnly: boolean;
  readonly message: string | null;
  readonly help: string | null;
}

export interface SignOnPolicy {
  readonly help: string | null;
  readonly rules: readonly SignOnRule[];
}

export interface SignOnRequest extends Standing {
  readonly user: string;
  readonly groups: readonly string[];
  readonly client: string;
}

export type Condition = 'people' | 'network' | 'network_unknown' | 'clients';

// A rule that was looked at and did not decide. With nothing failed it matched, but only reports.
export interface Step {
  readonly rule: string;
  readonly access: Access;
  readonly reportOnly: boolean;
  readonly failed: readonly Condition[];
}

export interface Allow {
  readonly action: 'allow';
  readonly rule: string;
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

export function judgeSignOn(policy: SignOnPolicy, request: SignOnRequest): SignOnDecision {
  const trail: Step[] = [];
  if (request.blocked !== null)
    return deny(policy, { rule: null, reason: 'sign-on.blocked', trail });
  for (const rule of policy.rules) {
    const failed = failedConditions(rule, request);
    if (failed.length > 0 || rule.reportOnly) {
      trail.push({ rule: rule.name, access: rule.access, reportOnly: rule.reportOnly, failed });
    } else if (rule.access === 'ALLOW') {
      return { action: 'allow', rule: rule.name, trail };
    } else {
      return deny(policy, { rule, reason: nearMiss(trail) ?? 'sign-on.rule', trail });
    }
  }
  return deny(policy, { rule: null, reason: nearMiss(trail) ?? 'sign-on.no_rule', trail });
}

function failedConditions(rule: SignOnRule, request: SignOnRequest): readonly Condition[] {
  const failed: Condition[] = [];
  if (rule.people !== null && !includesPerson(rule.people, request)) failed.push('people');
  const network = rule.network === null ? 'inside' : judgeNetwork(rule.network, request);
  if (network === 'outside') failed.push('network');
  // What nobody can tell must never help to let somebody in: it keeps an ALLOW from holding, not a DENY.
  if (network === 'unknown' && rule.access === 'ALLOW') failed.push('network_unknown');
  if (rule.clients !== null && !rule.clients.includes(request.client)) failed.push('clients');
  return failed;
}

function includesPerson(people: People, { user, groups }: SignOnRequest): boolean {
  if (people.excludeUsers.includes(user)) return false;
  if (people.excludeGroups.some((group) => groups.includes(group))) return false;
  if (people.users.length === 0 && people.groups.length === 0) return true;
  return people.users.includes(user) || people.groups.some((group) => groups.includes(group));
}

function judgeNetwork(network: Network, at: Standing): 'inside' | 'outside' | 'unknown' {
  const included = network.zones === null ? 'in' : membership(network.zones, at);
  const excluded = membership(network.notZones, at);
  if (included === 'out' || excluded === 'in') return 'outside';
  return included === 'unknown' || excluded === 'unknown' ? 'unknown' : 'inside';
}

function membership(names: readonly string[], at: Standing): 'in' | 'out' | 'unknown' {
  if (names.some((name) => at.zones.includes(name))) return 'in';
  return names.some((name) => at.unknownZones.includes(name)) ? 'unknown' : 'out';
}

// "You would be let in, were it not for where you are" is the one thing worth telling a person first.
function nearMiss(trail: readonly Step[]): PolicyReason | null {
  const failures = trail
    .filter((step) => step.access === 'ALLOW' && !step.reportOnly && step.failed.length === 1)
    .map((step) => step.failed[0]);
  if (failures.includes('network_unknown')) return 'sign-on.zone_unknown';
  return failures.includes('network') ? 'sign-on.outside_zone' : null;
}

interface Denied {
  readonly rule: SignOnRule | null;
  readonly reason: PolicyReason;
  readonly trail: readonly Step[];
}

function deny(policy: SignOnPolicy, { rule, reason, trail }: Denied): Deny {
  return {
    action: 'deny',
    reason,
    rule: rule?.name ?? null,
    message: rule?.message ?? reasons[reason].sentence,
    help: rule?.help ?? policy.help,
    trail,
  };
}
