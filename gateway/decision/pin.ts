// Judges the addresses a name resolved to; what it returns, and nothing else, may be dialled.

import { type Address, type AddressRange, inRange } from '../../dtr-rules/address.ts';
import type { CompiledSet } from '../../dtr-rules/compile.ts';
import type { Target } from '../../dtr-rules/rule.ts';
import { reportedBy } from './decide.ts';
import {
  type Pass,
  type Refusal,
  type Reported,
  refuse,
  type Sources,
  type Tunnel,
} from './decision.ts';
import { sourcesOf } from './egress.ts';
import type { GuardPolicy, Policy } from './policy.ts';
import type { Reason } from './reasons.ts';
import { embeddedAddress, judgeSpecial } from './special.ts';

/** An address that may be dialled, and the egress address of its family. */
export interface Candidate {
  readonly address: Address;
  readonly source: Address;
  /** Of the same pool and family: what takes the place of a source that cannot be used. */
  readonly neighbours: readonly Address[];
}

export interface Pinned {
  readonly action: 'pinned';
  /** Never empty, but for an upstream proxy: that one dials the target. */
  readonly candidates: readonly Candidate[];
  readonly trail: readonly Pass[];
  readonly reported: readonly Reported[];
}

/** One forbidden address among the answers refuses all of them (threats S07): an answer that mixes
 *  a public and a private address is an attack or a mistake, and both want to be seen. Addresses a
 *  BLOCK rule names are only taken out, because that is how the rule reads. */
export function pin(
  tunnel: Tunnel,
  target: Target,
  addresses: readonly Address[],
  policy: Policy,
): Pinned | Refusal {
  const set = policy.rules.sets.find((one) => one.set.name === tunnel.set);
  if (set === undefined) throw new Error(`the policy has no rule set \`${tunnel.set}\``);
  const { given, trail } = tunnel;
  const reported = reportedFor(set, tunnel, target, addresses);
  const asked = tunnel.only ?? addresses;
  for (const address of asked) {
    const reason = judgeAddress(address, target.port, tunnel.open, policy.guard);
    if (reason !== null) return refuse(reason, address.text, trail, reported);
  }

  // A target matched by its address was judged against every BLOCK rule before the one that matched.
  const byName = target.address === null && tunnel.only === null;
  const isBlocked = (address: Address) => set.blockedAddress(address, target.port, given) !== null;
  const open = byName ? asked.filter((address) => !isBlocked(address)) : asked;
  const [blocked] = open.length === 0 ? asked : [];
  if (blocked !== undefined) return refuse('address.blocked', blocked.text, trail, reported);
  // What leaves from here goes to the proxy, whatever the family of the target.
  const candidates = tunnel.upstream === null ? pairUp(open, tunnel.sources) : [];
  const first = tunnel.upstream === null ? candidates[0]?.address : open[0];
  if (first === undefined) return refuse('egress.no_family', tunnel.pool, trail, reported);
  return {
    action: 'pinned',
    candidates,
    reported,
    trail: [...trail, { stage: 'address', by: first.text }],
  };
}

/** Each address with the egress addresses of its family; without any it is left out. */
export function pairUp(addresses: readonly Address[], sources: Sources): readonly Candidate[] {
  return addresses.flatMap((address) => {
    const [source, ...neighbours] = sourcesOf(sources, address.family);
    return source === undefined ? [] : [{ address, source, neighbours }];
  });
}

/** Report-only rules have no name looked up; now that the addresses are known, they say what they think of them. */
function reportedFor(
  set: CompiledSet,
  { given, reported }: Tunnel,
  target: Target,
  addresses: readonly Address[],
): readonly Reported[] {
  if (!set.reportsAddresses) return reported;
  return reportedBy(set.reported(target, addresses, given));
}

function judgeAddress(
  address: Address,
  port: number,
  open: readonly AddressRange[],
  guard: GuardPolicy,
): Reason | null {
  if (isOwn(address, port, guard)) return 'address.self';
  const reason = judgeClosed(address, guard);
  if (reason !== null && !open.some((range) => opens(range, address, reason))) return reason;
  // Opening a block of translated addresses does not open what they are translated to (threats S03).
  const inner = embeddedAddress(address);
  return inner === null ? null : judgeAddress(inner, port, open, guard);
}

/** The reason against an address that no rule opens. */
function judgeClosed(address: Address, guard: GuardPolicy): Reason | null {
  const special = judgeSpecial(address);
  if (special !== null) return special.kind === 'metadata' ? 'address.metadata' : 'address.special';
  // A public address of this machine leads to it just as loopback does: its other ports are not for devices.
  return isLocal(address, guard) ? 'address.special' : null;
}

/** Metadata services stand in the middle of blocks that one may well open (100.64.0.0/10, fd00::/8),
 *  and they hand out credentials: each wants to be opened by its own address (threats S06). */
function opens(range: AddressRange, address: Address, reason: Reason): boolean {
  if (!inRange(address, range)) return false;
  return reason !== 'address.metadata' || range.first === range.last;
}

// Invariant: no rule opens the gateway's own listeners, whatever `open` says; what listens on one
// address of this machine may listen on all (threats S11).
function isOwn(address: Address, port: number, guard: GuardPolicy): boolean {
  const local = isLocal(address, guard);
  return guard.own.some((own) => {
    if (own.port !== port) return false;
    if (own.address === null) return local;
    return own.address.text === address.text || (local && isLocal(own.address, guard));
  });
}

// 0.0.0.0 and :: lead to this machine too: connecting to them is connecting to loopback.
function isLocal(address: Address, guard: GuardPolicy): boolean {
  return address.value === 0n || guard.local.some((range) => inRange(address, range));
}
