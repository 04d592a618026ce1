// Owns the PAC file: its text, and reading what such a text answers.

import type { Target } from '../rule.ts';
import type { WaysIn } from './check.ts';
import { remark } from './draft.ts';
import { pacTables } from './pac-table.ts';
import type { Plan } from './plan.ts';
import type { Note, Way } from './profile.ts';

export const pacType = 'application/x-ns-proxy-autoconfig';

/** Runs a PAC file in a sandbox that has none of the browsers' helper functions. */
export type RunPac = (text: string) => (url: string, host: string) => unknown;

/** `proxy` is what PAC files call it, for example `HTTPS gw.example.net:8443`. */
export function pacText(
  plan: Pick<Plan, 'lines' | 'otherwise'>,
  proxy: string,
  name: string,
): string {
  const { ways, ...tables } = pacTables(plan.lines, plan.otherwise);
  const answers = ways.map((way) => answerOf(way, proxy));
  const data = JSON.stringify({ answers, unreadable: proxy, ...tables });
  return `// Zonegate: which way what goes, for rule set ${asciiText(name)}. Made from the rules; an edit here is lost.
var zonegate = ${data};
${findProxy}`;
}

/** Chromium's source bounds a PAC file so (`kDefaultMaxResponseBytes`, not tried): beyond it nothing goes by the rules. */
const longestPac = 1_048_576;

/** About a PAC file that is fetched; inside a profile it is not fetched. */
export function lengthNotes(text: string): readonly Note[] {
  if (text.length <= longestPac) return [];
  return [
    remark(
      'this many names in one PAC file',
      `it has ${text.length} bytes, and Chromium loads none above ${longestPac}: shorten the rules, or let a wildcard stand for many of them`,
    ),
  ];
}

/** What a PAC file says of a target that is asked for with this scheme. */
export function wayInPac(answer: unknown, proxy: string): Way | null {
  const ways: readonly Way[] = ['gateway', 'gateway-or-direct', 'direct'];
  return ways.find((way) => answerOf(way, proxy) === answer) ?? null;
}

/** The arguments a browser hands over; it leaves the port out where it is the usual one. */
export function pacQuestions({
  host,
  address,
  port,
}: Target): readonly (readonly [string, string])[] {
  const written = address?.family === 6 ? `[${host}]` : host;
  const usual = new Map([
    [80, ['http', 'ws']],
    [443, ['https', 'wss']],
  ]).get(port);
  const urls = usual?.map((scheme) => `${scheme}://${written}/`) ?? [];
  return [...urls, `https://${written}:${port}/`].map((url) => [url, host] as const);
}

export function waysInPac(findProxy: ReturnType<RunPac>, proxy: string): WaysIn {
  return (target) =>
    pacQuestions(target).map(([url, host]) => wayInPac(findProxy(url, host), proxy));
}

function answerOf(way: Way, proxy: string): string {
  switch (way) {
    case 'gateway':
      return proxy;
    case 'gateway-or-direct':
      return `${proxy}; DIRECT`;
    case 'direct':
      return 'DIRECT';
  }
}

