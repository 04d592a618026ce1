// Everything the gateway counts and logs, in one place: one line per decision, one when a connection ends.

import type { Log } from '../../runtime/log.ts';
import type { Histogram, Metrics } from '../../runtime/metrics.ts';
import type { Pass, Tunnel } from '../decision/decision.ts';
import type { Identity } from '../decision/identity.ts';
import { allReasons, type Reason, stageOf } from '../decision/reasons.ts';
import { formatTarget } from '../decision/target.ts';
import type { Asked } from './admit.ts';
import type { DeviceConnection } from './connection.ts';
import { type LookupWatch, lookupOutcomes } from './resolve.ts';
import type { SpliceEnd } from './splice.ts';

export type Outcome =
  | {
      readonly action: 'tunnel';
      readonly tunnel: Tunnel;
      readonly dialled: string;
      readonly source: string;
    }
  | {
      readonly action: 'refuse';
      readonly reason: Reason;
      readonly by: string | null;
      readonly cause: string | null;
    };

/** One decided request, as it is logged; fields that do not apply are null. */
export interface Decided {
  readonly id: string;
  readonly asked: Asked;
  readonly identity: Identity | null;
  /** The device a refused certificate names, where ours vouch for it. */
  readonly claimed: string | null;
  readonly outcome: Outcome;
  readonly trail: readonly Pass[];
  readonly policyVersion: string;
  readonly elapsedMs: number;
}

export interface Ended {
  readonly id: string;
  readonly end: SpliceEnd | 'answered';
  readonly cutBy: Reason | null;
  /** Why an admitted request got no whole answer; null where nothing failed. */
  readonly failure: Reason | null;
  readonly bytes: { readonly sent: number; readonly received: number };
  readonly elapsedMs: number;
}

export interface Malformed {
  readonly id: string;
  readonly reason: Reason;
  readonly connection: DeviceConnection;
  /** A parser's code or a method: nothing that may hold a secret. */
  readonly detail: string;
}

export interface Telemetry extends LookupWatch {
  /** The source port was in use towards a destination; the next one is tried. */
  portBusy(): void;
  readonly dialSeconds: Histogram;
  decided(decided: Decided): void;
  ended(ended: Ended): void;
  /** A request that was refused before anybody could be identified. */
  malformed(malformed: Malformed): void;
  handshakeFailed(clientAddress: string, code: string): void;
  /** No descriptors left, for example; the listener goes on. */
  listenerFailed(error: Error): void;
  changeToCut(seconds: number): void;
}

const lifeBuckets = [1, 10, 60, 600, 3600, 21_600, 86_400];
const quickBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createTelemetry(metrics: Metrics, log: Log): Telemetry {
  const admissions = metrics.counterBy(
    'zonegate_admissions_total',
    'Requests that were carried, by how they arrived.',
    'method',
    ['connect', 'forward'],
  );
  const refusals = metrics.counterBy(
    'zonegate_refusals_total',
    'Requests that were refused or failed, by reason.',
    'reason',
    allReasons,
  );
  const cuts = metrics.counterBy(
    'zonegate_tunnels_cut_total',
    'Open tunnels closed because they would be refused now, by reason.',
    'reason',
    allReasons,
  );
  const bytes = metrics.counterBy(
    'zonegate_tunnel_bytes_total',
    'Bytes carried, as the device sees them.',
    'direction',
    ['sent', 'received'],
  );
  const handshakes = metrics.counter(
    'zonegate_tls_handshake_failures_total',
    'TLS handshakes that did not complete.',
  );
  const busyPorts = metrics.counter(
    'zonegate_egress_ports_busy_total',
    'Source ports that were in use when a connection wanted them; many: too few egress addresses.',
  );
  const admitSeconds = metrics.histogram(
    'zonegate_admit_seconds',
    'Time from a complete request to its decision, connecting included.',
    quickBuckets,
  );
  const life = metrics.histogram('zonegate_tunnel_seconds', 'How long tunnels lived.', lifeBuckets);
  const lookups = metrics.counterBy(
    'zonegate_dns_lookups_total',
    'Names looked up, static hosts aside, by outcome: `cached` was remembered, `stale` past its time.',
    'outcome',
    lookupOutcomes,
  );
  const lookupSeconds = metrics.histogram(
    'zonegate_dns_lookup_seconds',
    'Time until the DNS servers had answered, or were given up.',
    quickBuckets,
  );
  const toCut = metrics.histogram(
    'zonegate_posture_change_to_cut_seconds',
    'Time from learning of a posture change to the last affected tunnel being closed.',
    quickBuckets,
  );

  return {
    dialSeconds: metrics.histogram(
      'zonegate_dial_seconds',
      'Time to connect to a destination.',
      quickBuckets,
    ),
    decided(decided) {
      const { outcome, asked } = decided;
      admitSeconds.observe(decided.elapsedMs / 1000);
      if (outcome.action === 'tunnel') admissions[asked.kind].inc();
      else refusals[outcome.reason].inc();
      log.info(decisionFields(decided), decisionText(decided));
    },
    ended(ended) {
      const reason = ended.cutBy ?? ended.failure;
      if (ended.cutBy !== null) cuts[ended.cutBy].inc();
      else if (ended.failure !== null) refusals[ended.failure].inc();
      bytes.sent.inc(ended.bytes.sent);
      bytes.received.inc(ended.bytes.received);
      life.observe(ended.elapsedMs / 1000);
      log.info(
        {
          'event.name': 'zonegate.tunnel.end',
          'zonegate.tunnel.id': ended.id,
          'zonegate.end': ended.cutBy === null ? ended.end : 'cut',
          ...(reason && { 'zonegate.stage': stageOf(reason), 'zonegate.reason': reason }),
          'zonegate.bytes.sent': ended.bytes.sent,
          'zonegate.bytes.received': ended.bytes.received,
          'zonegate.duration_ms': Math.round(ended.elapsedMs),
        },
        endText(ended),
      );
    },
    malformed({ id, reason, connection, detail }) {
      refusals[reason].inc();
      log.info(
        {
          'event.name': 'zonegate.admit',
          'zonegate.tunnel.id': id,
          ...connectionFields(connection),
          'zonegate.action': 'refuse',
          'zonegate.stage': stageOf(reason),
          'zonegate.reason': reason,
          'zonegate.detail': detail,
        },
        `refused: ${reason}`,
      );
    },
    listenerFailed(error) {
      log.error({ err: error }, 'a connection could not be accepted');
    },
    handshakeFailed(clientAddress, code) {
      handshakes.inc();
      log.debug(
        { 'event.name': 'zonegate.handshake', 'client.address': clientAddress, 'error.type': code },
        'handshake failed',
      );
    },
    lookedUp(outcome, elapsedMs) {
      lookups[outcome].inc();
      if (elapsedMs !== null) lookupSeconds.observe(elapsedMs / 1000);
    },
    portBusy: () => busyPorts.inc(),
    changeToCut: (seconds) => toCut.observe(seconds),
  };
}

