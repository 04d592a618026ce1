// Turns parsed configuration into the parts of a policy, and checks what only holds between parts.

import type { RuleFile } from '../../dtr-rules/rule.ts';
import type { Issue } from '../../runtime/issue.ts';
import type { EgressPolicy, EgressPool } from '../decision/policy.ts';
import type { GatewayConfig } from './config.ts';

/** Rules may only name pools and upstream proxies that exist. */
export function checkReferences(file: RuleFile, config: GatewayConfig): readonly Issue[] {
  const pools = Object.keys(config.egress.pools);
  const upstreams = Object.keys(config.upstreams);
  return file.sets.flatMap((set) =>
    set.rules.flatMap((rule) => [
      ...missing(rule.egress, pools, [...rule.path, 'egress'], 'egress pool'),
      ...missing(rule.upstream, upstreams, [...rule.path, 'upstream'], 'upstream proxy'),
    ]),
  );
}

/** A listener for an application is of no use unless it is believed, nor is believing it without a listener. */
export function checkAppSource({ identity, listeners }: GatewayConfig): readonly Issue[] {
  const believed = identity.app?.from === 'listener';
  if (believed === listeners.apps.length > 0) return [];
  const [path, message, hint] = believed
    ? [['identity', 'app'], 'there is no listener for an application', 'add `listeners.apps`']
    : [
        ['listeners', 'apps'],
        'nothing believes these listeners',
        'add `app: { listener: true }` to `identity`',
      ];
  return [{ path, message, hint }];
}

/** The addresses of PAC files are made with a secret: without one nothing would ever be served there. */
export function checkPacListener({ listeners, profiles }: GatewayConfig): readonly Issue[] {
  if (listeners.pac === null || (profiles?.pacSecret ?? null) !== null) return [];
  return [
    {
      path: ['listeners', 'pac'],
      message: 'nothing can be fetched here without `profiles.pacSecret`',
      hint: 'set it, or take the listener out',
    },
  ];
}

/** Rules that no connection can match, because nothing here tells applications apart. */
export function warnOfApps(file: RuleFile, { identity }: GatewayConfig): readonly Issue[] {
  const named = file.sets.flatMap(({ rules }) => rules.filter(({ apps }) => apps !== null));
  const [first] = named;
  if (first === undefined || identity.app !== null) return [];
  return [
    {
      path: [...first.path, 'apps'],
      message: `nothing tells applications apart, so no connection matches ${named.length} of the rules`,
      hint: 'say in `identity.app` of the configuration what is believed about them',
    },
  ];
}

/** Invariant: BYPASS traffic never leaves from a zone address (design section 5.5). */
export function egressPolicy(egress: GatewayConfig['egress']): {
  readonly value: EgressPolicy;
  readonly issues: readonly Issue[];
} {
  const pools = new Map<string, EgressPool>(
    Object.entries(egress.pools).map(([name, addresses]) => [name, { name, addresses }]),
  );
  const lent = (egress.bypass ?? []).filter((address) =>
    [...pools.values()].some((pool) => pool.addresses.some(({ text }) => text === address.text)),
  );
  const issues: Issue[] = [
    ...missing(egress.default, [...pools.keys()], ['egress', 'default'], 'egress pool'),
    ...lent.map(({ text }) => ({
      path: ['egress', 'bypass'],
      message: `\`${text}\` is in an egress pool: bypassed traffic would leave from a zone address`,
      hint: 'give BYPASS an address of its own, or leave it out to refuse BYPASS traffic',
    })),
  ];
  const none: EgressPool = { name: egress.default, addresses: [] };
  return {
    issues,
    value: {
      pools,
      defaultPool: pools.get(egress.default) ?? none,
      bypass: egress.bypass === null ? null : { name: 'bypass', addresses: egress.bypass },
    },
  };
}

function missing(
  wanted: string | null,
  known: readonly string[],
  path: Issue['path'],
  what: string,
): readonly Issue[] {
  if (wanted === null || known.includes(wanted)) return [];
  const hint = known.length === 0 ? `no ${what} is configured` : `known: ${known.join(', ')}`;
  return [{ path, message: `no ${what} \`${wanted}\` in the configuration`, hint }];
}
