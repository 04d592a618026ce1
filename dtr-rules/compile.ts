// Owns the compiled form of a rule file: made once, asked for every connection, first match wins.

import { type Address, compileAddressTable, unmapped } from './address.ts';
import { type Candidate, candidatesOf, earlier, firstFor, fitsPort } from './candidate.ts';
import { compileNameTable } from './name-table.ts';
import type {
  Action,
  Assignment,
  Destination,
  Posture,
  Rule,
  RuleFile,
  RuleSet,
  Target,
} from './rule.ts';

/** Who asks, as far as assigning a rule set goes. */
export interface Asker {
  readonly posture: Posture;
  readonly platform: string | null;
  readonly groups: readonly string[];
}

export type Match =
  | {
      readonly kind: 'rule';
      readonly rule: Rule;
      readonly matched: Destination;
      /** Where an address rule matched a host name: only these may be dialled. */
      readonly addresses: readonly Address[] | null;
    }
  | { readonly kind: 'default'; readonly action: Action }
  /** An address rule is reached and nobody has resolved the name: ask again with its addresses. */
  | { readonly kind: 'unresolved' };

export interface CompiledSet {
  readonly set: RuleSet;
  match(target: Target, addresses: readonly Address[] | null): Match;
  /** The first BLOCK rule with an address destination that holds the address, wherever it stands: a rule that
   *  matched by name must not lead to a blocked address (threats D08). */
  blockedAddress(address: Address, port: number): Rule | null;
}

export interface CompiledRules {
  readonly sets: readonly CompiledSet[];
  /** The first set whose assignment fits; null is no set, and nothing may pass. */
  assign(asker: Asker): CompiledSet | null;
}

export function compileRules(file: RuleFile): CompiledRules {
  const sets = file.sets.map(compileSet);
  return { sets, assign: (asker) => sets.find(({ set }) => fits(set.assign, asker)) ?? null };
}

function fits(assign: Assignment, { posture, platform, groups }: Asker): boolean {
  if (!assign.posture.includes(posture)) return false;
  if (assign.platforms !== null && (platform === null || !assign.platforms.includes(platform)))
    return false;
  return assign.groups === null || assign.groups.some((group) => groups.includes(group));
}

function compileSet(set: RuleSet): CompiledSet {
  const candidates = candidatesOf(set);
  const held = withAddresses(candidates);
  const names = compileNameTable(candidates);
  const anything = candidates.filter(({ destination }) => destination.kind === 'any');
  const addressRules = compileAddressTable(held);
  const blocked = compileAddressTable(held.filter(({ value }) => value.rule.action === 'BLOCK'));
  const firstAddressRules = firstPerPorts(held.map(({ value }) => value));
  const addressRulesFor = (address: Address) => addressRules.find(unmapped(address));

  return {
    set,
    match(target, addresses) {
      const { port } = target;
      if (target.address !== null) {
        const byAddress = firstFor(port, addressRulesFor(target.address));
        return outcome(set, earlier(firstFor(port, anything), byAddress));
      }
      const byName = earlier(firstFor(port, anything), names.first(target.host, port));
      if (addresses === null) {
        const waits = precedes(firstFor(port, firstAddressRules), byName);
        return waits ? { kind: 'unresolved' } : outcome(set, byName);
      }
      const found = addresses.map((address) => ({
        address,
        rules: addressRulesFor(address).filter((candidate) => fitsPort(candidate, port)),
      }));
      const byAddress = found.reduce<Candidate | null>(
        (best, { rules }) => earlier(best, rules[0] ?? null),
        null,
      );
      if (byAddress === null || !precedes(byAddress, byName)) return outcome(set, byName);
      const only = found.filter(({ rules }) => rules.some(({ rule }) => rule === byAddress.rule));
      return outcome(
        set,
        byAddress,
        only.map(({ address }) => address),
      );
    },
    blockedAddress(address, port) {
      return firstFor(port, blocked.find(unmapped(address)))?.rule ?? null;
    },
  };
}

/** Within one rule the name decides: a rule that names the host does not depend on where it resolves to. */
function precedes(byAddress: Candidate | null, byName: Candidate | null): boolean {
  return byAddress !== null && (byName === null || byAddress.ruleOrder < byName.ruleOrder);
}

function outcome(
  set: RuleSet,
  candidate: Candidate | null,
  addresses: readonly Address[] | null = null,
): Match {
  if (candidate === null) return { kind: 'default', action: set.defaultAction };
  return { kind: 'rule', rule: candidate.rule, matched: candidate.destination, addresses };
}

function withAddresses(candidates: readonly Candidate[]) {
  return candidates.flatMap((value) =>
    value.destination.kind === 'addresses' ? [{ range: value.destination.range, value }] : [],
  );
}

/** Of many candidates with the same ports only the first can ever be the first that fits a port. */
function firstPerPorts(candidates: readonly Candidate[]): readonly Candidate[] {
  const first = new Map<string, Candidate>();
  for (const candidate of candidates) {
    const ports = JSON.stringify(candidate.destination.ports);
    if (!first.has(ports)) first.set(ports, candidate);
  }
  return [...first.values()];
}
