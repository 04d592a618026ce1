// Owns the match lists of an Apple relay: which names go to it, without any order; and reading such lists.

import { portsAround } from '../boundaries.ts';
import type { Target } from '../rule.ts';
import type { Plan } from './plan.ts';

/** A domain is a name and everything below it, an FQDN the name alone. What is excluded wins over what matches;
 *  with nothing in both match lists everything matches. */
export interface RelayLists {
  readonly matchDomains: readonly string[];
  readonly matchNames: readonly string[];
  readonly excludedDomains: readonly string[];
  readonly excludedNames: readonly string[];
}

export interface CompiledLists extends RelayLists {
  /** Goes to the gateway with the names below it, which alone belong there. */
  readonly widened: ReadonlySet<string>;
  /** Below these more goes to the gateway than belongs there: excluding it would exclude what does belong. */
  readonly kept: ReadonlySet<string>;
}

/** Matches no name there is (RFC 2606): empty lists would mean everything, to systems that do not know of FQDNs too. */
export const nothing = 'zonegate.invalid';

/** What goes direct must be wholly direct, on all ports: the gateway can refuse what it gets, and nothing else. */
export function relayLists(plan: Plan): CompiledLists {
  const ports = portsOf(plan);
  const isTunnelled = (host: string): boolean =>
    ports.some((port) => plan.wayOf({ host, address: null, port }) !== 'direct');
  const lists = {
    matchDomains: [] as string[],
    matchNames: [] as string[],
    excludedDomains: [] as string[],
    excludedNames: [] as string[],
    widened: new Set<string>(),
    kept: new Set<string>(),
  };
  const root = treeOf(plan, isTunnelled);
  if (root.below) exclude(root, lists);
  else match(root, lists);
  if (!root.below && lists.matchDomains.length === 0) lists.matchDomains.push(nothing);
  return lists;
}

/** Whether a system with these lists sends a name to the relay. */
export function readRelayLists(lists: RelayLists): (host: string) => boolean {
  const [domains, names, outDomains, outNames] = [
    lists.matchDomains,
    lists.matchNames,
    lists.excludedDomains,
    lists.excludedNames,
  ].map((list) => new Set(list)) as [Set<string>, Set<string>, Set<string>, Set<string>];
  return (host) => {
    const above = parents(host).slice(1);
    const isIn = (set: ReadonlySet<string>) =>
      set.has(host) || above.some((domain) => set.has(domain));
    if (isIn(outDomains)) return false;
    // An excluded name that is below none of the domains has no effect.
    const hasEffect = domains.size === 0 || above.some((domain) => domains.has(domain));
    if (hasEffect && outNames.has(host)) return false;
    return (domains.size === 0 && names.size === 0) || isIn(domains) || names.has(host);
  };
}

/** The ports at which the ways may change. */
export function portsOf({ lines }: Pick<Plan, 'lines'>): readonly number[] {
  return [...portsAround(lines.flatMap(({ destination }) => destination.ports ?? []))];
}

/** The name itself first. */
export function parents(name: string): readonly string[] {
  const labels = name.split('.');
  return labels.map((_, index) => labels.slice(index).join('.'));
}

export function isBelow(host: string, domain: string): boolean {
  return domain === '' || host.endsWith(`.${domain}`);
}

/** A name of the rules; the root is the empty one. */
interface Node {
  readonly name: string;
  /** Whether the name itself is tunnelled, and whether those below it are that no node names. */
  readonly exact: boolean;
  readonly below: boolean;
  readonly children: Node[];
  /** Something at or below it is tunnelled. */
  hasTunnelled: boolean;
}

function treeOf(plan: Plan, isTunnelled: (host: string) => boolean): Node {
  const names = new Set(plan.lines.flatMap(({ destination: one }) => namesOf(one)));
  const fresh = freshLabel(names, plan);
  const root = nodeOf('', isTunnelled(`${fresh}.${fresh}`), isTunnelled(`${fresh}.${fresh}`));
  const nodes = new Map([['', root]]);
  // A domain comes before what is below it.
  const sorted = [...names].sort((a, b) => a.split('.').length - b.split('.').length);
  for (const name of sorted) {
    // A name of 253 characters has nothing below it.
    const inner = `${fresh}.${name}`;
    const node = nodeOf(name, isTunnelled(name), inner.length <= 253 && isTunnelled(inner));
    nodes.set(name, node);
    const above =
      parents(name)
        .slice(1)
        .find((one) => nodes.has(one)) ?? '';
    nodes.get(above)?.children.push(node);
  }
  for (const name of [...sorted.reverse(), '']) {
    const node = nodes.get(name);
    if (node?.children.some((child) => child.hasTunnelled)) node.hasTunnelled = true;
  }
  return root;
}

function nodeOf(name: string, exact: boolean, below: boolean): Node {
  return { name, exact, below, children: [], hasTunnelled: exact || below };
}

function namesOf(destination: Plan['lines'][number]['destination']): readonly string[] {
  switch (destination.kind) {
    case 'host':
      return [destination.host];
    case 'subdomains':
      return [destination.suffix];
    case 'any':
    case 'pattern':
    case 'addresses':
      return [];
  }
}

/** In none of the names and patterns, so that what is made with it stands for all that nobody names. */
function freshLabel(names: ReadonlySet<string>, { lines }: Plan): string {
  const texts = [...names, ...lines.map(({ destination }) => destination.text.toLowerCase())];
  let label = 'x';
  while (texts.some((text) => text.includes(label))) label += 'x';
  return label;
}

type Lists = { -readonly [K in keyof RelayLists]: string[] } & {
  readonly widened: Set<string>;
  readonly kept: Set<string>;
};

/** Inside of what does not match: adds what is tunnelled. */
function match(node: Node, lists: Lists): void {
  for (const child of node.children) {
    if (child.below) {
      lists.matchDomains.push(child.name);
      if (!child.exact) lists.widened.add(child.name);
      exclude(child, lists);
    } else {
      if (child.exact) lists.matchNames.push(child.name);
      match(child, lists);
    }
  }
}

/** Inside of what matches: takes out what goes direct, as far as nothing tunnelled goes with it. */
function exclude(node: Node, lists: Lists): void {
  for (const child of node.children) {
    if (!child.hasTunnelled) {
      lists.excludedDomains.push(child.name);
      continue;
    }
    if (!child.exact) lists.excludedNames.push(child.name);
    if (!child.below) lists.kept.add(child.name);
    exclude(child, lists);
  }
}

/** Whether the way to a target depends on its port alone. */
export function isSplitByPort(plan: Plan, ports: readonly number[], target: Target): boolean {
  const ways = ports.map((port) => plan.wayOf({ ...target, port }));
  return ways.some((way) => way !== ways[0]);
}
