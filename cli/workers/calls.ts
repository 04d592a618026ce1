// What the primary and its workers ask of each other; all of it plain data.

import type { BlockChange } from '../../gateway/block-list.ts';
import type { PostureFacts } from '../../gateway/decision/posture.ts';
import type { TunnelRow } from '../../gateway/edge/api.ts';
import type { EgressState } from '../../gateway/edge/egress-health.ts';
import type { DevicePorts } from '../../gateway/gateway.ts';
import type { Whose } from '../../gateway/posture/signals/receiver.ts';
import type { MetricsSnapshot } from '../../runtime/metrics.ts';
import type { Usage } from './elsewhere.ts';

/** The configuration to serve by: read from the file, and only if it is this version of it. */
export interface Order {
  readonly file: string;
  readonly version: string;
  readonly workers: number;
  /** Of TLS session tickets, base64; new ones with every version. */
  readonly ticketKeys: string;
  /** Ports of this machine that no device may reach. */
  readonly ports: readonly number[];
}

export type Outcome =
  | ({ readonly kind: 'in_force' } & DevicePorts)
  /** What was in force stays in force, if anything was. `why` is for everybody: without paths. */
  | { readonly kind: 'behind'; readonly why: string }
  | { readonly kind: 'cannot_listen'; readonly error: ListenError };

/** What the system said, in the fields of its error. */
export interface ListenError {
  readonly message: string;
  readonly code?: string;
  readonly address?: string;
  readonly port?: number;
}

/** What a worker answers. */
export type WorkerCalls = {
  readonly serve: readonly [Order, Outcome];
  /** Answered by whoever's event loop turns. */
  readonly alive: readonly [null, null];
  readonly metrics: readonly [null, MetricsSnapshot];
  readonly tunnels: readonly [null, readonly TunnelRow[]];
  /** Takes nothing new; answered when the last tunnel has ended. */
  readonly drain: readonly [null, null];
  readonly protect: readonly [number, null];
  readonly postureChanged: readonly [string, null];
  /** Answered with the devices that had something open. */
  readonly endSessions: readonly [Whose, readonly string[]];
  /** All there are, before the first order; then what changes. */
  readonly blocksChanged: readonly [BlockChange, null];
  /** What the other workers have of limits that hold for all together. */
  readonly usedElsewhere: readonly [Usage, null];
  readonly close: readonly [null, null];
};

/** What the primary answers. */
export type PrimaryCalls = {
  /** The worker listens to its channel: what was sent before would be lost. */
  readonly hello: readonly [null, null];
  readonly facts: readonly [string, PostureFacts];
  readonly factsOf: readonly [readonly string[], readonly (readonly [string, PostureFacts])[]];
  readonly egress: readonly [readonly EgressState[], null];
  readonly used: readonly [Usage, null];
};
