// The listener for PAC files: TLS that asks for no certificate, because Chromium fetches none from where one is asked for.

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { PeerFacts } from '../decision/identity.ts';
import type { Reason } from '../decision/reasons.ts';
import { type Answer, answerExchange, answerRefusal, sayLast, toBytes } from './answer.ts';
import { type ArrivalOptions, guardArrivals } from './arrivals.ts';
import { connectionOf } from './connection.ts';
import { contextOf, type Listener, opening, type TlsMaterial } from './listener.ts';
import { allowed, answerOwn, type OwnParts, ownRoute } from './own.ts';
import { hasContent, isPlain } from './request-head.ts';
import { type Exchange, takeTurn } from './turns.ts';
import { hearFaults } from './unreadable.ts';

export interface PacListenOptions extends ArrivalOptions {
  readonly host: string | null;
  readonly port: number;
  readonly tls: TlsMaterial;
  readonly handshakeTimeoutMs: number;
  readonly headTimeoutMs: number;
}

/** The address of a file has less than a tenth of it. */
const maxHeadBytes = 8192;
/** So many times as long as a head, a connection lasts: who reads a file slower keeps it in our memory. */
const lifeInHeads = 3;

/** Whoever it is, and whatever session of another listener it resumed. */
const nobody: PeerFacts = { certificate: null, issuers: [], trust: 'NOT_ASKED', resumed: false };
const readPeer = (): PeerFacts => nobody;

export async function listenForPac(options: PacListenOptions, parts: OwnParts): Promise<Listener> {
  const tls = ownTls(options.tls);
  const server = createServer({
    ...contextOf(tls),
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: options.handshakeTimeoutMs,
    maxHeaderSize: maxHeadBytes,
    requireHostHeader: false, // refused with a reason, by `isPlain`
    shouldUpgradeCallback: () => false,
    headersTimeout: options.headTimeoutMs,
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(5000, options.headTimeoutMs / 2),
  });
  server.maxHeadersCount = 0;
  const { telemetry } = parts;
  const { watch } = guardArrivals(server, options, { telemetry, readPeer });
  const open = opening(server, { ...options, tls });
  server.on('secureConnection', (socket: TLSSocket) => {
    const cutOff = setTimeout(() => socket.destroy(), lifeInHeads * options.headTimeoutMs);
    socket.once('close', () => clearTimeout(cutOff));
  });
  const handle = async (exchange: Exchange): Promise<void> =>
    answerExchange(exchange, await answerTo(exchange.request, parts));
  // Every answer closes the connection: nobody rests on it.
  const serve = (request: Exchange['request'], response: Exchange['response']): void =>
    takeTurn({ request, response }, { handle, restMs: 0 });
  server.on('request', serve);
  // No body is wanted.
  server.on('checkContinue', serve);
  server.on('checkExpectation', serve);
  server.on('connect', (request, socket) => {
    answerTo(request, parts).then(
      (answer) => sayLast(socket, toBytes(answer)),
      () => socket.destroy(),
    );
  });
  hearFaults(server, { telemetry, answer: parts.answer, readPeer });
  watch();
  const listener = await open({ telemetry, drain: () => undefined });
  return { ...listener, setTls: (next) => listener.setTls(ownTls(next)) };
}

/** No session of it is one of the device listener's, nor of another process: each fetch is a new handshake. */
function ownTls({ certificate, key }: TlsMaterial): TlsMaterial {
  return { certificate, key, authorities: [] };
}

async function answerTo(request: IncomingMessage, parts: OwnParts): Promise<Answer> {
  const { method = '', rawHeaders: fields, url = '' } = request;
  const connection = connectionOf(request.socket as TLSSocket, readPeer);
  const route = ownRoute(url);
  const reason = faultOf(request, route?.endpoint === 'pac_token');
  if (route !== null && reason === null) {
    return await answerOwn({ route, method, fields, connection }, parts);
  }
  const id = randomUUID();
  const refused = reason ?? 'gateway.internal';
  parts.telemetry.malformed({ id, reason: refused, connection, detail: method });
  const answer = answerRefusal(refused, id, request.headers.accept, parts.answer());
  if (refused !== 'request.method') return answer;
  return { ...answer, headers: { ...answer.headers, ...allowed } };
}

function faultOf(request: IncomingMessage, isPac: boolean): Reason | null {
  if (!isPlain(request)) return 'request.malformed';
  if (request.method !== 'GET' && request.method !== 'HEAD') return 'request.method';
  if (hasContent(request)) return 'request.malformed';
  return isPac ? null : 'request.not_proxied';
}
