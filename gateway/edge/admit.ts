// The admission of one request, step by step, shared by CONNECT and forwarding; the one catch per connection.

import { randomUUID } from 'node:crypto';
import type { Target } from '../../dtr-rules/rule.ts';
import { type HeardApp, withApp } from '../decision/app.ts';
import type { DeviceFacts } from '../decision/block.ts';
import type { Pass, Refusal, Reported, Tunnel } from '../decision/decision.ts';
import { claimedDevice, type Identity, identify } from '../decision/identity.ts';
import type { Candidate } from '../decision/pin.ts';
import type { Policy } from '../decision/policy.ts';
import type { Reason } from '../decision/reasons.ts';
import { rejudge, type Standing } from '../decision/rejudge.ts';
import { GatewayError } from '../errors.ts';
import { hearApp } from './app.ts';
import type { DeviceConnection } from './connection.ts';
import type { DeviceConnections } from './device-connections.ts';
import type { RawFields } from './fields.ts';
import type { HaltSignal } from './halt.ts';
import { type Judged, type JudgeParts, judge } from './judge.ts';
import type { Outcome, Telemetry } from './telemetry.ts';
import type { Place, Tunnels } from './tunnels.ts';

export interface Asked {
  readonly kind: 'connect' | 'forward';
  readonly method: string;
  readonly target: Target;
  /** As received: one of them may name the application. */
  readonly fields: RawFields;
  readonly connection: DeviceConnection;
}

/** Something connected to a judged address: a fresh socket, or a kept connection to an origin. */
export interface Reached<T> {
  readonly carrier: T;
  readonly candidate: Pick<Candidate, 'address' | 'source'>;
  /** Of the upstream proxy, as `host:port`; null where there is none. */
  readonly server: string | null;
}

export interface Way {
  readonly deviceId: string;
  readonly tunnel: Tunnel;
  readonly target: Target;
  /** What may be dialled; nothing where an upstream proxy does it. */
  readonly candidates: readonly Candidate[];
  /** Of the upstream proxy, as `host:port`: those that may carry it. */
  readonly servers: ReadonlySet<string>;
  readonly signal: HaltSignal;
}

export interface Admitted<T> {
  readonly ok: true;
  readonly id: string;
  readonly carrier: T;
  readonly tunnel: Tunnel;
  readonly place: Place;
  readonly startedAt: number;
}

export interface Refused {
  readonly ok: false;
  readonly id: string;
  readonly reason: Reason;
}

export interface AdmitParts extends JudgeParts {
  /** The snapshot in force; read once per request. */
  readonly policy: () => Policy;
  readonly posture: { facts(deviceId: string): Promise<DeviceFacts> };
  /** A device has been let through by these facts. */
  readonly follow: (deviceId: string, facts: DeviceFacts) => void;
  readonly tunnels: Tunnels;
  /** The application whose own listener this is. */
  readonly app: string | null;
  readonly connections: DeviceConnections;
  readonly telemetry: Telemetry;
}

/** Answers with an open way to the target, or with the reason for which there is none. Whatever
 *  happens, exactly one line is logged. The caller must end an admitted one through `place`. */
export async function admit<T>(
  asked: Asked,
  parts: AdmitParts,
  reach: (way: Way) => Promise<Reached<T>>,
): Promise<Admitted<T> | Refused> {
  // One snapshot from beginning to end.
  const policy = parts.policy();
  const line = beginLine(asked, policy, parts);
  const { id, startedAt } = line;
  let place: Place | null = null;
  let unfollow: (() => void) | null = null;
  let trail: readonly Pass[] = [];
  let reported: readonly Reported[] = [];
  try {
    // 1 who is it?
    const who = identify(asked.connection.peer, policy.identity, startedAt);
    if (!who.ok) return line.refused({ reason: who.reason, by: who.by, trail, reported });
    const heard = hearApp(policy.identity.app, asked.fields, parts.app);
    const identity = withApp(who.identity, heard, policy.identity.app);
    const { app } = identity;
    line.identity = identity;
    // 2 is it healthy?
    const posture = await parts.posture.facts(identity.deviceId);
    // 3 is it allowed? 4 from where? (decide) 5 what is its address? 6 which of them? (pin)
    const question = { identity, posture, target: asked.target, addresses: null };
    const judged = await judge(question, policy, parts);
    if (judged.action === 'refuse') return line.refused(judged);
    ({ trail, reported } = judged);
    const { deviceId, user } = identity;
    const { lifetimeMs } = judged.tunnel;
    const taken = asked.connection.isSurplus
      ? 'limits.device_connections'
      : parts.tunnels.take({ id, deviceId, user, lifetimeMs }, startedAt);
    if (typeof taken === 'string') {
      return line.refused({ reason: taken, by: null, trail, reported });
    }
    place = taken;
    unfollow = follow(asked.connection.gone, place);
    // 7 dial what was judged, and nothing else; then look again, because the world may have changed
    const standing = await connect(
      { deviceId, policy, asked, heard: { ...heard, app }, judged, place },
      parts,
      reach,
    );
    const late = await judgeAgain(identity, standing, { policy, posture, startedAt, place }, parts);
    if (late !== null) {
      discard(standing.carrier);
      place.release();
      return line.refused({ reason: late, by: null, trail, reported });
    }
    // 8 say so
    const { tunnel } = judged;
    line.tunnelled(judged, standing);
    return { ok: true, id, carrier: standing.carrier, tunnel, place, startedAt };
  } catch (error) {
    place?.release();
    const passed = error instanceof GatewayError && trail.length === 0 ? error.trail : trail;
    const code = error instanceof GatewayError ? error.code : 'gateway.internal';
    const reason = place?.cutBy() ?? code;
    return line.refused({ reason, by: null, trail: passed, reported }, error);
  } finally {
    unfollow?.();
  }
}

