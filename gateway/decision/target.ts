// The one parser of what a device asks for: CONNECT targets and absolute-form request targets.

import { parseAddress } from '../../dtr-rules/address.ts';
import { canonicalHostname } from '../../dtr-rules/hostname.ts';
import type { Target } from '../../dtr-rules/rule.ts';

/** An absolute-form request, RFC 9112 section 3.2.2. */
export interface ForwardTarget {
  readonly target: Target;
  /** What the Host field of the forwarded request says: the authority, port only when not 80. */
  readonly authority: string;
  /** Path and query, never empty; `*` for OPTIONS of the server as a whole. */
  readonly path: string;
}

/** `host:port`, the port written out (RFC 9110 section 9.3.6 knows no default for CONNECT). Null
 *  for anything else: user information, schemes, spaces, encoded or control bytes (threats H09). */
export function parseConnectTarget(text: string): Target | null {
  const colon = text.lastIndexOf(':');
  if (colon <= 0) return null;
  const port = parsePort(text.slice(colon + 1));
  return port === null ? null : parseHost(text.slice(0, colon), port);
}

/** The target of an absolute-form `http://` request; a refusal code when it is something else. */
export function parseForwardTarget(
  text: string,
): ForwardTarget | 'request.malformed' | 'request.scheme' | 'request.not_proxied' {
  if (text.startsWith('/') || text === '*') return 'request.not_proxied';
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return 'request.malformed';
  if (scheme !== 'http')
    return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? 'request.scheme' : 'request.malformed';
  const parts = /^http:\/\/([^/?#\\@]+)([/?][\x21-\x7e]*)?$/i.exec(text);
  const written = parts?.[1];
  const rest = parts?.[2] ?? '/';
  // A fragment is never sent (RFC 9110 section 7.1); a backslash is a slash to some and not to others.
  if (written === undefined || /[#\\]/.test(rest)) return 'request.malformed';
  const target = parseAuthority(written);
  if (target === null) return 'request.malformed';
  const host = target.address?.family === 6 ? `[${target.host}]` : target.host;
  return {
    target,
    authority: target.port === 80 ? host : `${host}:${target.port}`,
    path: rest.startsWith('?') ? `/${rest}` : rest,
  };
}

/** Bracketed for IPv6, as it stands in URLs and in `host:port`. */
export function formatTarget(target: Target): string {
  return target.address?.family === 6
    ? `[${target.host}]:${target.port}`
    : `${target.host}:${target.port}`;
}

function parseAuthority(text: string): Target | null {
  const port = /:(\d+)$/.exec(text)?.[1];
  if (port === undefined) return parseHost(text, 80);
  const number = parsePort(port);
  return number === null ? null : parseHost(text.slice(0, -port.length - 1), number);
}

function parsePort(text: string): number | null {
  if (!/^[1-9]\d{0,4}$/.test(text)) return null;
  const port = Number(text);
  return port <= 65_535 ? port : null;
}

function parseHost(text: string, port: number): Target | null {
  if (text.startsWith('[')) {
    const address = text.endsWith(']') ? parseAddress(text.slice(1, -1)) : null;
    return address?.family === 6 ? { host: address.text, address, port } : null;
  }
  const address = parseAddress(text);
  if (address !== null) {
    // Without brackets the last group of an IPv6 address could be the port (RFC 3986 section 3.2.2).
    return address.family === 4 ? { host: address.text, address, port } : null;
  }
  // Only printable ASCII: a device that wants an internationalised name sends its A-labels (threats D04).
  if (!/^[\x21-\x7e]+$/.test(text)) return null;
  const host = canonicalHostname(text);
  return host === null ? null : { host, address: null, port };
}
