// Owns finding, among the rules of one set that may decide or among those that only report, the first that fits.

import { type Address, type AddressTable, compileAddressTable, unmapped } from './address.ts';
import { type Asked, type Candidate, earlier, firstOf, fits, settles } from './candidate.ts';
import { compileNameTable, type NameTable } from './name-table.ts';
import type { Application, Target } from './rule.ts';

export interface Found {
  readonly candidate: Candidate;
  /** Where an address rule matched a host name: only these may be dialled. */
  readonly addresses: readonly Address[] | null;
}

export interface Finder {
  /** Null when nothing fits; `unresolved` when an address rule is reached and nobody has resolved the name. */
  find(target: Target, addresses: readonly Address[], asked: Asked): Found | null;
  find(
    target: Target,
    addresses: readonly Address[] | null,
    asked: Asked,
  ): Found | 'unresolved' | null;
}

/** Rules of one application, or of all: which, is settled before anything is looked up. */
interface Tables {
  readonly names: NameTable;
  readonly anything: readonly Candidate[];
  readonly addressRules: AddressTable<Candidate>;
  /** Where the rules that hold addresses begin; for each kind of ports and dates, the first. */
  readonly firstAddressRules: readonly Candidate[];
}

export function compileFinder(candidates: readonly Candidate[]): Finder {
  const tablesFor = compileByApp(candidates, compileTables);

  function find(target: Target, addresses: readonly Address[], asked: Asked): Found | null;
  function find(
    target: Target,
    addresses: readonly Address[] | null,
    asked: Asked,
  ): Found | 'unresolved' | null;
  function find(target: Target, addresses: readonly Address[] | null, asked: Asked) {
    const tables = tablesFor(asked.apps);
    const first = (of: (one: Tables) => Candidate | null) =>
      tables.reduce<Candidate | null>((best, one) => earlier(best, of(one)), null);
    const rulesFor = (address: Address) =>
      tables.flatMap(({ addressRules }) =>
        addressRules.find(unmapped(address)).filter((candidate) => fits(candidate, asked)),
      );
    const byAny = first(({ anything }) => firstOf(anything, asked));
    if (target.address !== null) {
      return found(rulesFor(target.address).reduce<Candidate | null>(earlier, byAny));
    }
    const byName = earlier(
      byAny,
      first(({ names }) => names.first(target.host, asked)),
    );
    if (addresses === null) {
      const waits = first(({ firstAddressRules }) => firstOf(firstAddressRules, asked));
      return precedes(waits, byName) ? 'unresolved' : found(byName);
    }
    const each = addresses.map((address) => ({ address, rules: rulesFor(address) }));
    const byAddress = each.flatMap(({ rules }) => rules).reduce<Candidate | null>(earlier, null);
    if (byAddress === null || !precedes(byAddress, byName)) return found(byName);
    const only = each.filter(({ rules }) => rules.some(({ rule }) => rule === byAddress.rule));
    return found(
      byAddress,
      only.map(({ address }) => address),
    );
  }
  return { find };
}

/** Finds the first rule with an address destination that holds an address. */
export function compileHolder(
  candidates: readonly Candidate[],
): (address: Address, asked: Asked) => Candidate | null {
  const tablesFor = compileByApp(candidates, compileAddresses);
  return (address, asked) =>
    tablesFor(asked.apps)
      .flatMap((table) => table.find(unmapped(address)).find((one) => fits(one, asked)) ?? [])
      .reduce<Candidate | null>(earlier, null);
}

/** What holds for every application, and for each one by itself. */
function compileByApp<T>(
  candidates: readonly Candidate[],
  compile: (candidates: readonly Candidate[]) => T,
): (apps: ReadonlySet<Application>) => readonly T[] {
  const lists = new Map<Application, Candidate[]>();
  for (const candidate of candidates) {
    for (const app of candidate.rule.apps ?? []) {
      const list = lists.get(app);
      if (list === undefined) lists.set(app, [candidate]);
      else list.push(candidate);
    }
  }
  const forAll = [compile(candidates.filter(({ rule }) => rule.apps === null))];
  const byApp = new Map([...lists].map(([app, list]) => [app, compile(list)]));
  if (byApp.size === 0) return () => forAll;
  return (apps) => [...forAll, ...[...apps].flatMap((app) => byApp.get(app) ?? [])];
}

function compileTables(candidates: readonly Candidate[]): Tables {
  const held = candidates.filter(({ destination }) => destination.kind === 'addresses');
  return {
    names: compileNameTable(candidates),
    anything: reachable(candidates.filter(({ destination }) => destination.kind === 'any')),
    addressRules: compileAddresses(held),
    firstAddressRules: firstPerKind(held),
  };
}

function compileAddresses(candidates: readonly Candidate[]): AddressTable<Candidate> {
  const entries = candidates.flatMap((value) =>
    value.destination.kind === 'addresses' ? [{ range: value.destination.range, value }] : [],
  );
  return compileAddressTable(entries, settles);
}

/** Within one rule the name decides: a rule that names the host does not depend on where it resolves to. */
function precedes(byAddress: Candidate | null, byName: Candidate | null): boolean {
  return byAddress !== null && (byName === null || byAddress.ruleOrder < byName.ruleOrder);
}

function found(
  candidate: Candidate | null,
  addresses: readonly Address[] | null = null,
): Found | null {
  return candidate === null ? null : { candidate, addresses };
}

function reachable(candidates: readonly Candidate[]): readonly Candidate[] {
  const last = candidates.findIndex(settles);
  return last === -1 ? candidates : candidates.slice(0, last + 1);
}

/** Of many candidates that ask the same only the first can ever be the first that fits. */
function firstPerKind(candidates: readonly Candidate[]): readonly Candidate[] {
  const first = new Map<string, Candidate>();
  for (const candidate of reachable(candidates)) {
    const { validFromMs, validUntilMs } = candidate.rule;
    const kind = JSON.stringify([candidate.destination.ports, validFromMs, validUntilMs]);
    if (!first.has(kind)) first.set(kind, candidate);
  }
  return [...first.values()];
}
