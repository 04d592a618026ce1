// Counts what the checks of devices let pass although it does not hold, and writes down who used an exception.

import { formatMoment } from '../../dtr-rules/moment.ts';
import { inform, type Log } from '../../runtime/log.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { Excepted } from '../decision/posture.ts';
import { checks } from '../decision/posture-checks.ts';
import type { Decided } from './telemetry.ts';

export interface PostureTelemetry {
  decided(decided: Pick<Decided, 'trail' | 'claimed' | 'policyVersion'>): void;
}

export function createPostureTelemetry(metrics: Metrics, log: Log): PostureTelemetry {
  const wouldRefuse = metrics.counterBy(
    'zonegate_posture_would_refuse_total',
    'Requests that a report-only check of devices would have refused, by check.',
    'check',
    checks,
  );
  const exceptions = metrics.counterBy(
    'zonegate_posture_exceptions_used_total',
    'Requests that an exception let pass a check of devices, by check.',
    'check',
    checks,
  );
  // An exception is written down when a device first uses it under a configuration, not at every connection.
  let version: string | null = null;
  const told = new Set<string>();

  function tell(deviceId: string | null, excepted: readonly Excepted[]): void {
    for (const { check, reason, exception } of excepted) {
      const key = `${deviceId} ${check} ${exception.until}`;
      if (told.has(key)) continue;
      told.add(key);
      inform(log, {
        'event.name': 'zonegate.exception',
        'device.id': deviceId,
        'zonegate.check': check,
        'zonegate.reason': reason,
        'zonegate.exception.reason': exception.why,
        'zonegate.exception.until': formatMoment(exception.until),
        'zonegate.policy.version': version,
        msg: `an exception lets the device pass: ${check}`,
      });
    }
  }

  return {
    decided({ trail, claimed, policyVersion }) {
      for (const pass of trail) {
        for (const { check } of pass.wouldRefuse ?? []) wouldRefuse[check].inc();
        if (pass.excepted === undefined) continue;
        for (const { check } of pass.excepted) exceptions[check].inc();
        if (policyVersion !== version) told.clear();
        version = policyVersion;
        tell(claimed, pass.excepted);
      }
    },
  };
}
