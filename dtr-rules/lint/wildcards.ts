// Owns the checks of single wildcards: those that take names of strangers, and say so with one of these names.

import type { Claim } from '../cover/claims.ts';
import { canonicalHostname } from '../hostname.ts';
import type { Action } from '../rule.ts';
import type { Finding, LintFacts } from './finding.ts';
import { placeOf } from './shadow.ts';

/** BLOCK may be as wide as it likes. */
export function lintWildcards(claim: Claim, { sharedBy }: LintFacts): readonly Finding[] {
  const { rule, destination } = claim;
  const { action } = rule;
  if (action === 'BLOCK') return [];
  const found = destination.kind === 'subdomains' ? shared(destination.suffix, sharedBy) : null;
  const wide =
    found ?? (destination.kind === 'pattern' ? lintPattern(destination.pattern, sharedBy) : null);
  if (wide === null) return [];
  const { check, says, fix } = wide;
  const message = `\`${destination.text}\` of rule \`${rule.id}\` ${says}; ${harms[action]}`;
  return [{ check, level: 'warning', message, fix, path: placeOf(claim) }];
}

const harms: Readonly<Record<Exclude<Action, 'BLOCK'>, string>> = {
  TUNNEL: 'a tunnel lends it a zone address',
  PROXY: 'it is handed to the proxy',
  BYPASS: 'BYPASS sends it past the gateway',
};

interface Wide {
  readonly check: string;
  readonly says: string;
  readonly fix: string | null;
}

function shared(suffix: string, sharedBy: LintFacts['sharedBy']): Wide | null {
  const kind = sharedBy(suffix);
  if (kind === null) return null;
  const says =
    kind === 'registry'
      ? `takes every name that anybody registers below \`${suffix}\`, for example \`evil.${suffix}\``
      : `takes every customer of a shared host, for example \`evil.${suffix}\``;
  const check = kind === 'registry' ? 'public-suffix' : 'shared-hosting';
  return { check, says, fix: `name your own: \`.example.${suffix}\`` };
}

/** What follows the last star is all a stranger has to end his name in. */
function lintPattern(pattern: string, sharedBy: LintFacts['sharedBy']): Wide | null {
  const tail = pattern.slice(pattern.lastIndexOf('*') + 1);
  if (tail === '' || tail === '.') {
    const example = exampleOf(pattern, '.evil.example');
    const says = `ends in a star, so that anybody can register a name it takes, for example \`${example}\``;
    return { check: 'open-ended', says, fix: 'end it in a domain that is yours' };
  }
  if (tail.startsWith('.')) {
    const wide = shared(tail.slice(1), sharedBy);
    const example = exampleOf(pattern, `evil${tail}`);
    return wide && { ...wide, says: `takes names of strangers, for example \`${example}\`` };
  }
  if (!tail.includes('.')) {
    const which = pattern === `*${tail}` ? 'every name that ends' : 'names of strangers that end';
    const says = `takes ${which} in \`${tail}\`, for example \`${exampleOf(pattern, `evil.${tail}`)}\``;
    return sharedBy(tail) === null
      ? null
      : { check: 'public-suffix', says, fix: 'name your own domain' };
  }
  const says = `also takes \`${exampleOf(pattern, `evil${tail}`)}\`: there is no dot after the star`;
  return { check: 'no-dot-wildcard', says, fix: dottedForm(pattern, tail) };
}

/** A name the pattern takes: this instead of its last star and what follows, and as little as can be for the others. */
function exampleOf(pattern: string, end: string): string {
  const head = pattern.slice(0, pattern.lastIndexOf('*'));
  const filledWith = (filling: string) =>
    `${head.replaceAll('*', filling)}${end}`.replaceAll('..', '.');
  // `*.*.com` needs something before its first dot.
  return filledWith(canonicalHostname(filledWith('')) === null ? 'x' : '');
}

function dottedForm(pattern: string, tail: string): string {
  // No label begins with a hyphen: the rest of the label is meant to differ.
  if (/^[-_]/.test(tail)) return 'write out the names that are meant';
  return pattern === `*${tail}`
    ? `write \`.${tail}\` for the name itself and everything below it`
    : 'put a dot after the star';
}
