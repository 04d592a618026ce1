// Owns the text form of destinations: host names, wildcards, addresses and their ports, and lists of them in one string.

import { formatAddress, isMapped, readAddressRange } from './address.ts';
import { canonicalHostname } from './hostname.ts';
import { quoted, type Reading, readAs, unreadable } from './reading.ts';
import type { Destination, Place, PortRange } from './rule.ts';

// What surrounds a cell of a spreadsheet or a quotation; none of it is ever part of a destination.
const wrapping = /^[\s"'\u2018-\u201f\u200b]+|[\s"'\u2018-\u201f\u200b]+$/g;

/** Separates a pasted `a,b:443,8443` at commas, semicolons, tabs and line ends: a piece that is only ports belongs to the
 *  destination before it. */
export function splitDestinations(text: string): readonly string[] {
  const pieces: string[] = [];
  for (const part of text.split(/[,;\t\r\n\u2028\u2029]/)) {
    // `10.0.0.1 - 10.0.0.9`, as people write it.
    const piece = part.replace(wrapping, '').replace(/(?<=[\da-f:]) +- +(?=[\da-f:])/i, '-');
    const previous = pieces.at(-1);
    if (/^\d+(?:-\d+)?$/.test(piece) && previous !== undefined && hasPorts(previous)) {
      pieces[pieces.length - 1] = `${previous},${piece}`;
    } else if (piece !== '') pieces.push(piece);
  }
  return pieces;
}

export function readDestination(text: string): Reading<Destination> {
  const url = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?([^/?#]*)/i.exec(text)?.[1];
  if (url !== undefined)
    return unreadable(`${quoted(text)} is a URL, expected a host name`, hintToWrite(url));
  const [, bracketed, plain, portText] = /^(?:\[([^\]]*)\]|([^:]*))(?::([^:]*))?$/.exec(text) ?? [];
  const place = readPlace(bracketed ?? plain ?? text, bracketed !== undefined);
  if (!place.ok) return place;
  if (portText === undefined) return readAs({ ...place.value, ports: null, text });
  const ports = readPorts(portText);
  return ports.ok ? readAs({ ...place.value, ports: ports.value, text }) : ports;
}

/** Only what would be read may be advised. */
function hintToWrite(text: string): string | null {
  return text !== '' && readDestination(text).ok ? `write ${quoted(text)}` : null;
}

export function parsePort(text: string): number | null {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : null;
}

function hasPorts(destination: string): boolean {
  return /^(?:\[[^\]]*\]|[^:]*):[^:]*$/.test(destination);
}

function readPorts(text: string): Reading<readonly PortRange[]> {
  const ports: PortRange[] = [];
  for (const piece of text.split(',')) {
    const [from = '', to = from, ...more] = piece.split('-');
    const first = parsePort(from);
    const last = parsePort(to);
    if (first === null || last === null || more.length > 0) {
      return unreadable(
        `${quoted(piece)} is not a port from 1 to 65535, nor a range of them such as \`8443-8450\``,
        piece === '' || piece === '*' ? 'leave the colon out, too: then every port matches' : null,
      );
    }
    if (first > last)
      return unreadable(`ports ${quoted(piece)} run backwards`, `write \`${last}-${first}\``);
    ports.push({ first, last });
  }
  return readAs(ports);
}

function readPlace(text: string, isBracketed: boolean): Reading<Place> {
  if (text === '') return unreadable('a destination is empty');
  if (isBracketed && !text.includes(':')) {
    return unreadable(
      `${quoted(`[${text}]`)} is not an IPv6 address`,
      'only IPv6 is written in brackets',
    );
  }
  if (text.includes(':') || /^\d[\d.]*(?:$|\/|-[\d.]*$)/.test(text)) return readAddresses(text);
  if (text.includes('*') || text.startsWith('.')) return readWildcard(text);
  const host = canonicalHostname(text);
  return host === null ? notAName(text) : readAs({ kind: 'host', host });
}

function readAddresses(text: string): Reading<Place> {
  const reading = readAddressRange(text);
  if (!reading.ok) {
    if (/^\d+(?:-\d+)?$/.test(text)) {
      return unreadable(reading.message, 'ports follow their destination: `example.com:443,8443`');
    }
    const isWithPort = /^[^/%-]*:[^/%-]*$/.test(text);
    const hint = isWithPort ? 'IPv6 with ports is written `[2001:db8::1]:443`' : null;
    return unreadable(reading.message, reading.hint ?? hint);
  }
  const range = reading.value;
  if (isMapped(range.first) && isMapped(range.last)) {
    const [first, last] = [range.first, range.last].map((value) =>
      formatAddress(4, value & 0xffff_ffffn),
    );
    return unreadable(
      `${quoted(text)} is IPv4 inside IPv6, which is judged as IPv4`,
      `write \`${first === last ? first : `${first}-${last}`}\``,
    );
  }
  return readAs({ kind: 'addresses', range });
}

function readWildcard(text: string): Reading<Place> {
  const stars = text.toLowerCase().replace(/\*{2,}/g, '*');
  if (stars === '*') return readAs({ kind: 'any' });
  const [, star, rest] = /^(\*?)\.([^*]*)$/.exec(stars) ?? [];
  if (rest !== undefined) {
    const suffix = canonicalHostname(rest);
    return suffix === null
      ? notAName(text)
      : readAs({ kind: 'subdomains', suffix, apex: star === '' });
  }
  return readPattern(text, stars.replace(/(?<=[a-z0-9_-])\.$/, ''));
}

function readPattern(text: string, pattern: string): Reading<Place> {
  if (!/^[a-z0-9_.*-]+$/.test(pattern)) return notAName(text);
  if (pattern.length > 253) return unreadable(`${quoted(text)} is longer than 253 characters`);
  if (/^[\d.]+\*[\d.*]*$/.test(pattern)) {
    return unreadable(
      `${quoted(text)} looks like IP addresses, but \`*\` stands in names only`,
      'write a block such as `10.0.0.0/8`',
    );
  }
  // Canonical names have no empty label, none longer than 63, and their last label is not a number.
  if (/^\.|\.\.|\.$|\.\d+$|[^.*]{64}/.test(pattern))
    return unreadable(`${quoted(text)} can match no host name`);
  return readAs({ kind: 'pattern', pattern });
}

function notAName(text: string): Reading<never> {
  const odd = /[^A-Za-z0-9_.*-]/u.exec(text);
  if (odd === null) {
    const label = /[^.]{64,}/.exec(text)?.[0];
    if (label === undefined) return unreadable(`${quoted(text)} is not a host name`);
    return unreadable(`${quoted(text)} has a label of ${label.length} characters, at most 63 fit`);
  }
  const [character] = odd;
  const place = `${quoted(character)} at character ${odd.index + 1}`;
  const isInternational = character > '\x7f';
  return unreadable(
    `${quoted(text)} has ${place}, expected letters, digits, \`-\`, \`_\`, \`.\` or \`*\``,
    isInternational
      ? 'write international names in their `xn--` form'
      : (spaceHint(character) ?? pathHint(text)),
  );
}

function spaceHint(character: string): string | null {
  return character === ' ' ? 'separate destinations by commas or line ends' : null;
}

function pathHint(text: string): string | null {
  const host = text.replace(/\/.*$/s, '');
  return host === text ? null : hintToWrite(host);
}
