// Owns judging open tunnels anew: when posture, rules or certificates change, and when time ends what they stand on.

import type { Log } from '../runtime/log.ts';
import type { DeviceFacts } from './decision/block.ts';
import type { Policy } from './decision/policy.ts';
import { nextVerdict } from './decision/posture.ts';
import type { Reason } from './decision/reasons.ts';
import { rejudge, type Standing } from './decision/rejudge.ts';
import type { DeviceHealth } from './device-health.ts';
import type { Telemetry } from './edge/telemetry.ts';
import type { Tunnels } from './edge/tunnels.ts';
import { createVerdictClock } from './verdict-clock.ts';

export interface RejudgingOptions {
  readonly posture: Pick<DeviceHealth, 'peek' | 'recheck' | 'onChange' | 'start'>;
  readonly tunnels: Tunnels;
  readonly policy: () => Policy;
  readonly telemetry: Telemetry;
  readonly log: Log;
  readonly now: () => number;
}

export interface Rejudging {
  /** Rules, certificates or lists have changed: all tunnels, by what is known of their devices, and then by what
   *  their source says. */
  readonly everything: () => void;
  /** A device has been let through by these facts: when time alone may end that, it is judged anew. */
  readonly follow: (deviceId: string, facts: DeviceFacts) => void;
  /** Devices with open tunnels that only grace lets go on. */
  onGrace(): number;
  close(): void;
}

export function createRejudging(options: RejudgingOptions): Rejudging {
  const { posture, tunnels, policy, telemetry, log, now } = options;
  const clock = createVerdictClock({ due, now });

  function follow(deviceId: string, facts: DeviceFacts): void {
    clock.watch(deviceId, nextVerdict(facts, policy().posture, now()));
  }

  function judgeAll(
    deviceId: string,
    judge: (standing: Standing) => Reason | null,
    learnedAt: number,
  ): void {
    const told = (count: number): void => {
      const seconds = Math.max(0, now() - learnedAt) / 1000;
      telemetry.changeToCut(seconds);
      log.info({ 'device.id': deviceId, 'zonegate.cut': count }, 'something changed, tunnels cut');
    };
    tunnels.rejudge(deviceId, judge, told);
  }

  function byFacts(deviceId: string, facts: DeviceFacts, learnedAt: number): void {
    if (!tunnels.has(deviceId)) return;
    const snapshot = policy();
    const moment = now();
    judgeAll(deviceId, (standing) => rejudge(standing, facts, snapshot, moment), learnedAt);
    follow(deviceId, facts);
  }

  /** By what is in memory, at once: a silent source must not delay what needs no answer of it. A report that is
   *  merely old may be cured by asking, which comes next. */
  function byMemory(deviceIds: readonly string[]): void {
    const snapshot = policy();
    const moment = now();
    for (const deviceId of deviceIds) {
      const facts = posture.peek(deviceId);
      if (facts === undefined) continue;
      const judge = (standing: Standing): Reason | null => {
        const reason = rejudge(standing, facts, snapshot, moment);
        return reason === 'posture.stale' ? null : reason;
      };
      judgeAll(deviceId, judge, moment);
      follow(deviceId, facts);
    }
  }

  function again(deviceIds: readonly string[]): void {
    byMemory(deviceIds);
    posture.recheck(deviceIds).catch((error: unknown) => {
      log.error({ err: error }, 'judging open tunnels anew failed');
    });
  }

  function due(deviceIds: readonly string[]): void {
    const live = deviceIds.filter((deviceId) => tunnels.has(deviceId));
    if (live.length > 0) again(live);
  }

  function onGrace(): number {
    const { maxReportAgeMs } = policy().posture;
    const oldest = now() - maxReportAgeMs;
    let count = 0;
    for (const deviceId of tunnels.devices()) {
      const facts = posture.peek(deviceId);
      if (facts?.known === false && facts.report !== null && facts.report.fetchedAt < oldest)
        count += 1;
    }
    return count;
  }

  posture.onChange(byFacts);
  posture.start(() => tunnels.devices());
  return {
    everything: () => again([...tunnels.devices()]),
    follow,
    onGrace,
    close: () => clock.close(),
  };
}
