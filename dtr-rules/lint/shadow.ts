// Owns the check for rules and destinations that never decide, because rules above take all they stand for.

import type { Cell } from '../cover/box.ts';
import type { Claim, Claims } from '../cover/claims.ts';
import { type Share, sharesOf } from '../cover/covering.ts';
import { formatMoment } from '../moment.ts';
import type { Rule } from '../rule.ts';
import { type Finding, listed } from './finding.ts';

interface Shadow {
  readonly claim: Claim;
  readonly shares: readonly Share[];
  readonly by: readonly Claim[];
  readonly isWhole: boolean;
}

/** `decides`: whether a rule takes part at all; one that is over or only reports shadows nothing. */
export function lintShadows(claims: Claims, decides: (rule: Rule) => boolean): readonly Finding[] {
  const byRule = Map.groupBy(claims.all, ({ rule }) => rule);
  return [...byRule.entries()].flatMap(([rule, own]) => {
    const shadows = own.map((claim) => shadowOf(claim, claims, decides));
    const gone = shadows.filter(({ isWhole }) => isWhole);
    if (gone.length === own.length) return [ruleFinding(rule, gone)];
    return [
      ...gone.map((shadow) => destinationFinding(shadow)),
      ...shadows.filter(({ isWhole }) => !isWhole).flatMap(partlyFinding),
    ];
  });
}

function shadowOf(claim: Claim, claims: Claims, decides: (rule: Rule) => boolean): Shadow {
  const shares = sharesOf(
    claim,
    claims,
    (other) => other.ruleOrder < claim.ruleOrder && decides(other.rule),
  );
  const by = takersOf(shares).toSorted((a, b) => a.order - b.order);
  return {
    claim,
    shares,
    by,
    isWhole: shares.length > 0 && shares.every((share) => share.by !== null),
  };
}

function ruleFinding(rule: Rule, gone: readonly Shadow[]): Finding {
  const by = gone.flatMap((shadow) => shadow.by);
  return {
    check: 'never-matches',
    level: levelOf(rule, by),
    message: `rule \`${rule.id}\` never decides: ${takers(by)} above ${taking(by)} all it stands for${consequence(rule, by)}`,
    fix: fixOf(rule, by),
    path: rule.path,
  };
}

function destinationFinding({ claim, by }: Shadow): Finding {
  const { rule, destination } = claim;
  return {
    check: 'never-matches',
    level: levelOf(rule, by),
    message: `\`${destination.text}\` of rule \`${rule.id}\` never matches: ${takers(by)} above ${taking(by)} all of it${consequence(rule, by)}`,
    fix: fixOf(rule, by),
    path: placeOf(claim),
  };
}

/** Worth a word where whole ports, applications or times are gone: an exception above a wider rule is how rules are written. */
function partlyFinding({ claim, shares }: Shadow): readonly Finding[] {
  // `.example.com` is two sets of names: ports are gone where neither has them any more.
  const isLeft = ({ cell }: Share) =>
    shares.some((other) => other.by === null && overlap(other.cell, cell));
  const gone = shares.filter((share) => share.by !== null && !isLeft(share));
  const differs = takersOf(gone).filter((other) => !isSame(other.rule, claim.rule));
  if (differs.length === 0) return [];
  const { rule, destination } = claim;
  return [
    {
      check: 'partly-shadowed',
      level: 'hint',
      message: `\`${destination.text}\` of rule \`${rule.id}\` does not decide ${cellsText(gone, shares)}: ${takers(differs)} above ${taking(differs)} that`,
      fix: null,
      path: placeOf(claim),
    },
  ];
}

function overlap(a: Cell, b: Cell): boolean {
  const inPorts = a.first <= b.last && b.first <= a.last;
  return inPorts && a.app === b.app && a.fromMs < b.untilMs && b.fromMs < a.untilMs;
}

/** Times are said where they are not all that the rule is looked at for. */
function cellsText(gone: readonly Share[], all: readonly Share[]): string {
  const begin = Math.min(...all.map(({ cell }) => cell.fromMs));
  const end = Math.max(...all.map(({ cell }) => cell.untilMs));
  const texts = new Set(gone.map(({ cell }) => cellText(cell, { begin, end })));
  const [first = ''] = texts;
  return texts.size > 1 ? `${first} and ${texts.size - 1} more` : first;
}

function cellText(
  { first, last, app, fromMs, untilMs }: Cell,
  { begin, end }: { readonly begin: number; readonly end: number },
): string {
  const ports =
    first === 1 && last === 65_535
      ? 'any port'
      : first === last
        ? `port ${first}`
        : `ports ${first}-${last}`;
  const forApp = app === null ? '' : ` for \`${app}\``;
  const from = fromMs === begin ? '' : ` from ${formatMoment(fromMs)}`;
  const until = untilMs === end ? '' : ` until ${formatMoment(untilMs)}`;
  return `${ports}${forApp}${from}${until}`;
}

/** What is there to stop something and does not is an error; the rest is only in the way of the reader. */
function levelOf(rule: Rule, by: readonly Claim[]): Finding['level'] {
  return rule.action === 'BLOCK' && by.some((other) => other.rule.action !== 'BLOCK')
    ? 'error'
    : 'warning';
}

function takers(by: readonly Claim[]): string {
  const ids = by.map(({ rule }) => rule.id);
  const actions = new Set(by.map(({ rule }) => rule.action));
  return `${new Set(ids).size === 1 ? 'rule' : 'rules'} ${listed(ids)} (${[...actions].join(', ')})`;
}

function taking(by: readonly Claim[]): string {
  return new Set(by.map(({ rule }) => rule.id)).size === 1 ? 'takes' : 'take';
}

function consequence(rule: Rule, by: readonly Claim[]): string {
  const passing = by.find((other) => other.rule.action !== 'BLOCK');
  if (rule.action !== 'BLOCK' || passing === undefined) return '';
  const isAddressRule = rule.destinations.some(({ kind }) => kind === 'addresses');
  return isAddressRule && passing.destination.kind === 'any'
    ? '; a literal address passes, only names that lead there are stopped'
    : '; what it is there to stop passes';
}

function fixOf(rule: Rule, by: readonly Claim[]): string {
  const [first] = by;
  const isSuperfluous = by.every((other) => isSame(other.rule, rule));
  return isSuperfluous || first === undefined
    ? 'take it out: what stands above does the same'
    : `move it above \`${first.rule.id}\`, or take it out`;
}

function isSame(a: Rule, b: Rule): boolean {
  return a.action === b.action && a.upstream === b.upstream && a.egress === b.egress;
}

/** Who takes something of these. */
export function takersOf(shares: readonly Share[]): readonly Claim[] {
  return shares.flatMap((share) => share.by ?? []);
}

export function placeOf({ rule, destination }: Claim): readonly (string | number)[] {
  return [...rule.path, 'destinations', rule.destinations.indexOf(destination)];
}
