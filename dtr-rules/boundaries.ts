// Owns the boundaries of rule sets: the names, addresses and ports at which what a destination stands for begins and ends.
// The self-check of profiles asks there, and the list a NO_PROXY variable is written from; lint and diff have `cover/`.

import { type Address, type AddressRange, formatAddress } from './address.ts';
import { canonicalHostname } from './hostname.ts';
import { walkNames } from './name-walk.ts';
import type { Destination, PortRange, RuleSet, Target } from './rule.ts';

/** Any name with any port behaves, for these rule sets, as one of `names` with one of `ports` does; addresses the same. */
export interface Samples {
  readonly names: readonly string[];
  readonly addresses: readonly Address[];
  readonly ports: readonly number[];
  /** False when the patterns overlap in too many ways to try all: then a combination of them may have no name here. */
  readonly isComplete: boolean;
}

/** Everything at which the rule sets may differ, from themselves or from each other. */
export function samplesOf(sets: readonly RuleSet[]): Samples {
  const destinations = destinationsOf(sets);
  // Without patterns names can only lie inside each other, and the neighbours are all there is.
  const hasPatterns = destinations.some(({ kind }) => kind === 'pattern');
  const walked = hasPatterns
    ? walkNames([...new Set(destinations.flatMap(globsOf))])
    : { names: [], isComplete: true };
  const fresh = freshLabel(destinations);
  const near = destinations.flatMap((destination) => namesAround(destination, fresh));
  return {
    names: [...new Set([...near, `${fresh}.test`, fresh, ...walked.names])],
    addresses: [...addressesAround(destinations)],
    ports: [...portsAround(destinations.flatMap(({ ports }) => ports ?? []))],
    isComplete: walked.isComplete,
  };
}

/** For each destination the targets around it, and some that belong to none; linear in the number of destinations. */
export function* targetsAround(sets: readonly RuleSet[]): Generator<Target> {
  const destinations = destinationsOf(sets);
  const fresh = freshLabel(destinations);
  for (const port of portsAround([])) yield { host: `${fresh}.test`, address: null, port };
  for (const address of addressesAround([])) yield { host: address.text, address, port: 443 };
  for (const destination of destinations) {
    const ports = [...portsAround(destination.ports ?? [])];
    const names = destination.kind === 'any' ? [`${fresh}.test`] : namesAround(destination, fresh);
    const isAboutAddresses = destination.kind === 'any' || destination.kind === 'addresses';
    const addresses = isAboutAddresses ? [...addressesAround([destination])] : [];
    for (const port of ports) {
      for (const host of names) yield { host, address: null, port };
      for (const address of addresses) yield { host: address.text, address, port };
    }
  }
}

function destinationsOf(sets: readonly RuleSet[]): readonly Destination[] {
  const all = sets.flatMap(({ rules }) => rules.flatMap((rule) => rule.destinations));
  return [...new Map(all.map((one) => [one.text, one])).values()];
}

function globsOf(destination: Destination): readonly string[] {
  switch (destination.kind) {
    case 'host':
      return [destination.host];
    case 'subdomains': {
      const below = `*.${destination.suffix}`;
      return destination.apex ? [destination.suffix, below] : [below];
    }
    case 'pattern':
      return [destination.pattern];
    case 'any':
    case 'addresses':
      return [];
  }
}

/** A label that no destination begins or ends with, so that a name made with it is nobody else's. */
function freshLabel(destinations: readonly Destination[]): string {
  const texts = destinations.map(({ text }) => text.toLowerCase());
  let label = 'x';
  while (texts.some((text) => text.includes(label))) label += 'x';
  return label;
}

/** What the destination names and its neighbours: above, below, and with other letters grown on. */
function namesAround(destination: Destination, fresh: string): readonly string[] {
  switch (destination.kind) {
    case 'host':
      return validNames(neighbours(destination.host, fresh));
    case 'subdomains':
      return validNames([
        ...neighbours(destination.suffix, fresh),
        `${fresh}.${fresh}.${destination.suffix}`,
      ]);
    case 'pattern':
      return validNames(
        ['', fresh, `${fresh}.${fresh}`]
          .map((filling) => destination.pattern.replaceAll('*', filling))
          .flatMap((name) => [name, `${fresh}${name}`, `${name}${fresh}`]),
      );
    case 'any':
    case 'addresses':
      return [];
  }
}

function neighbours(name: string, fresh: string): readonly string[] {
  const above = name.slice(name.indexOf('.') + 1);
  return [name, `${fresh}.${name}`, `${fresh}${name}`, `${name}${fresh}`, above];
}

function validNames(names: readonly string[]): readonly string[] {
  return [...new Set(names)].filter((name) => canonicalHostname(name) === name);
}

/** Both ends of every range and what lies just outside; and the first address of each family, so that none is left out. */
function* addressesAround(destinations: readonly Destination[]): Generator<Address> {
  const ranges = destinations.flatMap((one) => (one.kind === 'addresses' ? [one.range] : []));
  const seen = new Set<string>();
  for (const { family, value } of [zero4, zero6, ...ranges.flatMap(endsOf)]) {
    const text = formatAddress(family, value);
    if (seen.has(text)) continue;
    seen.add(text);
    yield { family, value, text };
  }
}

const zero4 = { family: 4, value: 0n } as const;
const zero6 = { family: 6, value: 0n } as const;

function endsOf({ family, first, last }: AddressRange) {
  const highest = family === 4 ? (1n << 32n) - 1n : (1n << 128n) - 1n;
  return [first - 1n, first, last, last + 1n]
    .filter((value) => value >= 0n && value <= highest)
    .map((value) => ({ family, value }));
}

export function portsAround(ranges: readonly PortRange[]): ReadonlySet<number> {
  const ends = ranges.flatMap(({ first, last }) => [first - 1, first, last, last + 1]);
  return new Set([1, 80, 443, ...ends].filter((port) => port >= 1 && port <= 65_535));
}
