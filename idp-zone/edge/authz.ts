// The decision endpoint: a proxy asks whether somebody may reach an application, and acts on the status.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AddressRange, compileAddressTable } from '../../dtr-rules/address.ts';
import type { Person } from '../decision/conditions.ts';
import { type Reason, reasons } from '../decision/reasons.ts';
import { type Accounts, personOf } from './accounts.ts';
import { explain, sendPage } from './answer.ts';
import type { Gate } from './gate.ts';
import { refusedPage } from './pages.ts';
import type { ReadFacts, RequestFacts } from './request-facts.ts';
import type { Telemetry } from './telemetry.ts';

export interface AuthzOptions {
  readonly peers: readonly AddressRange[]; // who may ask
  readonly apps: readonly string[];
  readonly appField: string | null; // names the application when the path does not
  readonly userField: string | null; // null: nobody is asked who they are
  readonly groupsField: string | null; // null: groups are those of the directory
  readonly signIn: string | null; // where somebody unknown can become known
  readonly gate: Gate;
  readonly facts: ReadFacts;
  readonly telemetry: Telemetry;
  readonly accounts: Accounts;
}

/** Answers when the path is `/authz` or below it; otherwise leaves the request alone and returns false. */
export type AnswerAuthz = (request: IncomingMessage, response: ServerResponse) => boolean;

interface Refused {
  readonly reason: Reason;
  readonly message: string;
  readonly help: string | null;
}

const MAX_VALUE = 1024;
const MAX_GROUPS_VALUE = 8 * 1024;

export function createAuthz(options: AuthzOptions): AnswerAuthz {
  const { facts, telemetry, gate, apps } = options;
  const peers = compileAddressTable(options.peers.map((range) => ({ range, value: true })));

  function judge(request: IncomingMessage, from: RequestFacts): Refused | null {
    const refuse = (reason: Reason, client: string | null): Refused => {
      telemetry.attempt('authz', { from, user: null, client, reason });
      return { reason, message: reasons[reason].sentence, help: null };
    };
    const peer = from.chain.at(-1);
    if (peer === undefined || peers.find(peer).length === 0) return refuse('sign-on.proxy', null);
    const app = appOf(request, options);
    if (app === null || !apps.includes(app)) return refuse('sign-on.application', null);
    // Without an address in the field the client would be the proxy, and a zone may well hold that one.
    if (!from.isNamed) return refuse('sign-on.no_client', app);
    const judged = gate(request, readPerson(request, options), app);
    judged.record('authz');
    return judged.decision.action === 'allow' ? null : judged.decision;
  }

  return (request, response) => {
    if (!/^\/authz(?:[/?]|$)/.test(request.url ?? '')) return false;
    const from = facts(request);
    const refused = judge(request, from);
    explain(response, from.id, refused?.reason ?? null);
    if (refused === null) response.writeHead(200).end();
    else sendRefusal(response, { refused, from, signIn: options.signIn });
    return true;
  };
}

// Two statuses only: to nginx every other one is a failure of ours.
function sendRefusal(
  response: ServerResponse,
  given: {
    readonly refused: Refused;
    readonly from: RequestFacts;
    readonly signIn: string | null;
  },
): void {
  const { refused, from } = given;
  const { reason, message, help } = refused;
  const isUnknown = reasons[reason].status === 401;
  const signIn = isUnknown ? given.signIn : null;
  // RFC 9110 11.6.1 wants a challenge; no browser knows this one, so none asks for a password in its own window.
  if (isUnknown) response.setHeader('www-authenticate', 'Zonegate');
  if (signIn !== null) response.setHeader('x-zonegate-sign-in', signIn);
  if (help !== null) response.setHeader('x-zonegate-help', help);
  const address = from.client?.text ?? null;
  const content = refusedPage({ message, help, signIn, reason, id: from.id, address });
  sendPage(response, isUnknown ? 401 : 403, content);
}

// `/authz/wiki`; what follows is the path that was asked for (Envoy puts its `path_prefix` before it).
function appOf(request: IncomingMessage, { appField }: AuthzOptions): string | null {
  const path = request.url?.split('?', 1)[0] ?? '';
  const [, named] = /^\/authz\/([^/]+)(?:\/|$)/.exec(path) ?? [];
  if (named !== undefined) return named;
  return path === '/authz' ? onlyValue(request, appField) : null;
}

// Who the proxy says it is. What cannot be read for certain is not known: no guess is made of it.
function readPerson(request: IncomingMessage, options: AuthzOptions): Person {
  const { userField, groupsField, accounts } = options;
  const user = onlyValue(request, userField);
  if (user === null) return { user: null, groups: null };
  if (groupsField === null) {
    const account = accounts.find(user);
    return account === null ? { user, groups: null } : personOf(account);
  }
  const groups = onlyValue(request, groupsField, MAX_GROUPS_VALUE);
  return { user, groups: groups?.split(',').map((one) => one.trim()) ?? null };
}

// A field sent twice is the proxy's and somebody else's: nobody can tell which is which.
function onlyValue(
  request: IncomingMessage,
  field: string | null,
  maxBytes = MAX_VALUE,
): string | null {
  if (field === null) return null;
  const [value, ...others] = request.headersDistinct[field.toLowerCase()] ?? [];
  if (value === undefined || others.length > 0 || value.length > maxBytes) return null;
  return decoded(value);
}

// Node hands fields over byte by byte; what is not UTF-8, empty or has control characters names nobody.
function decoded(value: string): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'latin1'));
    return /^\P{Cc}+$/u.test(text) ? text : null;
  } catch {
    return null;
  }
}