/** Nothing goes on being connected for a device that has left (threats R06). */
function follow(gone: HaltSignal, place: Place): () => void {
  const leave = (): void => place.abandon(gone.reason);
  gone.addEventListener('abort', leave, { once: true });
  if (gone.aborted) leave();
  return () => gone.removeEventListener('abort', leave);
}

/** The connection a device will have, and what it stands on from now on. */
type Connected<T> = Standing & { readonly carrier: T };

const noServers: ReadonlySet<string> = new Set();

interface Wanted {
  readonly deviceId: string;
  readonly policy: Policy;
  readonly asked: Asked;
  readonly heard: HeardApp;
  readonly judged: Judged;
  readonly place: Place;
}

async function connect<T>(
  { deviceId, policy, asked, heard, judged, place }: Wanted,
  parts: AdmitParts,
  reach: (way: Way) => Promise<Reached<T>>,
): Promise<Connected<T>> {
  const { tunnel, candidates, addresses } = judged;
  const { target } = asked;
  const dialling = parts.now();
  const { signal } = place;
  const { upstream } = tunnel;
  const servers = (upstream === null ? null : policy.upstreams.get(upstream)) ?? noServers;
  const way = { deviceId, tunnel, target, candidates, servers, signal };
  const { carrier, candidate, server } = await reach(way);
  parts.telemetry.dialSeconds.observe((parts.now() - dialling) / 1000);
  const { address, source } = candidate;
  const { peer } = asked.connection;
  return { peer, heard, target, addresses, upstream, server, address, source, carrier };
}

/** What was judged, when, and by what. */
interface Before {
  readonly policy: Policy;
  readonly posture: DeviceFacts;
  readonly startedAt: number;
  readonly place: Place;
}

/** What time alone changes (a certificate, a report, a rule runs out) is looked after for open tunnels by the
 *  clock; so long it may do so for one that is being made. */
const sameForMs = 1000;

/** The world may have changed while it connected, or does so from here on (threats P03). The same facts and the
 *  same snapshot were judged a moment ago: most of the time this is that. */
async function judgeAgain<T>(
  identity: Identity,
  standing: Connected<T>,
  { policy, posture, startedAt, place }: Before,
  parts: AdmitParts,
): Promise<Reason | null> {
  try {
    place.stand(standing);
    const facts = await parts.posture.facts(identity.deviceId);
    place.signal.throwIfAborted();
    const now = parts.now();
    const isRecent = now >= startedAt && now - startedAt < sameForMs;
    const isAsBefore = isRecent && parts.policy() === policy && isSame(facts, posture);
    const reason = isAsBefore ? null : rejudge(standing, facts, parts.policy(), now);
    if (reason === null) parts.follow(identity.deviceId, facts);
    return reason;
  } catch (error) {
    discard(standing.carrier);
    throw error;
  }
}

function isSame(one: DeviceFacts, other: DeviceFacts): boolean {
  return one.report === other.report && one.known === other.known && one.block === other.block;
}

/** The one log line of a request, whatever becomes of it. */
function beginLine(asked: Asked, policy: Policy, parts: AdmitParts) {
  const id = randomUUID();
  const startedAt = parts.now();
  const decided = (
    outcome: Outcome,
    { trail, reported }: Pick<Refusal, 'trail' | 'reported'>,
    identity: Identity | null,
  ): void =>
    parts.telemetry.decided({
      id,
      asked,
      identity,
      claimed: identity?.deviceId ?? claimedDevice(asked.connection.peer, policy.identity),
      outcome,
      trail,
      reported,
      policyVersion: policy.version,
      elapsedMs: parts.now() - startedAt,
    });
  return {
    id,
    startedAt,
    identity: null as Identity | null,
    refused(refusal: Omit<Refusal, 'action'>, cause?: unknown): Refused {
      const { reason, by } = refusal;
      decided({ action: 'refuse', reason, by, cause: messageOf(cause) }, refusal, this.identity);
      return { ok: false, id, reason };
    },
    tunnelled(judged: Judged, { address, source }: Standing): void {
      const { tunnel } = judged;
      const outcome = {
        action: 'tunnel',
        tunnel,
        dialled: address.text,
        source: source.text,
      } as const;
      decided(outcome, judged, this.identity);
    },
  };
}

/** For the log only: a client learns the reason, never the cause. */
export function messageOf(cause: unknown): string | null {
  if (cause === undefined) return null;
  if (!(cause instanceof Error)) return typeof cause === 'string' ? cause : 'unknown';
  return cause.cause instanceof Error ? `${cause.message}: ${cause.cause.message}` : cause.message;
}

function discard(carrier: unknown): void {
  if (typeof carrier !== 'object' || carrier === null || !('destroy' in carrier)) return;
  if (typeof carrier.destroy === 'function') carrier.destroy();
}
