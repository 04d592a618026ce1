// The door for security events (SSF 1.0, CAEP 1.0) pushed over HTTP as RFC 8935 says: who sends, is it new, what follows.

import type { Context, Hono } from 'hono';
import type { Log } from '../../../runtime/log.ts';
import type { PostureCache } from '../cache.ts';
import type { DeviceChanges } from '../device-changes.ts';
import type { DeviceHint } from '../device-index.ts';
import { createRepeatCheck } from '../repeat-check.ts';
import { readBody } from '../request-body.ts';
import { createSenderCheck } from '../webhook-credentials.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import {
  MAX_AHEAD_MS,
  readEventSet,
  type SecurityEvent,
  type StreamStatus,
} from './security-event.ts';
import { readSubject, type SubjectRow } from './subject.ts';
import { type Sender, type SetError, verifyToken } from './verify.ts';

export interface ReceiverOptions {
  /** Names it in its path, in logs and metrics. */
  readonly name: string;
  /** What the sender shows in Authorization, beside the signature of every token. */
  readonly token: string;
  readonly sender: Sender;
  readonly keys: () => IssuerKeys;
  readonly subjects: readonly SubjectRow[];
  readonly maxAgeMs: number;
  /** A device said to be non-compliant whose source is silent loses its grace. */
  readonly doubtWhenSilent: boolean;
  readonly cache: Pick<PostureCache, 'findDevice'>;
  readonly changes: DeviceChanges;
  readonly endSessions: EndSessions;
  /** Keeps a device out for a while after its session was revoked; resolves when that is durable. Null: it may come again. */
  readonly block: ((deviceId: string, reason: string | null) => Promise<void>) | null;
  readonly log: Log;
  readonly count: (outcome: Outcome) => void;
  /** False while there are more events than anybody sends who means well. */
  readonly mayCome: () => boolean;
  readonly onStream: (status: StreamStatus) => void;
  readonly now: () => number;
  readonly maxBodyBytes?: number;
}

export type Whose =
  | { readonly kind: 'device'; readonly deviceId: string }
  | { readonly kind: 'user'; readonly users: readonly string[] };

/** Cuts what is open now. Resolves to the devices that had something open. */
export type EndSessions = (
  whose: Whose,
  by: { readonly signal: string },
) => Promise<readonly string[]>;

export interface Receiver {
  /** Adds `POST /signals/<name>`. */
  mount(app: Hono): void;
}

