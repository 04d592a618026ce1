// The admin server: health, readiness, metrics, the API behind its bearer token, and webhooks.

import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { isIP } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Readiness } from './readiness.ts';
import { isOneOfSecrets } from './secret.ts';

export interface AdminOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly tokens: readonly string[];
  readonly hosts?: readonly string[]; // names it may be addressed by, beside addresses and localhost
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly log: Log;
  readonly routes: (app: Hono) => void; // mounted below /api/v1, behind the bearer token
  readonly webhooks: (app: Hono) => void; // mounted below /webhooks, each with its own credentials
}

export interface Admin {
  readonly port: number;
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 64 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;
const CLOSE_GRACE_MS = 250; // for answers under way; an event stream would never end by itself

export async function createAdmin(options: AdminOptions): Promise<Admin> {
  const app = createApp(options);
  const answer = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = createServer(
    {
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => void answer(request, response),
  );
  await listen(server, options.listen);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port after listening');
  return { port: address.port, close: () => close(server) };
}

function createApp(options: AdminOptions): Hono {
  const app = new Hono();
  app.use(answerSafely, checkAddressee(options.hosts ?? []));
  app.get('/healthz', (context) => context.json({ status: 'ok' }));
  app.get('/readyz', (context) => {
    const { ready, checks } = options.readiness.report();
    return context.json({ status: ready ? 'ready' : 'not ready', checks }, ready ? 200 : 503);
  });
  app.get('/metrics', async () => {
    const headers = { 'content-type': options.metrics.contentType };
    return new Response(await options.metrics.text(), { headers });
  });
  app.route('/api/v1', mounted(options.routes, [checkToken(options.tokens), limitBody]));
  app.route('/webhooks', mounted(options.webhooks, [limitBody]));
  app.notFound(() => problem(404, 'Not Found', 'there is nothing at this path'));
  app.onError((error, context) => answerError(error, context, options.log));
  return app;
}

function mounted(routes: (app: Hono) => void, checks: readonly MiddlewareHandler[]): Hono {
  const app = new Hono();
  app.use(...checks);
  routes(app);
  return app;
}

// A body of undeclared length is read here, as far as it may go, and handed on as a whole. (Hono's own
// limit needs Node's global Request replaced, which would reach beyond this server.)
const limitBody: MiddlewareHandler = async (context, next) => {
  const { raw } = context.req;
  const tooLarge = () =>
    problem(413, 'Content Too Large', `a body may have ${MAX_BODY_BYTES} bytes`);
  if (Number(raw.headers.get('content-length')) > MAX_BODY_BYTES) return tooLarge();
  if (raw.headers.has('transfer-encoding') && raw.body !== null) {
    const body = await readUpTo(raw.body, MAX_BODY_BYTES);
    if (body === null) return tooLarge();
    context.req.raw = new Request(raw.url, { method: raw.method, headers: raw.headers, body });
  }
  await next();
  return undefined;
};

async function readUpTo(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<Buffer<ArrayBuffer> | null> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

// Every answer can be found again by its id, is kept nowhere, and is never taken for a page.
const answerSafely: MiddlewareHandler = async (context, next) => {
  const id = randomUUID();
  context.set('requestId', id);
  await next();
  if (context.res.headers.get('content-type') === 'application/problem+json') {
    const { status, headers } = context.res;
    const body: unknown = await context.res.json();
    context.res = new Response(JSON.stringify({ ...Object(body), instance: id }), {
      status,
      headers,
    });
  }
  const { headers } = context.res;
  headers.set('x-request-id', id);
  headers.set('cache-control', 'no-store');
  headers.set('x-content-type-options', 'nosniff');
  if (!headers.has('content-security-policy')) {
    headers.set('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
  }
};

// A page elsewhere can make a browser send requests here, under its own name once that name resolves
// to our address; neither its name nor its origin is ours (DNS rebinding, threat A03).
function checkAddressee(hosts: readonly string[]): MiddlewareHandler {
  const known = new Set(['localhost', ...hosts.map((host) => host.toLowerCase())]);
  return async (context, next) => {
    const host = context.req.header('host') ?? '';
    const name = URL.parse(`http://${host}`)?.hostname ?? '';
    if (!known.has(name) && isIP(name.replace(/^\[(.*)\]$/, '$1')) === 0) {
      return problem(421, 'Misdirected Request', 'the host is not in the list of admin hosts');
    }
    const origin = context.req.header('origin');
    if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
      return problem(403, 'Forbidden', 'requests from other origins are refused');
    }
    await next();
    return undefined;
  };
}

// Only the Authorization field counts: a token in a URL is logged on its way, and one in a cookie is
// sent by the browser whoever asks it to (threat A02).
function checkToken(tokens: readonly string[]): MiddlewareHandler {
  return async (context, next) => {
    if (tokens.length === 0) return problem(403, 'Forbidden', 'no admin token configured');
    const [, given] = /^Bearer +(\S+)$/i.exec(context.req.header('authorization') ?? '') ?? [];
    if (given === undefined || !isOneOfSecrets(given, tokens)) {
      const answer = problem(401, 'Unauthorized', 'a valid bearer token is needed');
      answer.headers.set('www-authenticate', 'Bearer realm="zonegate admin"');
      return answer;
    }
    await next();
    return undefined;
  };
}

export interface ProblemError {
  readonly detail: string;
  readonly pointer: string; // JSON pointer into the request's body
}

// A problem as of RFC 9457; its `instance` is added on the way out.
export function problem(
  status: number,
  title: string,
  detail: string,
  errors: readonly ProblemError[] = [],
): Response {
  const body = { type: 'about:blank', title, status, detail, ...(errors.length > 0 && { errors }) };
  const headers = { 'content-type': 'application/problem+json' };
  return new Response(JSON.stringify(body), { status, headers });
}

function answerError(error: Error, context: Context, log: Log): Response {
  if (error instanceof HTTPException) {
    return problem(error.status, 'Request refused', error.message);
  }
  const request_id: unknown = context.get('requestId');
  log.error({ err: error, request_id, path: context.req.path }, 'an admin request failed');
  return problem(500, 'Internal Server Error', 'the request failed; the log has the cause');
}

function listen(server: Server, { host, port }: AdminOptions['listen']): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}
