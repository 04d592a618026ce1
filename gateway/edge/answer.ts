// Turns a reason into what a proxy client understands and a person can act on; it discloses nothing else.

import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Reason, reasons } from '../decision/reasons.ts';
import type { Exchange } from './turns.ts';

export interface AnswerOptions {
  /** This gateway's name in Via and Proxy-Status, RFC 9110 section 7.6.3. */
  readonly name: string;
  /** Where the person finds help; null when the operator gave none. */
  readonly help: string | null;
  /** Where a code of HTTP says it more exactly than that of the reason. */
  readonly status?: number;
  /** More for whoever asks about itself, in the problem document. */
  readonly members?: Readonly<Record<string, unknown>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A problem document (RFC 9457) with `reason`, `detail` and `help`, or the same as a page when a
 *  browser asks for one. `Proxy-Status` says it for machines (RFC 9209). */
export function answerRefusal(
  reason: Reason,
  id: string,
  accept: string | undefined,
  options: AnswerOptions,
): Answer {
  const { error, sentence, fix } = reasons[reason];
  const { status = reasons[reason].status } = options;
  const asPage = accept?.includes('text/html') === true;
  const help = options.help;
  const body = asPage
    ? page(reason, id, help)
    : `${JSON.stringify({
        type: 'about:blank',
        title: STATUS_CODES[status],
        status,
        detail: `${sentence} ${fix}`,
        instance: `urn:uuid:${id}`,
        reason,
        ...(help === null ? {} : { help }),
        ...options.members,
      })}\n`;
  return {
    status,
    body,
    headers: {
      'Content-Type': asPage ? 'text/html; charset=utf-8' : 'application/problem+json',
      'Content-Length': String(Buffer.byteLength(body)),
      'Cache-Control': 'no-store',
      'Content-Security-Policy':
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      'X-Content-Type-Options': 'nosniff',
      'Proxy-Status': `${options.name}; error=${error}; details="${reason}"`,
      ...(help === null ? {} : { Link: `<${help}>; rel="help"` }),
      Connection: 'close',
    },
  };
}

/** The bytes of an answer, for sockets that an HTTP server has let go of (CONNECT, parser errors). */
export function toBytes(answer: Answer): string {
  const head = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}\r\n${head.join('')}\r\n${answer.body}`;
}

/** How long a refused device may go on sending before the connection is cut off. */
const lingerMs = 1000;

/** The last that is said on a connection the HTTP server has let go of. What still comes in is thrown
 *  away for a moment: closing on unread bytes would reset the connection, and with it lose the answer. */
export function sayLast(socket: Duplex, bytes: string): void {
  if (socket.destroyed) return;
  if (socket.readableEnded) return void socket.end(bytes, () => socket.destroy());
  const cutOff = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(cutOff));
  socket.once('end', () => socket.end(() => socket.destroy()));
  socket.end(bytes);
  socket.resume();
}

/** Refuses a request; the connection ends with it, once what the device is still sending is read. */
export function refuseExchange(
  { request, response }: Exchange,
  reason: Reason,
  id: string,
  options: AnswerOptions,
): void {
  answerExchange({ request, response }, answerRefusal(reason, id, request.headers.accept, options));
}

export function answerExchange({ request, response }: Exchange, answer: Answer): void {
  if (response.headersSent || response.destroyed || !request.socket.writable) return;
  response.writeHead(answer.status, STATUS_CODES[answer.status], answer.headers);
  if (request.method !== 'HEAD') response.write(answer.body);
  if (request.complete) return void response.end();
  const cutOff = setTimeout(() => response.end(), lingerMs);
  response.once('close', () => clearTimeout(cutOff));
  request.once('end', () => response.end());
  request.resume();
}

function page(reason: Reason, id: string, help: string | null): string {
  const { sentence, fix } = reasons[reason];
  const link =
    help === null ? '' : `<p><a href="${escapeHtml(help)}">What you can do about it</a></p>`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Not let through</title>
<style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}
:root{color-scheme:light dark}small{opacity:.7}</style></head>
<body><main><h1>Not let through</h1><p><strong>${sentence}</strong></p><p>${fix}</p>${link}
<p><small>Reason <code>${reason}</code>, request <code>${id}</code></small></p></main></body></html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
