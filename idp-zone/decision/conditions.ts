// The conditions of a sign-on rule, each judged by itself: it holds, it does not, or nobody can tell.
import type { Standing } from './zone.ts';

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

// The field's words (Okta).
export const platforms = [
  'ANDROID',
  'CHROMEOS',
  'IOS',
  'LINUX',
  'MACOS',
  'WINDOWS',
  'OTHER',
] as const;
export type Platform = (typeof platforms)[number];
export const risks = ['LOW', 'MEDIUM', 'HIGH'] as const;
export type Risk = (typeof risks)[number];

/** What a rule asks of the device; null asks nothing. */
export interface DeviceCondition {
  readonly registered: boolean | null;
  readonly managed: boolean | null;
  readonly compliant: boolean | null;
}

/** What is known about the device; null is not known. */
export interface DeviceFacts extends DeviceCondition {
  readonly platform: Platform | null;
  readonly assurances: readonly string[] | null; // the assurance policies it satisfies
  readonly risk: Risk | null;
}

export const unknownDevice: DeviceFacts = {
  platform: null,
  registered: null,
  managed: null,
  compliant: null,
  assurances: null,
  risk: null,
};

export interface Conditions {
  readonly people: People | null;
  readonly network: Network | null;
  readonly clients: readonly string[] | null;
  readonly platforms: readonly Platform[] | null;
  readonly device: DeviceCondition | null;
  readonly assurances: readonly string[] | null; // any of these
  readonly risks: readonly Risk[] | null;
}

/** Who asks. Null is not known: a proxy that asks for somebody may not have asked who it is. */
export interface Person {
  readonly user: string | null;
  readonly groups: readonly string[] | null;
}

export interface SignOnRequest extends Standing, Person {
  readonly client: string;
  readonly device: DeviceFacts;
  readonly now: number;
}

export type Condition = keyof Conditions;
export type Status = 'MATCH' | 'NOT_MATCH' | 'UNDEFINED';

export interface Judged {
  readonly condition: Condition;
  readonly status: Status;
}

/** Of the conditions that the rule has, in the order in which they are told. */
export function judgeConditions(rule: Conditions, request: SignOnRequest): readonly Judged[] {
  const { device } = request;
  const judged: Judged[] = [];
  const add = (condition: Condition, status: Status) => judged.push({ condition, status });
  if (rule.people !== null) add('people', judgePeople(rule.people, request));
  if (rule.network !== null) add('network', judgeNetwork(rule.network, request));
  if (rule.clients !== null) add('clients', matches(rule.clients.includes(request.client)));
  if (rule.platforms !== null) add('platforms', anyOf(rule.platforms, device.platform));
  if (rule.device !== null) add('device', judgeDevice(rule.device, device));
  if (rule.assurances !== null) add('assurances', someOf(rule.assurances, device.assurances));
  if (rule.risks !== null) add('risks', anyOf(rule.risks, device.risk));
  return judged;
}

/** All together: one that does not hold settles it, whatever is not known. */
export function statusOf(judged: readonly Judged[]): Status {
  if (judged.some(({ status }) => status === 'NOT_MATCH')) return 'NOT_MATCH';
  return judged.some(({ status }) => status === 'UNDEFINED') ? 'UNDEFINED' : 'MATCH';
}

function matches(holds: boolean): Status {
  return holds ? 'MATCH' : 'NOT_MATCH';
}

function anyOf<T>(wanted: readonly T[], value: T | null): Status {
  return value === null ? 'UNDEFINED' : matches(wanted.includes(value));
}

function someOf<T>(wanted: readonly T[], values: readonly T[] | null): Status {
  if (values === null) return 'UNDEFINED';
  return matches(wanted.some((one) => values.includes(one)));
}

function judgeDevice(wanted: DeviceCondition, facts: DeviceFacts): Status {
  const keys = ['registered', 'managed', 'compliant'] as const;
  const asked = keys.filter((key) => wanted[key] !== null);
  if (asked.some((key) => facts[key] !== null && facts[key] !== wanted[key])) return 'NOT_MATCH';
  return asked.some((key) => facts[key] === null) ? 'UNDEFINED' : 'MATCH';
}

function judgePeople(people: People, person: Person): Status {
  const everybody = people.users.length === 0 && people.groups.length === 0;
  const included = everybody ? 'MATCH' : isAmong(people.users, people.groups, person);
  return without(included, isAmong(people.excludeUsers, people.excludeGroups, person));
}

function isAmong(
  users: readonly string[],
  groups: readonly string[],
  { user, groups: own }: Person,
): Status {
  const byName = users.length === 0 ? 'NOT_MATCH' : anyOf(users, user);
  const byGroup = groups.length === 0 ? 'NOT_MATCH' : someOf(groups, own);
  if (byName === 'MATCH' || byGroup === 'MATCH') return 'MATCH';
  return byName === 'UNDEFINED' || byGroup === 'UNDEFINED' ? 'UNDEFINED' : 'NOT_MATCH';
}

function judgeNetwork(network: Network, at: Standing): Status {
  const included = network.zones === null ? 'MATCH' : membership(network.zones, at);
  return without(included, membership(network.notZones, at));
}

function without(included: Status, excluded: Status): Status {
  if (included === 'NOT_MATCH' || excluded === 'MATCH') return 'NOT_MATCH';
  return included === 'UNDEFINED' || excluded === 'UNDEFINED' ? 'UNDEFINED' : 'MATCH';
}

function membership(names: readonly string[], at: Standing): Status {
  if (names.some((name) => at.zones.includes(name))) return 'MATCH';
  return names.some((name) => at.unknownZones.includes(name)) ? 'UNDEFINED' : 'NOT_MATCH';
}
