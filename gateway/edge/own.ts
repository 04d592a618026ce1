// Owns what a gateway serves itself on the device listener: who a device is to it, its PAC file, its provisioning domain.

import { randomUUID } from 'node:crypto';
import { withApp } from '../decision/app.ts';
import { assignRules } from '../decision/decide.ts';
import { type Identity, identify } from '../decision/identity.ts';
import type { Policy } from '../decision/policy.ts';
import type { Reason } from '../decision/reasons.ts';
import { type AdmitParts, messageOf } from './admit.ts';
import { type Answer, type AnswerOptions, answerRefusal } from './answer.ts';
import { hearApp } from './app.ts';
import type { DeviceConnection } from './connection.ts';
import { fieldValues, type RawFields } from './fields.ts';
import type { OwnFile, OwnFiles } from './own-files.ts';
import { deviceOfToken } from './pac-token.ts';
import { whoIs } from './whoami.ts';

/** `Allow` belongs to a refusal of the method (RFC 9110 section 15.5.6). */
export const allowed = { Allow: 'GET, HEAD' };

export const ownEndpoints = ['whoami', 'pac', 'pac_token', 'pvd'] as const;

export type OwnEndpointName = (typeof ownEndpoints)[number];

export interface OwnRoute {
  readonly endpoint: OwnEndpointName;
  /** Of `pac_token`. */
  readonly token: string | null;
}

export interface OwnSettings {
  readonly files: OwnFiles;
  /** Null: no PAC file without a certificate. */
  readonly pacSecret: string | null;
}

export interface OwnParts extends AdmitParts {
  readonly answer: () => AnswerOptions;
  /** Null where the configuration does not say how devices reach this gateway. */
  readonly own: () => OwnSettings | null;
}

export interface OwnRequest {
  readonly route: OwnRoute;
  readonly method: string;
  readonly fields: RawFields;
  readonly connection: DeviceConnection;
}

const paths: ReadonlyMap<string, OwnEndpointName> = new Map([
  ['/whoami', 'whoami'],
  ['/pac', 'pac'],
  ['/.well-known/pvd', 'pvd'],
]);

/** Null for everything else, a known path with a query among it. */
export function ownRoute(path: string): OwnRoute | null {
  const endpoint = paths.get(path);
  if (endpoint !== undefined) return { endpoint, token: null };
  const token = /^\/pac\/([\w.-]{1,600})\.pac$/.exec(path)?.[1];
  return token === undefined ? null : { endpoint: 'pac_token', token };
}

/** Never an admission: nothing is dialled, and no tunnel counted. One line is logged, whatever comes of it. */
export async function answerOwn(request: OwnRequest, parts: OwnParts): Promise<Answer> {
  const id = randomUUID();
  const startedAt = parts.now();
  // One snapshot from beginning to end.
  const asked = { request, policy: parts.policy(), own: parts.own(), id, parts };
  let cause: string | null = null;
  const outcome = await resolveOwn(asked).catch((error: unknown): Outcome => {
    cause = messageOf(error);
    return refused('gateway.internal');
  });
  const { identity, reason } = outcome;
  parts.telemetry.own({
    id,
    endpoint: request.route.endpoint,
    connection: request.connection,
    method: request.method,
    deviceId: identity?.deviceId ?? null,
    reason,
    cause,
    elapsedMs: parts.now() - startedAt,
  });
  if (outcome.answer !== null) return outcome.answer;
  const [accept] = fieldValues(request.fields, 'accept');
  const answer = answerRefusal(outcome.reason ?? 'gateway.internal', id, accept, {
    ...parts.answer(),
    ...(outcome.members !== null && { members: outcome.members }),
  });
  if (reason !== 'request.method') return answer;
  return { ...answer, headers: { ...answer.headers, ...allowed } };
}

interface Asked {
  readonly request: OwnRequest;
  readonly policy: Policy;
  readonly own: OwnSettings | null;
  readonly id: string;
  readonly parts: OwnParts;
}

interface Outcome {
  readonly answer: Answer | null;
  readonly reason: Reason | null;
  readonly identity: Pick<Identity, 'deviceId'> | null;
  readonly members: Readonly<Record<string, unknown>> | null;
}

