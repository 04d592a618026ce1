// The admission of one request, step by step, shared by CONNECT and forwarding; the one catch per connection.

import { randomUUID } from 'node:crypto';
import type { Target } from '../../dtr-rules/rule.ts';
import type { Pass, Refusal, Tunnel } from '../decision/decision.ts';
import { claimedDevice, type Identity, identify } from '../decision/identity.ts';
import type { Candidate } from '../decision/pin.ts';
import type { Policy } from '../decision/policy.ts';
import type { Reason } from '../decision/reasons.ts';
import { rejudge, type Standing } from '../decision/rejudge.ts';
import { GatewayError } from '../errors.ts';
import type { PostureCache } from '../posture/cache.ts';
import type { DeviceConnection } from './connection.ts';
import { type Judged, type JudgeParts, judge } from './judge.ts';
import type { Outcome, Telemetry } from './telemetry.ts';
import type { Place, Tunnels } from './tunnels.ts';

export interface Asked {
  readonly kind: 'connect' | 'forward';
  readonly method: string;
  readonly target: Target;
  readonly connection: DeviceConnection;
}

/** Something connected to a judged address: a fresh socket, or a kept connection to an origin. */
export interface Reached<T> {
  readonly carrier: T;
  readonly candidate: Candidate;
}

export interface Way {
  readonly tunnel: Tunnel;
  readonly target: Target;
  /** What may be dialled; for an upstream proxy, the proxy's own addresses. */
  readonly candidates: readonly Candidate[];
  readonly signal: AbortSignal;
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
  readonly posture: PostureCache;
  readonly tunnels: Tunnels;
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
  try {
    // 1 who is it?
    const who = identify(asked.connection.peer, policy.identity, startedAt);
    if (!who.ok) return line.refused({ reason: who.reason, by: who.by, trail });
    const { identity } = who;
    line.identity = identity;
    // 2 is it healthy?
    const posture = await parts.posture.facts(identity.deviceId);
    // 3 is it allowed? 4 from where? (decide) 5 what is its address? 6 which of them? (pin)
    const question = { identity, posture, target: asked.target, addresses: null };
    const judged = await judge(question, policy, parts);
    if (judged.action === 'refuse') return line.refused(judged);
    trail = judged.trail;
    const taken = parts.tunnels.take(id, identity.deviceId, startedAt);
    if (typeof taken === 'string') return line.refused({ reason: taken, by: null, trail });
    place = taken;
    unfollow = follow(asked.connection.gone, place);
    // 7 dial what was judged, and nothing else; then look again, because the world may have changed
    const standing = await connect(asked, judged, place, { parts, reach });
    const late = await judgeAgain(identity, standing, place, parts);
    if (late !== null) {
      discard(standing.carrier);
      place.release();
      return line.refused({ reason: late, by: null, trail });
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
    return line.refused({ reason, by: null, trail: passed }, error);
  } finally {
    unfollow?.();
  }
}

/** Nothing goes on being connected for a device that has left (threats R06). */
function follow(gone: AbortSignal, place: Place): () => void {
  const leave = (): void => place.abandon(gone.reason);
  gone.addEventListener('abort', leave, { once: true });
  if (gone.aborted) leave();
  return () => gone.removeEventListener('abort', leave);
}

/** The connection a device will have, and what it stands on from now on. */
type Connected<T> = Standing & { readonly carrier: T };

async function connect<T>(
  asked: Asked,
  judged: Judged,
  place: Place,
  {
    parts,
    reach,
  }: { readonly parts: AdmitParts; readonly reach: (way: Way) => Promise<Reached<T>> },
): Promise<Connected<T>> {
  const { tunnel, candidates, addresses } = judged;
  const { target } = asked;
  const dialling = parts.now();
  const { carrier, candidate } = await reach({ tunnel, target, candidates, signal: place.signal });
  parts.telemetry.dialSeconds.observe((parts.now() - dialling) / 1000);
  const { address, source } = candidate;
  const { peer } = asked.connection;
  return { peer, target, addresses, upstream: tunnel.upstream, address, source, carrier };
}

/** The world may have changed while it connected, or does so from here on (threats P03). */
async function judgeAgain<T>(
  identity: Identity,
  standing: Connected<T>,
  place: Place,
  parts: AdmitParts,
): Promise<Reason | null> {
  try {
    place.stand(standing);
    const facts = await parts.posture.facts(identity.deviceId);
    place.signal.throwIfAborted();
    return rejudge(standing, facts, parts.policy(), parts.now());
  } catch (error) {
    discard(standing.carrier);
    throw error;
  }
}

/** The one log line of a request, whatever becomes of it. */
function beginLine(asked: Asked, policy: Policy, parts: AdmitParts) {
  const id = randomUUID();
  const startedAt = parts.now();
  const decided = (outcome: Outcome, trail: readonly Pass[], identity: Identity | null): void =>
    parts.telemetry.decided({
      id,
      asked,
      identity,
      claimed: identity?.deviceId ?? claimedDevice(asked.connection.peer, policy.identity),
      outcome,
      trail,
      policyVersion: policy.version,
      elapsedMs: parts.now() - startedAt,
    });
  return {
    id,
    startedAt,
    identity: null as Identity | null,
    refused(refusal: Pick<Refusal, 'reason' | 'by' | 'trail'>, cause?: unknown): Refused {
      const { reason, by, trail } = refusal;
      decided({ action: 'refuse', reason, by, cause: messageOf(cause) }, trail, this.identity);
      return { ok: false, id, reason };
    },
    tunnelled({ tunnel, trail }: Judged, { address, source }: Standing): void {
      const outcome = {
        action: 'tunnel',
        tunnel,
        dialled: address.text,
        source: source.text,
      } as const;
      decided(outcome, trail, this.identity);
    },
  };
}

/** For the log only: a client learns the reason, never the cause. */
function messageOf(cause: unknown): string | null {
  if (cause === undefined) return null;
  if (!(cause instanceof Error)) return typeof cause === 'string' ? cause : 'unknown';
  return cause.cause instanceof Error ? `${cause.message}: ${cause.cause.message}` : cause.message;
}

function discard(carrier: unknown): void {
  if (typeof carrier !== 'object' || carrier === null || !('destroy' in carrier)) return;
  if (typeof carrier.destroy === 'function') carrier.destroy();
}
