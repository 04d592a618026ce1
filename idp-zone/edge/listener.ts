// The HTTPS server: takes requests for this issuer only and hands them to the interaction pages or the provider.
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { OIDCProviderError } from 'oidc-provider/lib/helpers/errors.js';
import { type AddressRange, compileAddressTable } from '../../dtr-rules/address.ts';
import type { Log } from '../../runtime/log.ts';
import { expectProxyHeaders } from '../../runtime/proxy-protocol.ts';
import { reasons } from '../decision/reasons.ts';
import { explain, protect, sendPage } from './answer.ts';
import type { AnswerAuthz } from './authz.ts';
import type { FindBlock } from './gate.ts';
import type { Interactions } from './interaction.ts';
import { errorPage } from './pages.ts';
import type { ReadFacts } from './request-facts.ts';
import type { Telemetry } from './telemetry.ts';

const CLOSE_MS = 5_000;

export interface KeyPair {
  readonly certificate: string; // PEM
  readonly key: string;
}

export interface ListenOptions extends KeyPair {
  readonly host: string;
  readonly port: number;
  /** Balancers that say who is calling before TLS begins. */
  readonly proxyProtocol: {
    readonly peers: readonly AddressRange[];
    readonly timeoutMs: number;
  } | null;
  readonly log: Log;
}

export interface HandlerOptions {
  readonly issuer: string;
  readonly interactions: Interactions;
  readonly authz: AnswerAuthz | null;
  readonly callback: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly facts: ReadFacts;
  readonly findBlock: FindBlock;
  readonly telemetry: Telemetry;
  readonly log: Log;
}

export interface Listener {
  readonly port: number;
  peerOf(socket: Socket): string | null; // who connected, or whom its balancer names
  serve(options: HandlerOptions): void;
  renew(pair: KeyPair): void; // for connections from now on; throws when the two do not fit
  close(): Promise<void>;
}

export async function createListener(options: ListenOptions): Promise<Listener> {
  const server = createServer({
    cert: options.certificate,
    key: options.key,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: 10_000,
    headersTimeout: 10_000,
    requestTimeout: 20_000,
    keepAliveTimeout: 30_000,
    maxHeaderSize: 16 * 1024,
  });
  server.maxHeadersCount = 0; // the default hides later fields (threats 6); the bytes are limited instead
  server.maxConnections = 2_000;
  const peerOf = readPeers(server, options);
  server.listen(options.port, options.host === '' ? undefined : options.host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    peerOf,
    serve(handler) {
      server.on('request', (request, response) => void answer(handler, request, response));
    },
    renew: ({ certificate, key }) =>
      server.setSecureContext({ cert: certificate, key, minVersion: 'TLSv1.2' }),
    close: () => close(server),
  };
}

const MAX_PROXY_HEADER = 4096;

function readPeers(
  server: Server,
  { proxyProtocol, log }: ListenOptions,
): (socket: Socket) => string | null {
  if (proxyProtocol === null) return ({ remoteAddress }) => remoteAddress ?? null;
  const { peers, timeoutMs } = proxyProtocol;
  const balancers = compileAddressTable(peers.map((range) => ({ range, value: true })));
  const clients = expectProxyHeaders(server, {
    timeoutMs,
    maxBytes: MAX_PROXY_HEADER,
    peers: () => balancers,
    mayBegin: () => true,
    refused: (fault, detail, peer) => {
      const fields = { 'network.peer.address': peer.address, 'error.type': `PROXY_${fault}` };
      log.debug({ 'event.name': 'zonegate.proxy_header', ...fields }, detail ?? 'not served');
    },
  });
  // Invariant: without its header a connection comes from nobody, never from its balancer.
  return (socket) => clients.clientOf(socket)?.address ?? null;
}

async function answer(
  handler: HandlerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  protect(response);
  const from = handler.facts(request); // while the socket is certainly there: a peer that has gone has no address
  try {
    const blocked = handler.findBlock(from);
    if (blocked !== null) {
      handler.telemetry.blocked(from, blocked);
      return sendBlocked(response, from.id);
    }
    // Asked by proxies, which put the name of what they protect into Host.
    if (handler.authz?.(request, response) === true) return;
    if (!isForIssuer(request, handler.issuer)) return misdirected(handler, request, response);
    const path = request.url?.split('?', 1)[0] ?? '';
    const [, uid] = /^\/interaction\/([\w-]{1,64})$/.exec(path) ?? [];
    if (uid === undefined) await handler.callback(request, response);
    else if (/^(GET|HEAD|POST)$/.test(request.method ?? '')) {
      await handler.interactions(request, response, uid);
    } else {
      response.setHeader('allow', 'GET, HEAD, POST');
      response.writeHead(405).end();
    }
  } catch (error) {
    fail(handler, { request, response, error });
  }
}

// The provider builds addresses from the Host field; one that is not the issuer's would lead people elsewhere (I02).
function isForIssuer(request: IncomingMessage, issuer: string): boolean {
  const hosts = request.headersDistinct['host'] ?? [];
  const host = URL.parse(`https://${hosts[0] ?? ''}`)?.host;
  return (
    hosts.length === 1 && host === new URL(issuer).host && request.url?.startsWith('/') === true
  );
}

function misdirected(
  { facts }: HandlerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const content = errorPage({
    title: 'Not here',
    message: 'This address does not belong to this sign-in service.',
    code: 'misdirected_request',
    id: facts(request).id,
  });
  sendPage(response, 421, content);
}

// Before anything is read: no path, no name and no person changes it.
function sendBlocked(response: ServerResponse, id: string): void {
  const code = 'sign-on.blocked';
  const { status, sentence } = reasons[code];
  const content = errorPage({ title: 'You cannot sign in here', message: sentence, code, id });
  response.setHeader('connection', 'close');
  explain(response, id, code);
  sendPage(response, status, content);
}

interface Failure {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly error: unknown;
}

function fail({ facts, log }: HandlerOptions, { request, response, error }: Failure): void {
  const { id } = facts(request);
  const expected = error instanceof OIDCProviderError && error.expose ? error : null;
  if (expected === null) log.error({ err: error, 'zonegate.id': id }, 'sign-in page failed');
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const content = errorPage({
    title: 'This sign-in did not work',
    message:
      expected === null
        ? 'Something went wrong on our side. Try again in a minute.'
        : 'This sign-in is over or was begun in another window. Go back to the application and start again.',
    code: expected?.error ?? 'server_error',
    id,
  });
  sendPage(response, expected?.statusCode ?? 500, content);
}

// What is being answered may finish; nobody may hold the process up for longer.
async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
  await closed;
  clearTimeout(timer);
}