/** Nothing in a name may end the comment it stands in. */
function asciiText(text: string): string {
  return JSON.stringify(text).replace(
    /[^\x20-\x7e]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** ES5 without any helper of the browsers: theirs differ, resolve names, and take `evilexample.com` for `example.com`.
 *  What cannot be read as a host and a port goes to the gateway, which refuses it and says why. */
const findProxy = `function FindProxyForURL(url, host) {
  var z = zonegate, best = z.answers.length - 1, parts, port, text, i;

  function fits(ports) {
    var list = z.ports[ports], k;
    if (ports < 0) return true;
    for (k = 0; k < list.length; k += 2) if (list[k] <= port && port <= list[k + 1]) return true;
    return false;
  }
  function offer(entry) {
    var k;
    if (entry === undefined) return;
    if (typeof entry === 'number') entry = [entry, -1];
    for (k = 0; k < entry.length && entry[k] < best; k += 2) if (fits(entry[k + 1])) best = entry[k];
  }
  function offerSegment(list, at) {
    var low = 0, high = list.length, middle;
    while (low < high) {
      middle = (low + high) >> 1;
      if (list[middle][0] <= at) low = middle + 1;
      else high = middle;
    }
    if (low > 0) offer(list[low - 1][1]);
  }
  function matches(pieces) {
    var last = pieces.length - 1, end = text.length - pieces[last].length, from = pieces[0].length, k, found;
    if (end < from || text.slice(0, from) !== pieces[0] || text.slice(end) !== pieces[last]) return false;
    for (k = 1; k < last; k += 1) {
      found = text.indexOf(pieces[k], from);
      if (found < 0 || found + pieces[k].length > end) return false;
      from = found + pieces[k].length;
    }
    return true;
  }
  function hex4(four) {
    var octets = four.split('.'), digits = '', k;
    if (octets.length !== 4) return null;
    for (k = 0; k < 4; k += 1) {
      if (!/^(0|[1-9]\\d{0,2})$/.test(octets[k]) || octets[k] > 255) return null;
      digits += ('0' + Number(octets[k]).toString(16)).slice(-2);
    }
    return digits;
  }
  function hex6(six) {
    var dotted = /^(.*:)(\\d[\\d.]*\\.\\d+)$/.exec(six), four, halves, left, right, missing, digits = '', k;
    if (dotted) {
      four = hex4(dotted[2]);
      if (four === null) return null;
      six = dotted[1] + four.slice(0, 4) + ':' + four.slice(4);
    }
    halves = six.split('::');
    left = halves[0] === '' ? [] : halves[0].split(':');
    right = halves.length < 2 || halves[1] === '' ? [] : halves[1].split(':');
    missing = 8 - left.length - right.length;
    if (halves.length > 2 || (halves.length === 2 ? missing < 1 : missing !== 0)) return null;
    for (; missing > 0; missing -= 1) left.push('0');
    left = left.concat(right);
    for (k = 0; k < 8; k += 1) {
      if (!/^[0-9a-f]{1,4}$/.test(left[k])) return null;
      digits += ('000' + left[k]).slice(-4);
    }
    return digits;
  }

  parts = /^([a-z][a-z0-9+.\\-]*):\\/\\/([^\\/?#]*)/i.exec(url);
  if (!parts) return z.unreadable;
  port = /:(\\d{1,5})$/.exec(parts[2]);
  port = port ? Number(port[1]) : { http: 80, ws: 80, https: 443, wss: 443, ftp: 21 }[parts[1].toLowerCase()];
  if (!(port >= 1 && port <= 65535)) return z.unreadable;
  text = String(host).toLowerCase();
  if (text.charAt(0) === '[') text = text.slice(1, -1);
  if (text.charAt(text.length - 1) === '.') text = text.slice(0, -1);

  if (text.indexOf(':') >= 0) {
    text = hex6(text);
    if (text === null) return z.unreadable;
    if (text.slice(0, 24) === '00000000000000000000ffff') offerSegment(z.four, text.slice(24));
    else offerSegment(z.six, text);
  } else if (/(^|\\.)(\\d+|0x[0-9a-f]*)$/.test(text)) {
    text = hex4(text);
    if (text === null) return z.unreadable;
    offerSegment(z.four, text);
  } else {
    if (text.length > 253 || !/^[a-z0-9_\\-]{1,63}(\\.[a-z0-9_\\-]{1,63})*$/.test(text)) return z.unreadable;
    offer(z.names['=' + text]);
    for (i = 0; i < z.endings.length && z.endings[i] <= text.length; i += 1)
      offer(z.names['*' + text.slice(text.length - z.endings[i])]);
    for (i = 0; i < z.beginnings.length && z.beginnings[i] <= text.length; i += 1)
      offer(z.names[text.slice(0, z.beginnings[i]) + '*']);
    for (i = 0; i < z.patterns.length; i += 1) if (matches(z.patterns[i][1])) offer(z.patterns[i][0]);
  }
  offer(z.any);
  return z.answers[best];
}
`;
