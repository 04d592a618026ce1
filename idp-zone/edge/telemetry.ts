// What is counted and logged about sign-ons, in one place.
import type { Log } from '../../runtime/log.ts';
import type { Counter, Metrics } from '../../runtime/metrics.ts';
import { type Reason, reasonCodes } from '../decision/reasons.ts';
import type { SignOnDecision } from '../decision/sign-on.ts';
import type { Blocked } from '../decision/zone.ts';
import type { RequestFacts } from './request-facts.ts';

export type Moment = 'authorization' | 'code' | 'refresh' | 'authz';

export interface Telemetry {
  decision(at: Moment, event: DecisionEvent): void;
  // Denied before anything was asked.
  blocked(from: RequestFacts, by: Blocked): void;
  // Denied before any policy was asked.
  attempt(at: Moment, event: AttemptEvent): void;
  readonly feedFailures: Counter;
}

export interface DecisionEvent {
  readonly from: RequestFacts;
  readonly user: string | null;
  readonly client: string;
  readonly zones: readonly string[];
  readonly decision: SignOnDecision;
}

export interface AttemptEvent {
  readonly from: RequestFacts;
  readonly user: string | null;
  readonly client: string | null;
  readonly reason: Reason;
}

const OUTCOMES = ['allow', ...reasonCodes] as const;

export function createTelemetry(metrics: Metrics, log: Log): Telemetry {
  const counter = (name: string, help: string) =>
    metrics.counterBy(name, help, 'outcome', OUTCOMES);
  const counters = {
    authorization: counter('zonegate_signon_decisions_total', 'Sign-on decisions by outcome.'),
    code: counter('zonegate_signon_code_decisions_total', 'Code exchanges decided, by outcome.'),
    refresh: counter('zonegate_signon_refresh_decisions_total', 'Refreshes decided, by outcome.'),
    authz: counter('zonegate_authz_decisions_total', 'Questions of proxies decided, by outcome.'),
  };
  const blockedRequests = metrics.counter(
    'zonegate_signon_blocked_requests_total',
    'Requests from an address of a blocklist zone, answered before anything else.',
  );
  return {
    blocked(from, { zone, address }) {
      blockedRequests.inc();
      const fields = {
        'event.name': 'zonegate.request_blocked',
        'event.outcome': 'failure',
        'zonegate.id': from.id,
        'zonegate.reason': 'sign-on.blocked',
        'zonegate.zone': zone,
        'zonegate.blocked_address': address?.text ?? null,
        'client.address': from.client?.text ?? null,
        'network.peer.address': from.chain.at(-1)?.text ?? null,
      };
      log.warn(fields, 'request blocked');
    },
    decision(at, { from, user, client, zones, decision }) {
      counters[at][decision.action === 'allow' ? 'allow' : decision.reason].inc();
      const fields = {
        ...commonFields(from, user, client),
        'zonegate.at': at,
        'zonegate.zones': zones,
        'zonegate.rule': decision.rule,
        ...reportOnlyFields(decision),
      };
      if (decision.action === 'allow') {
        const used = decision.exception && { 'zonegate.exception': decision.exception.reason };
        log.info({ ...fields, ...used, 'event.outcome': 'success' }, 'sign-on allowed');
      } else {
        const denied = { 'event.outcome': 'failure', 'zonegate.reason': decision.reason };
        log.warn({ ...fields, ...denied }, 'sign-on denied');
      }
    },
    attempt(at, { from, user, client, reason }) {
      counters[at][reason].inc();
      const denied = { 'zonegate.at': at, 'event.outcome': 'failure', 'zonegate.reason': reason };
      log.warn({ ...commonFields(from, user, client), ...denied }, 'sign-on denied');
    },
    feedFailures: metrics.counter(
      'zonegate_zone_feed_failures_total',
      'Egress feeds that could not be read; the last good addresses stayed in force.',
    ),
  };
}

function commonFields(from: RequestFacts, user: string | null, client: string | null) {
  return {
    'event.name': 'zonegate.sign_on',
    'zonegate.id': from.id,
    'user.name': user,
    'zonegate.client': client,
    'client.address': from.client?.text ?? null,
    'network.peer.address': from.chain.at(-1)?.text ?? null,
  };
}

// What the rules that only report would have decided.
function reportOnlyFields({ trail }: SignOnDecision) {
  const reported = trail
    .filter((step) => step.failed.length === 0)
    .map((step) => `${step.access} ${step.rule}`);
  return reported.length === 0 ? {} : { 'zonegate.report_only': reported };
}
