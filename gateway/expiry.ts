// Owns the metrics of what will stop working by itself: certificates, authorities and revocation lists.

import { X509Certificate } from 'node:crypto';
import type { Metrics } from '../runtime/metrics.ts';
import type { Loaded } from './config/load.ts';

/** The earliest of each kind counts; 0 where there is none. An expired list refuses everybody. */
export function watchExpiry(metrics: Metrics, current: () => Loaded): void {
  metrics.gauge(
    'zonegate_tls_certificate_not_after_timestamp_seconds',
    'When the certificate of the device listener expires.',
    () => earliest([notAfter(current().tls.certificate)]),
  );
  metrics.gauge(
    'zonegate_device_authority_not_after_timestamp_seconds',
    'When the first of the device authorities expires.',
    () => earliest(current().tls.authorities.map(notAfter)),
  );
  metrics.gauge(
    'zonegate_revocation_list_next_update_timestamp_seconds',
    'When the first of the revocation lists runs out; 0 without lists.',
    () => {
      const { revocation } = current().policy.identity;
      if (revocation.mode === 'off') return 0;
      return earliest([...revocation.lists.values()].map(({ nextUpdate }) => nextUpdate ?? 0));
    },
  );
}

function notAfter(pem: string): number {
  return new X509Certificate(pem).validToDate.getTime();
}

function earliest(moments: readonly number[]): number {
  return moments.length === 0 ? 0 : Math.min(...moments) / 1000;
}
