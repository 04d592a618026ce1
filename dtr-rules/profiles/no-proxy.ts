// Owns what can be excepted from a proxy by a list of domains and blocks (`NO_PROXY`), and reading such a list.

import { type AddressRange, inRange, parseAddressRange } from '../address.ts';
import { samplesOf } from '../boundaries.ts';
import type { Rule, RuleSet, Target } from '../rule.ts';
import type { Line, Plan } from './plan.ts';
import type { Note } from './profile.ts';

/** An entry means a name and everything below it: so read it curl and Go, and no program reads it wider. It can have
 *  neither ports nor exceptions, so a domain is listed only when all of it goes direct. */
export function noProxyEntries(set: RuleSet, plan: Plan): readonly string[] {
  const samples = samplesOf([set]);
  const goesDirect = (host: string, address: Target['address']) =>
    samples.ports.every((port) => plan.wayOf({ host, address, port }) === 'direct');
  const above = new Set<string>();
  for (const name of samples.names) if (!goesDirect(name, null)) addParents(name, above);
  const tunnelled = samples.addresses.filter((one) => !goesDirect(one.text, one));
  const direct = plan.lines.filter(({ way }) => way === 'direct');
  const domains = direct.flatMap((line) => domainOf(line) ?? []).filter((one) => !above.has(one));
  const blocks = direct
    .flatMap((line) => blockOf(line) ?? [])
    .filter((range) => !tunnelled.some((address) => inRange(address, range)));
  return [
    // Where the patterns overlap in too many ways to look at all, none of what they may touch is excepted.
    ...(samples.isComplete ? withoutInner(new Set(domains)) : []),
    ...new Set(blocks.map(({ text }) => text)),
  ];
}

/** As curl reads it; the port makes no difference. */
export function readNoProxy(entries: readonly string[]): (target: Target) => boolean {
  const domains = new Set(entries);
  const blocks = entries.flatMap((text) => parseAddressRange(text) ?? []);
  return ({ host, address }) =>
    address === null
      ? parents(host).some((name) => domains.has(name))
      : blocks.some((range) => inRange(address, range));
}

/** What the list leaves to the gateway although it should go direct: the safe side, for the gateway refuses it. */
export function noProxyNotes(plan: Plan, entries: readonly string[]): readonly Note[] {
  const listed = new Set(entries);
  const consequence = 'it goes to the gateway, which refuses it and says so';
  const covers = (target: Target) => plan.wayOf(target) === 'direct';
  const isListed = (line: Line) =>
    line.destination.ports === null &&
    (listed.has(blockOf(line)?.text ?? '') ||
      parents(domainOf(line) ?? '').some((name) => listed.has(name)));
  const left = new Set<Rule>();
  for (const line of plan.lines) if (line.way === 'direct' && !isListed(line)) left.add(line.rule);
  const what = 'what is direct and not a whole domain or block with all its ports';
  return [
    ...Array.from(left, ({ id }) => ({ rule: id, what, consequence, covers })),
    ...(plan.otherwise === 'direct'
      ? [{ rule: null, what: 'that what is not named goes direct', consequence, covers }]
      : []),
  ];
}

function domainOf({ destination }: Line): string | null {
  if (destination.kind === 'host') return destination.host;
  return destination.kind === 'subdomains' ? destination.suffix : null;
}

function blockOf({ destination }: Line): AddressRange | null {
  // A span of addresses is no block.
  if (destination.kind !== 'addresses' || destination.range.text.includes('-')) return null;
  return destination.range;
}

function withoutInner(domains: ReadonlySet<string>): readonly string[] {
  return [...domains].filter(
    (one) =>
      !parents(one)
        .slice(1)
        .some((name) => domains.has(name)),
  );
}

/** The name itself first. */
function parents(name: string): readonly string[] {
  const labels = name.split('.');
  return labels.map((_, index) => labels.slice(index).join('.'));
}

function addParents(name: string, all: Set<string>): void {
  for (const one of parents(name)) all.add(one);
}
