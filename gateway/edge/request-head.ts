// Decides whether a request head can be read in one way only: what Node's parser lets pass and a proxy must not.

import type { IncomingMessage } from 'node:http';
import { fieldValues } from './fields.ts';

/** What is to be known of a request head whose method is CONNECT. */
export type ConnectHead = Pick<IncomingMessage, 'url' | 'httpVersion' | 'rawHeaders'>;

// RFC 9112 section 3.2: `uri-host [":" port]`; a list, user information or a path is none of it.
const hostField = /^(?:\[[\da-f:.]+\]|[\w.-]*)(?::\d*)?$/i;

/** One known version, one Host, at most one framing, no expectation but the one there is (threats
 *  H02, H03, H07, H17, H26). Host decides nothing here, but the next parser on the way may think otherwise. */
export function isPlain(request: Pick<IncomingMessage, 'httpVersion' | 'rawHeaders'>): boolean {
  const { httpVersion, rawHeaders } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return false;
  const [host, ...otherHosts] = fieldValues(rawHeaders, 'host');
  if (host === undefined || otherHosts.length > 0 || !hostField.test(host)) return false;
  if (fieldValues(rawHeaders, 'expect').some((one) => one.toLowerCase() !== '100-continue')) {
    return false;
  }
  const codings = fieldValues(rawHeaders, 'transfer-encoding');
  const lengths = fieldValues(rawHeaders, 'content-length');
  if (codings.length + lengths.length > 1) return false;
  // Another coding would be taken off here with the field, and the origin would not know of it.
  return codings.every((one) => one.toLowerCase() === 'chunked' && httpVersion === '1.1');
}

/** A CONNECT has no content; a length or coding would make two readings of what follows (threats H12). */
export function isPlainConnect(request: ConnectHead): boolean {
  if (!isPlain(request) || fieldValues(request.rawHeaders, 'transfer-encoding').length > 0) {
    return false;
  }
  return fieldValues(request.rawHeaders, 'content-length').every((one) => /^0+$/.test(one));
}

/** Answered once the request is admitted, so that nobody sends a body to a refusal. An HTTP/1.0
 *  client does not know the answer (RFC 9110 section 10.1.1). */
export function expectsContinue(request: IncomingMessage): boolean {
  return request.headers.expect !== undefined && request.httpVersion === '1.1';
}

export function hasContent(request: IncomingMessage): boolean {
  if (fieldValues(request.rawHeaders, 'transfer-encoding').length > 0) return true;
  return fieldValues(request.rawHeaders, 'content-length').some((one) => !/^0+$/.test(one));
}
