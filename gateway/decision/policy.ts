// Owns the policy: the immutable, compiled snapshot one connection is judged against from beginning to end.

import type { Address, AddressRange } from '../../dtr-rules/address.ts';
import type { CompiledRules } from '../../dtr-rules/compile.ts';
import type { IdentityPolicy } from './identity.ts';
import type { PosturePolicy } from './posture.ts';

export interface EgressPool {
  readonly name: string;
  /** In the order of the file; the choice per device does not depend on the order. */
  readonly addresses: readonly Address[];
}

export interface EgressPolicy {
  readonly pools: ReadonlyMap<string, EgressPool>;
  readonly defaultPool: EgressPool;
  /** Where BYPASS traffic that arrives anyway may leave: never a pool's address. Null refuses it. */
  readonly bypass: EgressPool | null;
}

/** An address and port the gateway must never dial: its listeners, its UEM, its resolver. */
export interface OwnEndpoint {
  /** Null: the port on every address of this machine. */
  readonly address: Address | null;
  readonly port: number;
}

export interface GuardPolicy {
  readonly own: readonly OwnEndpoint[];
  /** Every address of this machine, loopback included. */
  readonly local: readonly AddressRange[];
}

export interface Policy {
  /** Hash over all files it was made from: the same text, the same version. */
  readonly version: string;
  readonly identity: IdentityPolicy;
  readonly posture: PosturePolicy;
  readonly rules: CompiledRules;
  readonly egress: EgressPolicy;
  /** The servers of each upstream proxy, as `host:port`. */
  readonly upstreams: ReadonlyMap<string, ReadonlySet<string>>;
  readonly guard: GuardPolicy;
}
