// Sends a page, and puts on every answer what keeps it out of frames, caches and other origins.
import type { ServerResponse } from 'node:http';
import type { Reason } from '../decision/reasons.ts';
import { CONTENT_SECURITY_POLICY } from './html.ts';

export function protect(response: ServerResponse): void {
  response.setHeader('content-security-policy', CONTENT_SECURITY_POLICY);
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('x-frame-options', 'DENY');
  response.setHeader('referrer-policy', 'no-referrer');
}

/** For a proxy, which may see nothing else of an answer (nginx), and may pass them on. */
export function explain(response: ServerResponse, id: string, reason: Reason | null): void {
  response.setHeader('x-zonegate-id', id);
  if (reason !== null) response.setHeader('x-zonegate-reason', reason);
}

export function sendPage(response: ServerResponse, status: number, content: string): void {
  response.statusCode = status;
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(content);
}