function refused(reason: Reason, identity: Outcome['identity'] = null): Outcome {
  return { answer: null, reason, identity, members: null };
}

async function resolveOwn(asked: Asked): Promise<Outcome> {
  const { request, own } = asked;
  const { endpoint } = request.route;
  // As if the path were not there: without the settings it is not.
  if (endpoint !== 'whoami' && own === null) return refused('request.not_proxied');
  if (request.method !== 'GET' && request.method !== 'HEAD') return refused('request.method');
  return endpoint === 'pac_token' ? await answerToken(asked) : await answerDevice(asked);
}

async function answerDevice({ request, policy, own, parts }: Asked): Promise<Outcome> {
  const { connection, fields, route } = request;
  const who = identify(connection.peer, policy.identity, parts.now());
  if (!who.ok) return refused(who.reason);
  const heard = hearApp(policy.identity.app, fields, parts.app);
  const identity = withApp(who.identity, heard, policy.identity.app);
  if (connection.isSurplus) return refused('limits.device_connections', identity);
  const posture = await parts.posture.facts(identity.deviceId);
  const now = parts.now();
  const known = assignRules({ identity, posture }, policy, now);
  if (route.endpoint === 'whoami') {
    const members = whoIs({ identity, posture, known, policy, unfit: parts.unfit(), now });
    if (known.action === 'refuse') return { ...refused(known.reason, identity), members };
    const body = { ...members, gateway: parts.answer().name, help: parts.answer().help };
    return { answer: answerJson(body), reason: null, identity, members: null };
  }
  if (known.action === 'refuse') return refused(known.reason, identity);
  if (own === null) return refused('request.not_proxied', identity);
  const kind = route.endpoint === 'pvd' ? 'pvd' : 'pac';
  const file = await own.files[kind](known.set, parts.now());
  return { answer: answerFile(file, fields), reason: null, identity, members: null };
}

/** Whatever is wrong with the token or its device, the answer is that of a path that is not there. */
async function answerToken({ request, policy, own, parts }: Asked): Promise<Outcome> {
  const { token } = request.route;
  const secret = own?.pacSecret ?? null;
  const deviceId = token === null || secret === null ? null : deviceOfToken(token, secret);
  if (deviceId === null || own === null) return refused('request.not_proxied');
  const identity = { ...nobody, deviceId };
  const posture = await parts.posture.facts(deviceId);
  const known = assignRules({ identity, posture }, policy, parts.now());
  if (known.action === 'refuse') return refused('request.not_proxied', identity);
  const answer = answerFile(await own.files.pac(known.set, parts.now()), request.fields);
  // One for each connection: those are counted, by source, as long as nobody is identified on them.
  const headers = { ...answer.headers, Connection: 'close' };
  return { answer: { ...answer, headers }, reason: null, identity, members: null };
}

/** What there is of an identity without a certificate. */
const nobody: Omit<Identity, 'deviceId'> = {
  user: null,
  serial: null,
  app: null,
  fingerprint: 'token',
  certificateSerial: '',
  subjectText: '',
  notAfter: 0,
};

function answerJson(body: object): Answer {
  const text = `${JSON.stringify(body)}\n`;
  return {
    status: 200,
    body: text,
    headers: {
      'Content-Type': 'application/json',
      'Content-Length': String(Buffer.byteLength(text)),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
    },
  };
}

function answerFile({ content, contentType, etag }: OwnFile, fields: RawFields): Answer {
  const headers = {
    ETag: etag,
    'Cache-Control': 'private, max-age=60',
    'X-Content-Type-Options': 'nosniff',
  };
  const known = fieldValues(fields, 'if-none-match').flatMap((value) => value.split(','));
  if (known.some((one) => one.trim().replace(/^W\//, '') === etag)) {
    return { status: 304, headers, body: '' };
  }
  const length = String(content.length);
  return {
    status: 200,
    headers: { 'Content-Type': contentType, 'Content-Length': length, ...headers },
    body: content.toString(),
  };
}
