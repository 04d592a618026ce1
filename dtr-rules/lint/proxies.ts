// Owns the check for PROXY rules that want the same names through different proxies.

import { cellsOf, covers } from '../cover/box.ts';
import type { Claim, Claims } from '../cover/claims.ts';
import { contains } from '../cover/covering.ts';
import { findName } from '../cover/names.ts';
import type { Finding } from './finding.ts';
import { placeOf } from './shadow.ts';

/** An exception above a wider rule is meant; two that cross, or a wider one first, rarely are. */
export function lintProxies(claims: Claims): readonly Finding[] {
  const proxied = claims.all.filter(({ rule }) => rule.action === 'PROXY');
  if (new Set(proxied.map(({ rule }) => rule.upstream)).size < 2) return [];
  return proxied.flatMap((claim) => {
    const others = claim.globs.flatMap((glob) =>
      glob.includes('*') ? claims.near(glob) : claims.naming(glob),
    );
    const rivals = new Set(others.filter((other) => isRival(other, claim)));
    return [...rivals].flatMap((other) => crossing(other, claim));
  });
}

function isRival(other: Claim, claim: Claim): boolean {
  return (
    other.ruleOrder < claim.ruleOrder &&
    other.rule.action === 'PROXY' &&
    other.rule.upstream !== claim.rule.upstream &&
    cellsOf(claim.box, [other.box]).some((cell) => covers(other.box, cell))
  );
}

function crossing(first: Claim, second: Claim): readonly Finding[] {
  const isInside = (inner: Claim, outer: Claim) =>
    inner.globs.every((glob) => outer.globs.some((other) => contains(other, glob)));
  if (isInside(first, second) || isInside(second, first)) return [];
  const names = first.globs.flatMap((one) =>
    second.globs.map((other) =>
      findName({ within: [one, other], without: [], isTaken: () => false }),
    ),
  );
  const name = names.find((found) => found.kind === 'name');
  if (name === undefined) return [];
  return [
    {
      check: 'proxy-overlap',
      level: 'warning',
      message: `\`${second.destination.text}\` of rule \`${second.rule.id}\` and \`${first.destination.text}\` of rule \`${first.rule.id}\` want different proxies for the same names: \`${name.name}\` goes to \`${first.rule.upstream}\``,
      fix: 'name the common part in a rule of its own above both',
      path: placeOf(second),
    },
  ];
}