export const OUTCOMES = [
  'refresh',
  'session_revoked',
  'unknown_device',
  'stream',
  'ignored',
  'repeated',
  'refused',
  'unavailable',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export function createReceiver(options: ReceiverOptions): Receiver {
  const { name, cache, changes, log, count, maxAgeMs } = options;
  const { maxBodyBytes = 65_536 } = options;
  const check = createSenderCheck({ kind: 'bearer', token: options.token });
  // As long as a token may be taken at all: later it is refused for its age.
  const windowMs = maxAgeMs + MAX_AHEAD_MS;
  const repeats = createRepeatCheck(options.now, { windowMs, maxRemembered: 100_000 });

  function refuse(err: SetError, description: string): Response {
    count('refused');
    log.warn(
      { 'event.name': 'zonegate.signal', 'zonegate.signal': name, 'zonegate.err': err },
      `a security event is refused: ${description}`,
    );
    const headers = { 'content-language': 'en' };
    return Response.json({ err, description }, { status: 400, headers });
  }

  function refuseStranger(): Response {
    count('refused');
    const body = {
      err: 'authentication_failed',
      description: 'expected the token of this endpoint',
    };
    return Response.json(body, {
      status: 401,
      headers: { 'www-authenticate': check.challenge, 'content-language': 'en' },
    });
  }

  function tryAgain(): Response {
    count('unavailable');
    return new Response(null, { status: 503, headers: { 'retry-after': '30' } });
  }

  async function receive(context: Context): Promise<Response> {
    const { req } = context;
    // First: who cannot prove to be the sender causes no work.
    if (!check.isSender(req.header('authorization'))) return refuseStranger();
    if (!options.mayCome()) return tryAgain();
    if (!/^application\/secevent\+jwt\s*(;|$)/i.test(req.header('content-type') ?? ''))
      return refuse('invalid_request', 'expected `Content-Type: application/secevent+jwt`');
    const text = await readBody(req.raw, maxBodyBytes);
    if (text === null) return refuse('invalid_request', `expected at most ${maxBodyBytes} bytes`);
    const token = await verifyToken(text, options.sender, options.keys());
    if (token.kind === 'no_keys') return tryAgain();
    if (token.kind === 'refused') return refuse(token.err, token.description);
    const read = readEventSet(token.claims, { maxAgeMs, now: options.now() });
    if (!read.ok) return refuse('invalid_request', read.description);
    const { id, events } = read.set;
    // RFC 8935 section 2.2: what came before is answered as it was then.
    if (repeats.isRepeated(id)) return accepted('repeated');
    for (const event of events) {
      if (await act(event)) continue;
      repeats.forget(id);
      return tryAgain();
    }
    return new Response(null, { status: 202 });
  }

  function accepted(outcome: Outcome): Response {
    count(outcome);
    return new Response(null, { status: 202 });
  }

  /** False when the sender is to try again. */
  async function act(event: SecurityEvent): Promise<boolean> {
    switch (event.kind) {
      case 'compliance':
        return actOnCompliance(event);
      case 'session_revoked':
        return await actOnRevocation(event);
      case 'verification':
        count('stream');
        say('the stream of security events was verified', {});
        return true;
      case 'stream_updated':
        count('stream');
        options.onStream(event.status);
        say(`the stream of security events is ${event.status}`, {});
        return true;
      case 'other':
        count('ignored');
        return true;
    }
  }

  // What the event says is not believed as posture: it may be old, or its sender mistaken. The source is asked, and
  // judges. Only that the last report is contradicted counts, should the source be silent.
  function actOnCompliance({
    healthy,
    about,
  }: Extract<SecurityEvent, { kind: 'compliance' }>): boolean {
    const subject = readSubject(about.subject, options.subjects);
    const deviceId = subject.kind === 'device' ? find(subject.hints) : null;
    if (deviceId === null) {
      count('unknown_device');
      return true;
    }
    const doubted = !healthy && options.doubtWhenSilent;
    if (!changes.announce([deviceId], { doubted })) return false;
    count('refresh');
    const status = healthy ? 'compliant' : 'not-compliant';
    const fields = {
      'device.id': deviceId,
      'zonegate.status': status,
      'zonegate.why': about.reason,
    };
    say('a security event says that compliance changed', fields);
    return true;
  }

  async function actOnRevocation({
    about,
  }: Extract<SecurityEvent, { kind: 'session_revoked' }>): Promise<boolean> {
    const whose = whoseSessions(readSubject(about.subject, options.subjects));
    if (whose === null) {
      count('unknown_device');
      return true;
    }
    const cut = await options.endSessions(whose, { signal: name });
    const devices = whose.kind === 'device' ? [whose.deviceId] : cut;
    if (!(await blockAll(devices, about.reason)) || !changes.announce(devices)) return false;
    count('session_revoked');
    const who =
      whose.kind === 'device' ? { 'device.id': whose.deviceId } : { 'user.name': whose.users };
    say('a security event ends sessions', { ...who, 'zonegate.why': about.reason });
    return true;
  }

  /** False: the block is in force here, but might not outlive a restart. The sender is to say it again. */
  async function blockAll(devices: readonly string[], reason: string | null): Promise<boolean> {
    const { block } = options;
    if (block === null) return true;
    const done = await Promise.allSettled(devices.map((deviceId) => block(deviceId, reason)));
    const failed = done.find((one) => one.status === 'rejected');
    if (failed === undefined) return true;
    log.error({ err: failed.reason, 'zonegate.signal': name }, 'a block is not durable');
    return false;
  }

  function whoseSessions(subject: ReturnType<typeof readSubject>): Whose | null {
    if (subject.kind === 'user') return subject;
    if (subject.kind === 'nobody') return null;
    const deviceId = find(subject.hints) ?? unseen(subject.hints);
    return deviceId === null ? null : { kind: 'device', deviceId };
  }

  // A device that never came here has nothing here to change.
  function find(hints: readonly DeviceHint[]): string | null {
    for (const hint of hints) {
      const found = cache.findDevice(hint);
      if (found !== null) return found;
    }
    return null;
  }

  /** A device that never came here can be kept out all the same, where the event has the id of its certificate. */
  function unseen(hints: readonly DeviceHint[]): string | null {
    if (options.block === null) return null;
    return hints.find(({ deviceId }) => typeof deviceId === 'string')?.deviceId ?? null;
  }

  function say(message: string, fields: Record<string, unknown>): void {
    const at = { 'event.name': 'zonegate.signal', 'zonegate.signal': name };
    log.info({ ...at, ...fields }, message);
  }

  return {
    mount(app) {
      const path = `/signals/${name}`;
      app.post(path, receive);
      app.all(path, (context) => {
        if (!check.isSender(context.req.header('authorization'))) return refuseStranger();
        return new Response(null, { status: 405, headers: { allow: 'POST' } });
      });
    },
  };
}
