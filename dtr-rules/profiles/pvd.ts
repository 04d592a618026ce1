// Owns the provisioning domain (RFC 8801): the rules in their order, for clients that ask the gateway for them.

import { type AddressRange, compileAddressTable, parseAddressRange } from '../address.ts';
import { compileGlob } from '../glob.ts';
import { formatMoment } from '../moment.ts';
import type { PortRange, Target } from '../rule.ts';
import { blocksOf } from './blocks.ts';
import type { WaysIn } from './check.ts';
import { type Draft, remark, type Serving } from './draft.ts';
import type { Line, Plan } from './plan.ts';
import { type Endpoint, type FailMode, formatEndpoint, type Note, type Way } from './profile.ts';
import { parents, portsOf } from './relay-lists.ts';

export const pvdType = 'application/pvd+json';

/** Every key that is there has to match; a key that a client does not know voids the rule, so there are no others. */
interface PvdRule {
  readonly domains?: readonly string[];
  readonly subnets?: readonly string[];
  readonly ports?: readonly string[];
  /** None is past the gateway. */
  readonly proxies: readonly string[];
}

const gateway = 'gateway';
const dayMs = 86_400_000;

export function makePvd({ plan, facts, now }: Serving): Draft {
  const content = pvdText(plan, facts.gateway, now);
  return {
    files: [{ name: 'pvd.json', contentType: pvdType, content }],
    notes: [
      ...patternNotes(plan),
      ...(facts.failMode === 'open' ? [openNote(plan)] : []),
      remark('port 443', 'clients fetch it from there, whatever the port of the gateway is'),
    ],
    waysIn: waysInPvd(content, facts.failMode),
  };
}

/** The same text for the whole of a day, unless the rules change by themselves. */
export function pvdText(plan: Plan, endpoint: Endpoint, now: number): string {
  const expires = Math.min((Math.floor(now / dayMs) + 2) * dayMs, plan.changesAt ?? Infinity);
  return `${JSON.stringify({
    identifier: `${endpoint.host}.`,
    expires: formatMoment(expires),
    prefixes: [],
    proxies: [{ protocol: 'https-connect', proxy: formatEndpoint(endpoint), identifier: gateway }],
    'proxy-match': [...rulesOf(plan), { proxies: proxiesFor(plan.otherwise) }],
  })}\n`;
}

function proxiesFor(way: Way): readonly string[] {
  return way === 'direct' ? [] : [gateway];
}

/** What a rule names stands in one rule here, too, for each set of ports: within a rule the order does not matter. */
function rulesOf(plan: Plan): readonly PvdRule[] {
  const ports = portsOf(plan).toSorted((a, b) => a - b);
  return [...Map.groupBy(plan.lines, ({ rule }) => rule).values()].flatMap((lines) => [
    ...lines.flatMap((line) => apexRules(plan, line, ports)),
    ...[
      ...Map.groupBy(lines, ({ destination }) => portsText(destination.ports).join()).values(),
    ].flatMap(linesAsRules),
  ]);
}

/** `*.d` means `d` itself, too: where it should not, what `d` gets is said before. */
function apexRules(plan: Plan, line: Line, ports: readonly number[]): readonly PvdRule[] {
  const { destination } = line;
  if (destination.kind !== 'subdomains' || destination.apex) return [];
  const host = destination.suffix;
  const wayAt = (port: number): Way => plan.wayOf({ host, address: null, port });
  const starts: { readonly first: number; readonly way: Way }[] = [];
  for (const first of ports) {
    const way = wayAt(first);
    if (starts.at(-1)?.way !== way) starts.push({ first, way });
  }
  const spans = starts.map(({ first, way }, i) => ({
    first,
    last: (starts[i + 1]?.first ?? 65_536) - 1,
    way,
  }));
  const ways = [...Map.groupBy(spans, ({ way }) => way)];
  return ways.map(([way, some]) => ({
    domains: [host],
    ...(ways.length > 1 && { ports: portsText(some) }),
    proxies: proxiesFor(way),
  }));
}

