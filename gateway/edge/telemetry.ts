// Everything the gateway counts and logs, in one place: one line per decision, one when a connection ends.

import { actions } from '../../dtr-rules/parse-rules.ts';
import { inform, type Log } from '../../runtime/log.ts';
import type { Histogram, Metrics } from '../../runtime/metrics.ts';
import type { Pass, Reported, Tunnel } from '../decision/decision.ts';
import type { Identity } from '../decision/identity.ts';
import type { Finding } from '../decision/posture.ts';
import { allReasons, type Reason, stageOf } from '../decision/reasons.ts';
import { formatTarget } from '../decision/target.ts';
import type { Asked } from './admit.ts';
import type { DeviceConnection } from './connection.ts';
import { type OwnEndpointName, ownEndpoints } from './own.ts';
import { type Direction, type PaceScope, paceScopes } from './pace.ts';
import { createPostureTelemetry } from './posture-telemetry.ts';
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
  readonly reported: readonly Reported[];
  readonly policyVersion: string;
  readonly elapsedMs: number;
}

const ends = [
  'closed',
  'answered',
  'idle',
  'lifetime',
  'device_error',
  'origin_error',
  'cut',
] as const satisfies readonly (SpliceEnd | 'answered')[];

export interface Ended {
  readonly id: string;
  readonly end: (typeof ends)[number];
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

/** One of the gateway's own files, or why it was not given. */
export interface OwnAnswered {
  readonly id: string;
  readonly endpoint: OwnEndpointName;
  readonly connection: DeviceConnection;
  readonly method: string;
  readonly deviceId: string | null;
  readonly reason: Reason | null;
  /** Of a fault of ours: what it was. */
  readonly cause: string | null;
  readonly elapsedMs: number;
}

export interface Telemetry extends LookupWatch {
  /** The source port was in use towards a destination; the next one is tried. */
  portBusy(): void;
  readonly dialSeconds: Histogram;
  decided(decided: Decided): void;
  ended(ended: Ended): void;
  /** A request that was refused before anybody could be identified. */
  malformed(malformed: Malformed): void;
  own(answered: OwnAnswered): void;
  handshakeFailed(clientAddress: string, code: string): void;
  /** A tunnel has to wait: its device, its user or all devices together have moved as many bytes as they may. */
  slowed(direction: Direction, by: PaceScope, waitMs: number): void;
  /** A connection nobody was identified on made room for another. */
  strangerEvicted(): void;
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
  const own = metrics.counterBy(
    'zonegate_own_requests_total',
    'Requests for what the gateway itself serves devices, answered or refused, by endpoint.',
    'endpoint',
    ownEndpoints,
  );
  const cuts = metrics.counterBy(
    'zonegate_tunnels_cut_total',
    'Open tunnels closed because they would be refused now, by reason.',
    'reason',
    allReasons,
  );
  const ended = metrics.counterBy(
    'zonegate_tunnels_ended_total',
    'Tunnels and requests that ended after they were admitted, by how.',
    'end',
    ends,
  );
  const reports = metrics.counterBy(
    'zonegate_rules_report_only_total',
    'Requests that a report-only rule would have decided, by its action.',
    'action',
    actions,
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
  const slowedSeconds = metrics.counterOf(
    'zonegate_tunnel_slowed_seconds_total',
    'Time that tunnels had to wait because their device, their user or all devices together had moved as many bytes as they may, summed over tunnels.',
    ['direction', 'limit'],
  );
  for (const limit of paceScopes) {
    for (const direction of ['sent', 'received']) slowedSeconds({ direction, limit }).inc(0);
  }
  const evicted = metrics.counter(
    'zonegate_unidentified_connections_evicted_total',
    'Connections on which no device was identified yet, closed to make room for newer ones.',
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
  const posture = createPostureTelemetry(metrics, log);
  const toCut = metrics.histogram(
    'zonegate_posture_change_to_cut_seconds',
    'Time from learning of a change (of posture, certificates, rules) or coming to the end of grace to the last tunnel of a device being closed.',
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
      for (const { action } of decided.reported) reports[action].inc();
      posture.decided(decided);
      inform(log, decisionFields(decided));
    },
    ended(tunnel) {
      const reason = tunnel.cutBy ?? tunnel.failure;
      const end = tunnel.cutBy === null ? tunnel.end : 'cut';
      ended[end].inc();
      if (tunnel.cutBy !== null) cuts[tunnel.cutBy].inc();
      else if (tunnel.failure !== null) refusals[tunnel.failure].inc();
      bytes.sent.inc(tunnel.bytes.sent);
      bytes.received.inc(tunnel.bytes.received);
      life.observe(tunnel.elapsedMs / 1000);
      inform(log, {
        'event.name': 'zonegate.tunnel.end',
        'zonegate.tunnel.id': tunnel.id,
        'zonegate.end': end,
        'zonegate.stage': reason === null ? undefined : stageOf(reason),
        'zonegate.reason': reason ?? undefined,
        'zonegate.bytes.sent': tunnel.bytes.sent,
        'zonegate.bytes.received': tunnel.bytes.received,
        'zonegate.duration_ms': Math.round(tunnel.elapsedMs),
        msg: endText(tunnel),
      });
    },
    malformed({ id, reason, connection, detail }) {
      refusals[reason].inc();
      inform(log, {
        ...callerFields('zonegate.admit', id, connection),
        'zonegate.action': 'refuse',
        'zonegate.stage': stageOf(reason),
        'zonegate.reason': reason,
        'zonegate.detail': detail,
        msg: `refused: ${reason}`,
      });
    },
    own({ id, endpoint, connection, method, deviceId, reason, cause, elapsedMs }) {
      own[endpoint].inc();
      if (reason !== null) refusals[reason].inc();
      inform(log, {
        ...callerFields('zonegate.own', id, connection),
        'http.request.method': method,
        'device.id': deviceId,
        'zonegate.endpoint': endpoint,
        ...(reason && {
          'zonegate.action': 'refuse',
          'zonegate.stage': stageOf(reason),
          'zonegate.reason': reason,
        }),
        ...(cause !== null && { 'error.message': cause }),
        'zonegate.duration_ms': Math.round(elapsedMs * 10) / 10,
        msg: reason === null ? `served ${endpoint}` : `refused ${endpoint}: ${reason}`,
      });
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
    slowed: (direction, limit, waitMs) => slowedSeconds({ direction, limit }).inc(waitMs / 1000),
    strangerEvicted: () => evicted.inc(),
    lookedUp(outcome, elapsedMs) {
      lookups[outcome].inc();
      if (elapsedMs !== null) lookupSeconds.observe(elapsedMs / 1000);
    },
    portBusy: () => busyPorts.inc(),
    changeToCut: (seconds) => toCut.observe(seconds),
  };
}

function endText({ end, cutBy, failure }: Ended): string {
  if (cutBy !== null) return `tunnel cut: ${cutBy}`;
  if (failure !== null) return `tunnel failed: ${failure}`;
  return end === 'lifetime' ? 'tunnel ended: its lifetime is over' : 'tunnel ended';
}

function decisionText({ asked, outcome }: Decided): string {
  const target = formatTarget(asked.target);
  return outcome.action === 'tunnel'
    ? `tunnel to ${target}`
    : `refused ${target}: ${outcome.reason}`;
}

/** What is undefined is left out. One object of always the same shape: many spreads cost as much as the line. */
function decisionFields(decided: Decided) {
  const { asked, identity, outcome, trail, reported } = decided;
  const { connection, target } = asked;
  const tunnelled = outcome.action === 'tunnel' ? outcome : undefined;
  const refused = outcome.action === 'refuse' ? outcome : undefined;
  const health = trail.find(({ stage }) => stage === 'posture');
  return {
    ...callerFields('zonegate.admit', decided.id, connection),
    'server.address': target.host,
    'server.port': target.port,
    'http.request.method': asked.method,
    'device.id': decided.claimed,
    'user.name': identity?.user ?? null,
    'zonegate.app': identity?.app ?? null,
    'zonegate.action': outcome.action,
    'zonegate.rule': tunnelled?.tunnel.rule,
    'zonegate.rule_set': tunnelled?.tunnel.set,
    'zonegate.pool': tunnelled?.tunnel.pool,
    'zonegate.upstream': tunnelled?.tunnel.upstream,
    'zonegate.dial.address': tunnelled?.dialled,
    'zonegate.egress.address': tunnelled?.source,
    'zonegate.stage': refused && stageOf(refused.reason),
    'zonegate.reason': refused?.reason,
    'zonegate.by': refused?.by,
    'error.message': refused?.cause ?? undefined,
    'zonegate.posture.would_refuse': health?.wouldRefuse?.map(findingText),
    'zonegate.posture.excepted': health?.excepted?.map(findingText),
    'zonegate.trail': trail.map(({ stage, by }) => `${stage}=${by}`),
    report_only: reported.length === 0 ? undefined : reported,
    'zonegate.policy.version': decided.policyVersion,
    'zonegate.duration_ms': Math.round(decided.elapsedMs * 10) / 10,
    msg: decisionText(decided),
  };
}

function findingText({ check, reason }: Finding): string {
  return `${check}=${reason}`;
}

/** Who is at the other end, whether or not anything it says makes sense. */
function callerFields(event: string, id: string, connection: DeviceConnection) {
  const { certificate, resumed } = connection.peer;
  return {
    'event.name': event,
    'zonegate.tunnel.id': id,
    'client.address': connection.clientAddress,
    'client.port': connection.clientPort,
    'tls.protocol.version': connection.tlsVersion,
    'tls.cipher': connection.tlsCipher,
    'tls.client.resumed': resumed,
    'tls.client.hash.sha256': certificate?.fingerprint ?? null,
    'tls.client.subject': certificate?.subjectText ?? null,
  };
}
