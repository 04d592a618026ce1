// Owns what a device is told about itself: what a help desk asks for first, and no secret.

import { blockHolds, type DeviceFacts } from '../decision/block.ts';
import type { assignRules } from '../decision/decide.ts';
import { chooseSources } from '../decision/egress.ts';
import type { Identity } from '../decision/identity.ts';
import type { Policy } from '../decision/policy.ts';
import { type Reason, reasons } from '../decision/reasons.ts';

export interface Known {
  readonly identity: Identity;
  readonly posture: DeviceFacts;
  readonly known: ReturnType<typeof assignRules>;
  readonly policy: Policy;
  readonly unfit: ReadonlySet<string>;
  readonly now: number;
}

export function whoIs({ identity, posture, known, policy, unfit, now }: Known) {
  const { report, block } = posture;
  const { v4, v6 } = chooseSources(identity.deviceId, policy.egress.defaultPool, unfit);
  const isServed = known.action === 'assigned';
  return {
    device_id: identity.deviceId,
    user: identity.user,
    app: identity.app,
    certificate_ends: new Date(identity.notAfter).toISOString(),
    posture: {
      ...verdictOf(isServed ? known.unhealthy : known.reason),
      source: report?.source ?? null,
      fetched_at: timeOf(report?.fetchedAt),
      last_seen: timeOf(report?.lastSeen),
    },
    blocked: blockHolds(block, now)
      ? { since: timeOf(block.since), until: timeOf(block.until) }
      : null,
    rule_set: isServed ? known.set.set.name : null,
    // The device's own, from the default pool; a rule may name another pool.
    egress_addresses: isServed
      ? [...v4.slice(0, 1), ...v6.slice(0, 1)].map(({ text }) => text)
      : [],
    policy_version: policy.version,
  };
}

function verdictOf(reason: Reason | null) {
  const isOfPosture = reason?.startsWith('posture.') === true;
  if (reason === null || !isOfPosture)
    return { healthy: true, reason: null, sentence: null, fix: null };
  const { sentence, fix } = reasons[reason];
  return { healthy: false, reason, sentence, fix };
}

function timeOf(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : new Date(ms).toISOString();
}
