// Judges a connection that is already open as if it came now: null keeps it, a reason closes it.

import type { Address } from '../../dtr-rules/address.ts';
import type { Target } from '../../dtr-rules/rule.ts';
import { type HeardApp, withApp } from './app.ts';
import type { DeviceFacts } from './block.ts';
import { decide } from './decide.ts';
import { sourcesOf } from './egress.ts';
import { identify, type PeerFacts } from './identity.ts';
import { pin } from './pin.ts';
import type { Policy } from './policy.ts';
import type { Reason } from './reasons.ts';

/** What an open connection stands on. */
export interface Standing {
  readonly peer: PeerFacts;
  /** The application it was admitted for. */
  readonly heard: HeardApp;
  readonly target: Target;
  /** What the name resolved to when it was admitted; null when an upstream proxy resolves it. */
  readonly addresses: readonly Address[] | null;
  readonly upstream: string | null;
  /** Which of its servers carries the connection, as `host:port`. */
  readonly server: string | null;
  /** The address it goes to (the upstream's, if there is one) and the egress address it uses. */
  readonly address: Address;
  readonly source: Address;
}

// What carries bytes is well enough.
const nothing: ReadonlySet<string> = new Set();

export function rejudge(
  standing: Standing,
  posture: DeviceFacts,
  policy: Policy,
  now: number,
): Reason | null {
  const { peer, heard, target, addresses, source } = standing;
  const who = identify(peer, policy.identity, now);
  if (!who.ok) return who.reason;
  const identity = withApp(who.identity, heard, policy.identity.app);
  const question = { identity, posture, target, addresses, unfit: nothing };
  const decision = decide(question, policy, now);
  // A new address rule wants a name resolved that an upstream proxy had resolved: make it anew.
  if (decision.action === 'resolve') return 'rules.changed';
  if (decision.action === 'refuse') return decision.reason;
  if (decision.upstream !== standing.upstream) return 'rules.changed';
  if (!isListed(standing, policy)) return 'rules.changed';
  // Any address of the pool will do: a device that has moved to a neighbour stays until it connects anew.
  const lent = sourcesOf(decision.sources, source.family);
  if (!lent.some(({ text }) => text === source.text)) return 'egress.changed';
  // Only an upstream proxy may be asked for a name that was not resolved here.
  if (addresses === null) return standing.upstream === null ? 'rules.changed' : null;
  const pinned = pin(decision, target, addresses, policy);
  if (pinned.action === 'refuse') return pinned.reason;
  if (standing.upstream !== null) return null;
  const kept = pinned.candidates.some(({ address }) => address.text === standing.address.text);
  return kept ? null : 'rules.changed';
}

/** A server that is taken out of its upstream proxy carries nothing any more. */
function isListed({ upstream, server }: Standing, { upstreams }: Policy): boolean {
  if (upstream === null) return true;
  return server !== null && upstreams.get(upstream)?.has(server) === true;
}
