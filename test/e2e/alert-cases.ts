// When each alert of deploy/prometheus fires and when it does not: series in promtool's notation.

export interface AlertCase {
  readonly alert: string;
  /** Series of an instance called `bad`, for which it fires; without the labels `job` and `instance`. */
  readonly fires: Series;
  /** The same of an instance called `good`, for which it does not, although it is not far from it. */
  readonly silent: Series;
  /** Between two values; a minute, if nothing is said. */
  readonly step?: string;
  /** When to look; by then the alert's `for` has to be over. */
  readonly at?: string;
  /** Labels of the series that the alert keeps. */
  readonly labels?: Readonly<Record<string, string>>;
}

export type Series = Readonly<Record<string, string>>;

const always = (value: number): string => `${value}x90`;
const grows = (by: number): string => `0+${by}x90`;
const day = 86_400;

// A test begins at the moment 0: a certificate that is good for so long has this value.
const notAfter = (seconds: number): string => always(seconds);
const once = '0x20 1x70';

const certificate = 'zonegate_tls_certificate_not_after_timestamp_seconds';
const authority = 'zonegate_device_authority_not_after_timestamp_seconds';
const list = 'zonegate_revocation_list_next_update_timestamp_seconds';
const admitted = 'zonegate_admissions_total{method="connect"}';
const refused = (reason: string) => `zonegate_refusals_total{reason="${reason}"}`;
const healthy = (address: string) =>
  `zonegate_egress_address_healthy{pool="main",address="${address}"}`;
const lookups = (outcome: string) => `zonegate_dns_lookups_total{outcome="${outcome}"}`;
const source = 'zonegate_posture_source_up{source="uem"}';
const upstream = 'zonegate_upstream_up{upstream="corp",server="proxy.example.com:3128"}';
const admitBuckets = (fast: number, all: number): Series => ({
  'zonegate_admit_seconds_bucket{le="1"}': grows(fast),
  'zonegate_admit_seconds_bucket{le="5"}': grows(all),
  'zonegate_admit_seconds_bucket{le="+Inf"}': grows(all),
});
const cutBuckets = (fast: number, all: number): Series => ({
  'zonegate_posture_change_to_cut_seconds_bucket{le="1"}': grows(fast),
  'zonegate_posture_change_to_cut_seconds_bucket{le="10"}': grows(all),
  'zonegate_posture_change_to_cut_seconds_bucket{le="+Inf"}': grows(all),
});

