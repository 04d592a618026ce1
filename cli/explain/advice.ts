// Owns what would have to change for a refused target to pass: which rule to move, add or open, which state of the device.

import type { Asker, CompiledRules, CompiledSet } from '../../dtr-rules/compile.ts';
import { type Claim, claimsOf, indexClaims } from '../../dtr-rules/cover/claims.ts';
import type { Circumstances, Rule, RuleSet, Target } from '../../dtr-rules/rule.ts';
import type { Refusal } from '../../gateway/decision/decision.ts';
import { stageOf } from '../../gateway/decision/reasons.ts';
import { formatTarget } from '../../gateway/decision/target.ts';

export interface Situation {
  readonly refusal: Refusal;
  readonly target: Target;
  readonly asker: Asker;
  readonly given: Circumstances;
  readonly rules: CompiledRules;
  /** `dtr.yaml:12:9` of a rule in a set. */
  readonly place: (rule: string, set: string) => string;
}

export function adviceFor(situation: Situation): readonly string[] {
  const { refusal, asker, rules } = situation;
  switch (stageOf(refusal.reason)) {
    case 'posture':
      return [postureAdvice(situation)];
    case 'rules': {
      const set = rules.assign(asker);
      return set === null ? setAdvice(situation) : ruleAdvice(set, situation);
    }
    case 'address':
      return addressAdvice(situation);
    case 'egress':
      return [
        'check `egress.pools`: the pool has to exist, with an address of the family the destination has',
      ];
    case 'dns':
      return ['the name has to resolve for the gateway: check `dns`, or try with --address'];
    case 'request':
    case 'identity':
    case 'limits':
    case 'dial':
    case 'origin':
    case 'gateway':
      return [];
  }
}

/** The same question, asked by a healthy device. */
function postureAdvice({ target, asker, given, rules, place }: Situation): string {
  const set = rules.assign({ ...asker, posture: 'healthy' });
  if (set === null) return 'a healthy device like this would be given no rule set either';
  const match = set.match(target, target.address === null ? null : [target.address], given);
  const name = set.set.name;
  const wanted = 'the device has to become healthy: then the set';
  if (match.kind === 'unresolved')
    return `${wanted} \`${name}\` applies, and an address rule decides`;
  if (match.kind === 'default')
    return `${wanted} \`${name}\` applies, and its default action ${match.action} decides`;
  const { id, action } = match.rule;
  return `${wanted} \`${name}\` applies, and rule \`${id}\` (${place(id, name)}) says ${action}`;
}

function setAdvice({ asker, rules }: Situation): readonly string[] {
  return rules.sets.map(
    ({ set }) =>
      `for the set \`${set.name}\` the device has to be ${missingOf(set, asker).join(', ')}`,
  );
}

function missingOf({ assign }: RuleSet, asker: Asker): readonly string[] {
  const lists = [
    [assign.groups, asker.groups, 'in the group'],
    [assign.tags, asker.tags, 'tagged'],
  ] as const;
  return [
    ...(assign.posture.includes(asker.posture) ? [] : assign.posture),
    ...(assign.platforms === null ||
    (asker.platform !== null && assign.platforms.includes(asker.platform))
      ? []
      : [`on ${assign.platforms.join(' or ')}`]),
    ...lists.flatMap(([wanted, has, how]) =>
      wanted === null || wanted.some((one) => has.includes(one))
        ? []
        : [`${how} ${wanted.join(' or ')}`],
    ),
  ];
}

/** Rules that name the target and would carry it, were it not for something; the nearest first. */
function ruleAdvice(
  { set }: CompiledSet,
  { refusal, target, given, place }: Situation,
): readonly string[] {
  const decider = set.rules.find(({ id }) => id === refusal.by) ?? null;
  const order = decider === null ? Infinity : set.rules.indexOf(decider);
  const carrying = namingClaims(set, target).filter(
    ({ rule }) => rule.action === 'TUNNEL' || rule.action === 'PROXY',
  );
  const near = new Map<Rule, string>();
  for (const claim of carrying) {
    const { rule } = claim;
    const hurdles = hurdlesOf(claim, target, given);
    const move = claim.ruleOrder > order ? [`move it above \`${refusal.by ?? ''}\``] : [];
    const todo = [...hurdles, ...move];
    if (todo.length > 0 && !near.has(rule))
      near.set(
        rule,
        `rule \`${rule.id}\` (${place(rule.id, set.name)}) would carry it: ${todo.join('; ')}`,
      );
  }
  const where =
    decider === null
      ? `to the set \`${set.name}\``
      : `above \`${decider.id}\` (${place(decider.id, set.name)}) in the set \`${set.name}\``;
  return [
    ...[...near.values()].slice(0, 3),
    `add a TUNNEL rule for \`${formatTarget(target)}\` ${where}`,
  ];
}

function namingClaims(set: RuleSet, target: Target): readonly Claim[] {
  const claims = indexClaims(claimsOf(set));
  const { address } = target;
  return address === null
    ? claims.naming(target.host)
    : claims.touching({ ...address, first: address.value, last: address.value });
}

/** Why a rule that names the target does not decide about it. */
function hurdlesOf(
  { rule, box }: Claim,
  { port }: Target,
  { app, now }: Circumstances,
): readonly string[] {
  const hurdles: string[] = [];
  if (rule.reportOnly) hurdles.push('it only reports: take `reportOnly` out');
  if (!box.ports.some(({ first, last }) => first <= port && port <= last))
    hurdles.push(`add port ${port}`);
  if (now < box.fromMs) hurdles.push('it is not in force yet: see `validFrom`');
  if (now >= box.untilMs) hurdles.push('it is over: see `validUntil`');
  if (
    rule.apps !== null &&
    (app === null || !(box.apps?.has(app) || box.apps?.has(app.toLowerCase())))
  ) {
    hurdles.push(
      `it is for ${rule.apps.map(({ name }) => name).join(', ')} only${app === null ? ', and the application is not known' : ''}`,
    );
  }
  return hurdles;
}

function addressAdvice({ refusal, place, rules, asker }: Situation): readonly string[] {
  const by = refusal.by ?? '';
  const rule = refusal.trail.find(({ stage }) => stage === 'rules')?.by ?? '';
  const set = rules.assign(asker)?.set.name ?? '';
  switch (refusal.reason) {
    case 'address.special':
      return rule === 'default'
        ? [`a rule has to name the target and say \`open: ["${by}"]\``]
        : [
            `add \`open: ["${by}"]\` to rule \`${rule}\` (${place(rule, set)}), if it is meant to reach that address`,
          ];
    case 'address.blocked':
      return [
        `a BLOCK rule holds ${by}, and does so wherever it stands: take the address out of it`,
      ];
    default:
      return ['nothing lets this through: no rule opens it'];
  }
}
