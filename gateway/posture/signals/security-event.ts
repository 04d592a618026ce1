// Reads the claims of a security event token (RFC 8417) into what happened, to whom; signature and sender are checked before.

import { type Fields, fieldsOf } from '../uem-answer.ts';

export type SecurityEvent =
  | { readonly kind: 'compliance'; readonly healthy: boolean; readonly about: About }
  | { readonly kind: 'session_revoked'; readonly about: About }
  | { readonly kind: 'verification'; readonly state: string | null }
  | { readonly kind: 'stream_updated'; readonly status: StreamStatus }
  | { readonly kind: 'other'; readonly type: string };

export type StreamStatus = (typeof STREAM_STATUSES)[number];

export interface About {
  /** A subject identifier (RFC 9493, SSF 1.0 section 3), not read yet. */
  readonly subject: unknown;
  /** Why, in the words of the sender, for the log only. */
  readonly reason: string | null;
}

export interface EventSet {
  readonly id: string;
  readonly events: readonly SecurityEvent[];
}

/** Either the events, or the sentence saying what is wrong with the token. */
export type ReadEventSet =
  | { readonly ok: true; readonly set: EventSet }
  | { readonly ok: false; readonly description: string };

export interface EventBounds {
  /** Milliseconds: how long after it was issued a token is taken. Senders try again while we are away. */
  readonly maxAgeMs: number;
  readonly now: number;
}

/** How far a sender's clock may run ahead of ours (threats P11). */
export const MAX_AHEAD_MS = 300_000;

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/';
const STREAM_STATUSES = ['enabled', 'paused', 'disabled'] as const;
// One event is the rule of the interoperability profile; RFC 8417 allows several that say the same.
const MAX_EVENTS = 10;
const MAX_TEXT = 1024;
const MAX_REASON = 256;

/** `exp` and `sub` are never looked at: SSF 1.0 section 4.1.6 and 4.1.7 forbid them, so that no event is taken for a login. */
export function readEventSet(claims: Fields, bounds: EventBounds): ReadEventSet {
  const id = claims.get('jti');
  if (!isText(id)) return wrong('expected `jti` to be a text of up to 1024 characters');
  const time = checkTimes(claims, bounds);
  if (time !== null) return wrong(time);
  const found = fieldsOf(claims.get('events'));
  if (found === null || found.size === 0)
    return wrong('expected `events` to be an object of events');
  if (found.size > MAX_EVENTS) return wrong(`expected at most ${MAX_EVENTS} events`);
  const events: SecurityEvent[] = [];
  for (const [type, value] of found) {
    const payload = fieldsOf(value);
    if (payload === null) return wrong('expected an event to be an object');
    const event = readEvent(type, payload, claims);
    if (typeof event === 'string') return wrong(event);
    events.push(event);
  }
  return { ok: true, set: { id, events } };
}

function checkTimes(claims: Fields, { maxAgeMs, now }: EventBounds): string | null {
  const issued = claims.get('iat');
  if (typeof issued !== 'number') return 'expected `iat` to be a number of seconds';
  const age = now - issued * 1000;
  if (!(age <= maxAgeMs)) return 'the token was issued too long ago';
  if (age < -MAX_AHEAD_MS) return 'the token is from the future';
  const happened = claims.get('toe');
  if (happened === undefined) return null;
  if (typeof happened !== 'number') return 'expected `toe` to be a number of seconds';
  return happened * 1000 - now <= MAX_AHEAD_MS ? null : 'the event is from the future';
}

function readEvent(type: string, payload: Fields, claims: Fields): SecurityEvent | string {
  // SSF 1.0 has the subject beside the events; what came before it, and some senders still, within.
  const subject = claims.get('sub_id') ?? payload.get('subject');
  const about = { subject, reason: readReason(payload.get('reason_admin')) };
  switch (type) {
    case `${CAEP}device-compliance-change`:
      return readCompliance(payload, about);
    case `${CAEP}session-revoked`:
      return { kind: 'session_revoked', about };
    case `${SSF}verification`: {
      const state = payload.get('state') ?? null;
      if (state !== null && !isText(state)) return 'expected `state` to be a text';
      return { kind: 'verification', state };
    }
    case `${SSF}stream-updated`: {
      const status = STREAM_STATUSES.find((one) => one === payload.get('status'));
      return status === undefined
        ? 'expected `status` to be `enabled`, `paused` or `disabled`'
        : { kind: 'stream_updated', status };
    }
    // Other events are for other receivers of the same stream.
    default:
      return { kind: 'other', type };
  }
}

function readCompliance(payload: Fields, about: About): SecurityEvent | string {
  switch (payload.get('current_status')) {
    case 'compliant':
      return { kind: 'compliance', healthy: true, about };
    case 'not-compliant':
      return { kind: 'compliance', healthy: false, about };
    default:
      return 'expected `current_status` to be `compliant` or `not-compliant`';
  }
}

/** A text for each language; older senders write one text. One line: it is shown on terminals, and PostgreSQL takes no
 *  NUL, which would keep a block from ever being durable. */
function readReason(value: unknown): string | null {
  const text = typeof value === 'string' ? value : fieldsOf(value)?.values().next().value;
  if (typeof text !== 'string') return null;
  return text
    .slice(0, MAX_REASON)
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ');
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT;
}

function wrong(description: string): ReadEventSet {
  return { ok: false, description };
}