export const alertCases: readonly AlertCase[] = [
  { alert: 'ZonegateDown', fires: { up: '1x20 0x70' }, silent: { up: '1x29 0 1x60' } },
  {
    alert: 'ZonegateAllRefused',
    fires: { [admitted]: '0+5x15 75x70', [refused('posture.unavailable')]: grows(5) },
    // One in a hundred gets through.
    silent: { [admitted]: grows(0.1), [refused('posture.unavailable')]: grows(10) },
  },
  {
    alert: 'ZonegateNobodyComes',
    fires: { [admitted]: '0+100x1008 100800x12', [refused('rules.bypass')]: '0x1020' },
    // Nobody came a week ago either: a night.
    silent: { [admitted]: '0x1020', [refused('rules.bypass')]: '0x1020' },
    step: '10m',
    at: '10140m',
  },
  {
    alert: 'ZonegateRefusalsSpike',
    fires: { [admitted]: grows(100), [refused('rules.block')]: '0+10x60 600+100x30' },
    // Many, but not more than before.
    silent: { [admitted]: grows(100), [refused('rules.block')]: grows(100) },
    at: '85m',
  },
  {
    alert: 'ZonegateInternalError',
    fires: { [refused('gateway.internal')]: '0x25 1x60' },
    silent: { [refused('gateway.internal')]: always(1) },
    labels: { reason: 'gateway.internal' },
  },
  {
    alert: 'ZonegateFull',
    fires: { [refused('limits.tunnels')]: grows(1) },
    silent: {
      [refused('limits.device_tunnels')]: grows(1),
      [refused('limits.tunnels')]: always(4),
    },
    labels: { reason: 'limits.tunnels' },
  },
  {
    alert: 'ZonegatePostureSourceDown',
    fires: { [source]: always(0) },
    silent: { [source]: '0x26 1x60' },
    labels: { source: 'uem' },
  },
  {
    alert: 'ZonegatePostureStale',
    fires: { [refused('posture.stale')]: grows(1) },
    silent: { [refused('posture.stale')]: always(9), [refused('posture.blocked')]: grows(1) },
  },
  {
    alert: 'ZonegatePostureGraceInUse',
    fires: { zonegate_posture_grace_devices: always(3) },
    silent: { zonegate_posture_grace_devices: '3x27 0x60' },
  },
  { alert: 'ZonegateCutSlow', fires: cutBuckets(1, 10), silent: cutBuckets(10, 10) },
  {
    alert: 'ZonegateSignalStreamOff',
    fires: { 'zonegate_signal_stream_enabled{signal="okta"}': always(0) },
    silent: { 'zonegate_signal_stream_enabled{signal="okta"}': '0x10 1x80' },
    labels: { signal: 'okta' },
  },
  {
    alert: 'ZonegateReloadFailing',
    fires: { zonegate_config_last_reload_successful: '1x10 0x80' },
    silent: { zonegate_config_last_reload_successful: '0x28 1x60' },
  },
  {
    alert: 'ZonegateTlsCertificateExpires',
    fires: { [certificate]: notAfter(13 * day) },
    silent: { [certificate]: notAfter(15 * day) },
  },
  {
    alert: 'ZonegateTlsCertificateExpiresSoon',
    fires: { [certificate]: notAfter(day) },
    silent: { [certificate]: notAfter(3 * day) },
  },
  {
    alert: 'ZonegateDeviceAuthorityExpires',
    fires: { [authority]: notAfter(29 * day) },
    silent: { [authority]: notAfter(31 * day) },
  },
  {
    alert: 'ZonegateRevocationListExpires',
    fires: { [list]: notAfter(5 * 3600) },
    // No lists are in use.
    silent: { [list]: always(0) },
  },
  {
    alert: 'ZonegateEgressAddressDown',
    fires: { [healthy('203.0.113.8')]: always(0) },
    silent: { [healthy('203.0.113.8')]: '1x29 0 1x60' },
    labels: { pool: 'main', address: '203.0.113.8' },
  },
  {
    alert: 'ZonegateEgressPoolDown',
    fires: { [healthy('203.0.113.8')]: always(0), [healthy('203.0.113.9')]: always(0) },
    silent: { [healthy('203.0.113.8')]: always(0), [healthy('203.0.113.9')]: always(1) },
    labels: { pool: 'main' },
  },
  {
    alert: 'ZonegateEgressPortsShort',
    fires: { zonegate_egress_ports_busy_total: grows(120) },
    silent: { zonegate_egress_ports_busy_total: grows(30) },
  },
  {
    alert: 'ZonegateUpstreamDown',
    fires: { [upstream]: always(0) },
    silent: { [upstream]: '0x27 1x60' },
    labels: { upstream: 'corp', server: 'proxy.example.com:3128' },
  },
  {
    alert: 'ZonegateDnsFailing',
    fires: { [lookups('ok')]: grows(10), [lookups('timeout')]: grows(5) },
    // What is remembered is no question.
    silent: {
      [lookups('ok')]: grows(10),
      [lookups('failed')]: grows(1),
      [lookups('cached')]: '0x90',
    },
  },
  { alert: 'ZonegateAdmissionSlow', fires: admitBuckets(9, 10), silent: admitBuckets(1000, 1001) },
  {
    alert: 'ZonegateStrangersCrowd',
    fires: { zonegate_unidentified_connections_evicted_total: grows(1) },
    silent: { zonegate_unidentified_connections_evicted_total: once },
  },
  {
    alert: 'ZonegateEventLoopLag',
    fires: { nodejs_eventloop_lag_p99_seconds: always(0.3) },
    silent: { nodejs_eventloop_lag_p99_seconds: '0.3x28 0.02x60' },
  },
  {
    alert: 'ZonegateWorkersFail',
    fires: {
      zonegate_worker_restarts_total: '0x25 2x60',
      zonegate_worker_hangs_total: '0x25 1x60',
    },
    silent: {
      zonegate_worker_restarts_total: '0x25 1x60',
      zonegate_worker_hangs_total: '0x25 1x60',
    },
  },
  {
    alert: 'ZonegateOpenFilesShort',
    fires: { process_open_fds: always(900), process_max_fds: always(1000) },
    silent: { process_open_fds: always(700), process_max_fds: always(1000) },
  },
  {
    alert: 'ZonegateStateDown',
    fires: { zonegate_state_up: always(0) },
    silent: { zonegate_state_up: '0x28 1x60' },
  },
  {
    alert: 'ZonegateLogLinesLost',
    fires: { zonegate_log_lines_lost_total: '0x25 7x60' },
    silent: { zonegate_log_lines_lost_total: always(7) },
  },
  {
    alert: 'ZonegateZoneFeedFails',
    fires: { zonegate_zone_feed_failures_total: grows(1) },
    // Once, and then it could be read again.
    silent: { zonegate_zone_feed_failures_total: once },
    at: '60m',
  },
];
