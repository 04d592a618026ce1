// The admission of one request, step by step, shared by CONNECT and forwarding; the one catch per connection.

import { randomUUID } from 'node:crypto';
import type { Target } from '../../dtr-rules/rule.ts';
import type { Pass, Tunnel } from '../decision/decision.ts';
import { type Identity, identify } from '../decision/identity.ts';
import type { Candidate } from '../decision/pin.ts';
import type { Policy } from '../decision/policy.ts';
import type { Reason } from '../decision/reasons.ts';
import { rejudge, type Standing } from '../decision/rejudge.ts';
import { GatewayError } from '../errors.ts';
import type { PostureCache } from '../posture/cache.ts';
import type { DeviceConnection } from './connection.ts';
import { type Judged, type JudgeParts, judge } from './judge.ts';
import type { Telemetry } from './telemetry.ts';
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
  const id = randomUUID();
  const startedAt = parts.now();
  const policy = parts.policy();
  let identity: Identity | null = null;
  let judged: Judged | null = null;

  const refused = (reason: Reason, by: string | null, trail: readonly Pass[], cause?: unknown) => {
    const outcome = { action: 'refuse', reason, by, cause: messageOf(cause) } as const;
    const elapsedMs = parts.now() - startedAt;
    const policyVersion = policy.version;
    parts.telemetry.decided({ id, asked, identity, outcome, trail, policyVersion, elapsedMs });
    return { ok: false, id, reason } as const;
  };

  let place: Place | null = null;
  let reached: Reached<T> | null = null;
  try {
    // 1 who is it?
    const who = identify(asked.connection.peer, policy.identity, startedAt);
    if (!who.ok) return refused(who.reason, who.by, []);
    identity = who.identity;
    // 2 is it healthy?
    const posture = await parts.posture.facts(identity.deviceId);
    // 3 to 6 allowed? from where? to which address?
    const question = { identity, posture, target: asked.target, addresses: null };
    const verdict = await judge(question, policy, parts);
    if (verdict.action === 'refuse') return refused(verdict.reason, verdict.by, verdict.trail);
    judged = verdict;
    // limits
    const taken = parts.tunnels.take(id, identity.deviceId, startedAt);
    if (typeof taken === 'string') return refused(taken, null, judged.trail);
    place = taken;
    // 7 dial what was judged, and nothing else
    const { tunnel, candidates, addresses, trail } = judged;
    const dialling = parts.now();
    const signal = AbortSignal.any([place.signal, asked.connection.gone]);
    const way = { tunnel, target: asked.target, candidates, signal };
    reached = await reach(way);
    const { carrier, candidate } = reached;
    parts.telemetry.dialSeconds.observe((parts.now() - dialling) / 1000);
    const standing: Standing = {
      peer: asked.connection.peer,
      target: asked.target,
      addresses,
      upstream: tunnel.upstream,
      address: candidate.address,
      source: candidate.source,
    };
    // The world may have changed while it connected, or does so from here on (threats P03).
    place.stand(standing);
    const facts = await parts.posture.facts(identity.deviceId);
    signal.throwIfAborted();
    const late = rejudge(standing, facts, parts.policy(), parts.now());
    if (late !== null) {
      discard(carrier);
      place.release();
      return refused(late, null, trail);
    }
    // 8 say so
    parts.telemetry.decided({
      id,
      asked,
      identity,
      outcome: {
        action: 'tunnel',
        tunnel,
        dialled: candidate.address.text,
        source: candidate.source.text,
      },
      trail,
      policyVersion: policy.version,
      elapsedMs: parts.now() - startedAt,
    });
    return { ok: true, id, carrier, tunnel, place, startedAt };
  } catch (error) {
    discard(reached?.carrier);
    place?.release();
    const cut = place?.cutBy() ?? null;
    const reason = cut ?? (error instanceof GatewayError ? error.code : 'gateway.internal');
    return refused(reason, null, judged?.trail ?? [], error);
  }
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