/** The lines are of one rule and for the same ports: what the first says of these is true of all. */
function linesAsRules(lines: readonly Line[]): readonly PvdRule[] {
  const rest = lines.slice(0, 1).map(({ destination: { ports }, way }) => ({
    ...(ports !== null && { ports: portsText(ports) }),
    proxies: proxiesFor(way),
  }));
  const places = lines.map(({ destination }) => destination);
  if (places.some(({ kind }) => kind === 'any')) return rest;
  const domains = places.flatMap((one) => {
    if (one.kind === 'host') return [one.host];
    return one.kind === 'subdomains' ? [`*.${one.suffix}`] : [];
  });
  const subnets = places.flatMap((one) => (one.kind === 'addresses' ? blocksOf(one.range) : []));
  return rest.flatMap((one) => [
    ...(domains.length === 0 ? [] : [{ domains, ...one }]),
    ...(subnets.length === 0 ? [] : [{ subnets, ...one }]),
  ]);
}

function portsText(ports: readonly PortRange[] | null): readonly string[] {
  return (ports ?? []).map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
}

function patternNotes(plan: Plan): readonly Note[] {
  const meant = plan.lines.flatMap(({ rule, destination }) =>
    destination.kind === 'pattern' ? [{ rule, fits: compileGlob(destination.pattern) }] : [],
  );
  return [...Map.groupBy(meant, ({ rule }) => rule)].map(([rule, all]) => ({
    rule: rule.id,
    what: 'a `*` inside of a name',
    consequence: 'the names that fit go where the next rules send them',
    covers: ({ host, address }: Target) => address === null && all.some(({ fits }) => fits(host)),
  }));
}

function openNote(plan: Plan): Note {
  return {
    rule: null,
    what: 'what goes direct without the gateway, and what does not',
    consequence: 'that is up to the client, for all rules alike',
    covers: (target) => plan.wayOf(target) === 'gateway',
  };
}

/** As the document is to be read: the first rule of which everything matches. */
export function waysInPvd(content: string, failMode: FailMode): WaysIn {
  const { 'proxy-match': rules } = JSON.parse(content) as { 'proxy-match': readonly PvdRule[] };
  const read = rules.map((rule, index) => ({
    index,
    way: wayOf(rule, failMode),
    ports: rule.ports?.map(readPorts) ?? null,
    isForAll: rule.domains === undefined && rule.subnets === undefined,
  }));
  const byDomain = new Map<string, (typeof read)[number][]>();
  for (const one of read) {
    for (const domain of rules[one.index]?.domains ?? []) {
      const known = byDomain.get(domain);
      if (known === undefined) byDomain.set(domain, [one]);
      else known.push(one);
    }
  }
  const forAll = read.filter(({ isForAll }) => isForAll);
  const byAddress = compileAddressTable(
    read.flatMap((value) =>
      rangesOf(rules[value.index]?.subnets).map((range) => ({ range, value })),
    ),
  );
  return ({ host, address, port }) => {
    const named =
      address === null
        ? [host, ...parents(host).map((one) => `*.${one}`)].flatMap(
            (one) => byDomain.get(one) ?? [],
          )
        : byAddress.find(address);
    const [first] = [...named, ...forAll]
      .filter(
        ({ ports }) => ports?.some(({ first, last }) => first <= port && port <= last) ?? true,
      )
      .toSorted((a, b) => a.index - b.index);
    return [first?.way ?? null];
  };
}

function rangesOf(subnets: PvdRule['subnets'] = []): readonly AddressRange[] {
  return subnets.flatMap((text) => parseAddressRange(text) ?? []);
}

function wayOf({ proxies }: PvdRule, failMode: FailMode): Way {
  if (proxies.length === 0) return 'direct';
  return failMode === 'open' ? 'gateway-or-direct' : 'gateway';
}

function readPorts(text: string): PortRange {
  const [first = 0, last = first] = text.split('-').map(Number);
  return { first, last };
}
