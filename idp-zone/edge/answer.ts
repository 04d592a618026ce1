// Sends a page, and puts on every answer what keeps it out of frames, caches and other origins.
import type { ServerResponse } from 'node:http';
import { CONTENT_SECURITY_POLICY } from './html.ts';

export function protect(response: ServerResponse): void {
  response.setHeader('content-security-policy', CONTENT_SECURITY_POLICY);
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('x-frame-options', 'DENY');
  response.setHeader('referrer-policy', 'no-referrer');
}

export function sendPage(response: ServerResponse, status: number, content: string): void {
  response.statusCode = status;
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(content);
}