function endText({ cutBy, failure }: Ended): string {
  if (cutBy !== null) return `tunnel cut: ${cutBy}`;
  return failure === null ? 'tunnel ended' : `tunnel failed: ${failure}`;
}

function decisionText({ asked, outcome }: Decided): string {
  const target = formatTarget(asked.target);
  return outcome.action === 'tunnel'
    ? `tunnel to ${target}`
    : `refused ${target}: ${outcome.reason}`;
}

function decisionFields(decided: Decided): Record<string, unknown> {
  const { asked, identity, outcome, trail } = decided;
  const { connection, target } = asked;
  return {
    'event.name': 'zonegate.admit',
    'zonegate.tunnel.id': decided.id,
    ...connectionFields(connection),
    'server.address': target.host,
    'server.port': target.port,
    'http.request.method': asked.method,
    'device.id': decided.claimed,
    'user.name': identity?.user ?? null,
    'zonegate.action': outcome.action,
    ...(outcome.action === 'tunnel' ? tunnelFields(outcome) : refusalFields(outcome)),
    'zonegate.trail': trail.map(({ stage, by }) => `${stage}=${by}`),
    'zonegate.policy.version': decided.policyVersion,
    'zonegate.duration_ms': Math.round(decided.elapsedMs * 10) / 10,
  };
}

/** Who is at the other end, whether or not anything it says makes sense. */
function connectionFields({ peer, ...connection }: DeviceConnection) {
  return {
    'client.address': connection.clientAddress,
    'client.port': connection.clientPort,
    'tls.protocol.version': connection.tlsVersion,
    'tls.cipher': connection.tlsCipher,
    'tls.client.resumed': peer.resumed,
    'tls.client.hash.sha256': peer.certificate?.fingerprint ?? null,
    'tls.client.subject': peer.certificate?.subjectText ?? null,
  };
}

function tunnelFields(outcome: Extract<Outcome, { action: 'tunnel' }>) {
  return {
    'zonegate.rule': outcome.tunnel.rule,
    'zonegate.rule_set': outcome.tunnel.set,
    'zonegate.pool': outcome.tunnel.pool,
    'zonegate.upstream': outcome.tunnel.upstream,
    'zonegate.dial.address': outcome.dialled,
    'zonegate.egress.address': outcome.source,
  };
}

function refusalFields(outcome: Extract<Outcome, { action: 'refuse' }>) {
  return {
    'zonegate.stage': stageOf(outcome.reason),
    'zonegate.reason': outcome.reason,
    'zonegate.by': outcome.by,
    ...(outcome.cause === null ? {} : { 'error.message': outcome.cause }),
  };
}
