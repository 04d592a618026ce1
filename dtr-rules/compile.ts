// Owns the compiled form of a rule file: made once, asked for every connection, first match wins.

import type { Address } from './address.ts';
import { compileAppTable } from './app-table.ts';
import { type Asked, type Candidate, candidatesOf } from './candidate.ts';
import { compileFinder, compileHolder, type Found } from './finder.ts';
import type {
  Action,
  Application,
  Assignment,
  Circumstances,
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
  readonly tags: readonly string[];
}

/** `reported`: report-only rules that would have decided instead, and those whose addresses would have been taken out. */
export type Match =
  | {
      readonly kind: 'rule';
      readonly rule: Rule;
      readonly matched: Destination;
      /** Where an address rule matched a host name: only these may be dialled. */
      readonly addresses: readonly Address[] | null;
      readonly reported: readonly Rule[];
    }
  | { readonly kind: 'default'; readonly action: Action; readonly reported: readonly Rule[] }
  /** An address rule is reached and nobody has resolved the name: ask again with its addresses. */
  | { readonly kind: 'unresolved' };

export interface CompiledSet {
  readonly set: RuleSet;
  /** Whether a report-only rule has address destinations: with the addresses of a name it may say more. */
  readonly reportsAddresses: boolean;
  match(target: Target, addresses: readonly Address[] | null, given: Circumstances): Match;
  /** What a match reports, once the addresses are known. */
  reported(target: Target, addresses: readonly Address[], given: Circumstances): readonly Rule[];
  /** The first BLOCK rule with an address destination that holds the address, wherever it stands: a rule that
   *  matched by name must not lead to a blocked address (threats D08). */
  blockedAddress(address: Address, port: number, given: Circumstances): Rule | null;
}

export interface CompiledRules {
  readonly sets: readonly CompiledSet[];
  /** The first set whose assignment fits; null is no set, and nothing may pass. */
  assign(asker: Asker): CompiledSet | null;
  /** The next moment at which a rule begins or ends; null when none will. */
  nextChange(now: number): number | null;
}

type AppsOf = (app: string | null) => ReadonlySet<Application>;

/** Log lines stay short, whatever a file holds. */
const maxReported = 10;

export function compileRules(file: RuleFile): CompiledRules {
  const appsOf = compileAppTable(file.applications);
  const sets = file.sets.map((set) => compileSet(set, appsOf));
  const changes = file.sets.flatMap(({ rules }) =>
    rules.flatMap(({ validFromMs, validUntilMs }) =>
      [validFromMs ?? [], validUntilMs ?? []].flat(),
    ),
  );
  changes.sort((a, b) => a - b);
  return {
    sets,
    assign: (asker) => sets.find(({ set }) => fits(set.assign, asker)) ?? null,
    nextChange: (now) => changes.find((ms) => ms > now) ?? null,
  };
}

function fits(assign: Assignment, { posture, platform, groups, tags }: Asker): boolean {
  if (!assign.posture.includes(posture)) return false;
  if (assign.platforms !== null && (platform === null || !assign.platforms.includes(platform)))
    return false;
  return shares(assign.groups, groups) && shares(assign.tags, tags);
}

function shares(wanted: readonly string[] | null, has: readonly string[]): boolean {
  return wanted === null || wanted.some((one) => has.includes(one));
}

function compileSet(set: RuleSet, appsOf: AppsOf): CompiledSet {
  const candidates = candidatesOf(set);
  const deciding = candidates.filter(({ rule }) => !rule.reportOnly);
  const rules = compileFinder(deciding);
  const blocked = compileHolder(deciding.filter(isBlock));
  const trial = compileTrial(candidates.filter(({ rule }) => rule.reportOnly));
  const askedBy = (port: number, { app, now }: Circumstances): Asked => ({
    port,
    apps: appsOf(app),
    now,
    from: 0,
  });

  return {
    set,
    reportsAddresses: trial.hasAddresses,
    match(target, addresses, given) {
      const asked = askedBy(target.port, given);
      const found = rules.find(target, addresses, asked);
      if (found === 'unresolved') return { kind: 'unresolved' };
      const reported = trial.reported(target, addresses ?? [], asked, found);
      if (found === null) return { kind: 'default', action: set.defaultAction, reported };
      const { rule, destination } = found.candidate;
      return { kind: 'rule', rule, matched: destination, addresses: found.addresses, reported };
    },
    reported(target, addresses, given) {
      const asked = askedBy(target.port, given);
      return trial.reported(target, addresses, asked, rules.find(target, addresses, asked));
    },
    blockedAddress(address, port, given) {
      return blocked(address, askedBy(port, given))?.rule ?? null;
    },
  };
}

function isBlock({ rule }: Candidate): boolean {
  return rule.action === 'BLOCK';
}

interface Trial {
  readonly hasAddresses: boolean;
  /** Has nothing looked up: addresses that are not known no rule holds. */
  reported(
    target: Target,
    addresses: readonly Address[],
    asked: Asked,
    decided: Found | null,
  ): readonly Rule[];
}

/** The rules that only report. */
function compileTrial(candidates: readonly Candidate[]): Trial {
  const none: readonly Rule[] = [];
  if (candidates.length === 0) return { hasAddresses: false, reported: () => none };
  const finder = compileFinder(candidates);
  const blocked = compileHolder(candidates.filter(isBlock));
  return {
    hasAddresses: candidates.some(({ destination }) => destination.kind === 'addresses'),
    reported(target, addresses, asked, decided) {
      const reported = new Set<Rule>();
      const before = decided?.candidate.ruleOrder ?? Infinity;
      for (let from = 0; reported.size < maxReported; ) {
        const found = finder.find(target, addresses, { ...asked, from });
        if (found === null || found.candidate.ruleOrder >= before) break;
        reported.add(found.candidate.rule);
        from = found.candidate.ruleOrder + 1;
      }
      if (target.address === null && decided?.addresses === null) {
        for (const address of addresses) {
          const holding = blocked(address, asked);
          if (holding !== null) reported.add(holding.rule);
        }
      }
      return [...reported];
    },
  };
}
