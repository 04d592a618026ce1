// Requests that two readers may read differently (RFC 9112, threats H01 to H20): bytes, and what may answer them.

export interface SmugglingCase {
  readonly threat: string;
  readonly name: string;
  /** `{T}` stands for the host and port of an origin that the device may reach. */
  readonly bytes: string;
  /** Any of these; one answer, and the connection closes. */
  readonly status: readonly number[];
}

const get = 'GET http://{T}/ HTTP/1.1\r\nHost: {T}\r\n';
const post = 'POST http://{T}/ HTTP/1.1\r\nHost: {T}\r\n';
const chunked = `${post}Transfer-Encoding: chunked\r\n\r\n`;

function cases(
  threat: string,
  status: readonly number[],
  named: Readonly<Record<string, string>>,
): readonly SmugglingCase[] {
  return Object.entries(named).map(([name, bytes]) => ({ threat, name, bytes, status }));
}

const framing = [
  ...cases('H01', [400], {
    'a length with chunked': `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'chunked with a length': `${post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    'two lengths': `${post}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`,
    'the same length twice': `${post}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
  }),
  ...cases('H02', [400], {
    'a length with a plus': `${post}Content-Length: +5\r\n\r\nhello`,
    'a negative length': `${post}Content-Length: -5\r\n\r\nhello`,
    'a length in hex': `${post}Content-Length: 0x5\r\n\r\nhello`,
    'a list of lengths': `${post}Content-Length: 5, 5\r\n\r\nhello`,
    'a length with a space in it': `${post}Content-Length: 5 5\r\n\r\nhello`,
    'a length beyond 64 bits': `${post}Content-Length: 99999999999999999999\r\n\r\nhello`,
    'an empty length': `${post}Content-Length:\r\n\r\nhello`,
  }),
  ...cases('H03', [400, 501], {
    'an unknown coding': `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    identity: `${post}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
    'chunked that is not last': `${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    'chunked twice': `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'a coding before chunked': `${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    'a folded coding': `${post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`,
    'a space before its colon': `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
    'chunked in HTTP/1.0':
      'POST http://{T}/ HTTP/1.0\r\nHost: {T}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  }),
  ...cases('H04', [400, 502], {
    'a chunk size beyond 64 bits': `${chunked}FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n`,
    'a chunk size with a prefix': `${chunked}0x5\r\nhello\r\n0\r\n\r\n`,
    'a negative chunk size': `${chunked}-5\r\nhello\r\n0\r\n\r\n`,
    'a bare LF after a chunk size': `${chunked}5\nhello\r\n0\r\n\r\n`,
    'a bare LF after a chunk': `${chunked}5\r\nhello\n0\r\n\r\n`,
    'a chunk longer than it says': `${chunked}5\r\nhello!\r\n0\r\n\r\n`,
    'NUL in a chunk extension': `${chunked}5;a=\0\r\nhello\r\n0\r\n\r\n`,
  }),
  ...cases('H05', [400, 413], {
    'a chunk extension of 200 kB': `${chunked}5;${'a'.repeat(200_000)}\r\nhello\r\n0\r\n\r\n`,
  }),
];

const fields = [
  ...cases('H06', [400], {
    'a folded field': `${get}X-A: one\r\n two\r\n\r\n`,
    'a bare CR in a value': `${get}X-A: one\rX-B: two\r\n\r\n`,
    'a bare LF between fields': `${get}X-A: one\nX-B: two\r\n\r\n`,
    'NUL in a value': `${get}X-A: on\0e\r\n\r\n`,
    'a control byte in a value': `${get}X-A: on\x07e\r\n\r\n`,
    'a space before the colon': `${get}X-A : one\r\n\r\n`,
    'an empty name': `${get}: one\r\n\r\n`,
    'a name that is no token': `${get}X(A): one\r\n\r\n`,
    'a line without a colon': `${get}X-A\r\n\r\n`,
    'a field before the first line': ` X: 1\r\n${get}\r\n`,
    'a tab in the request line': 'GET\thttp://{T}/ HTTP/1.1\r\nHost: {T}\r\n\r\n',
    'a space in the target': 'GET http://{T}/a b HTTP/1.1\r\nHost: {T}\r\n\r\n',
  }),
  ...cases('H07', [400], {
    'no Host': 'GET http://{T}/ HTTP/1.1\r\n\r\n',
    'two Hosts': `${get}Host: elsewhere.test\r\n\r\n`,
    'the same Host twice': `${get}Host: {T}\r\n\r\n`,
    'a list of Hosts': 'GET http://{T}/ HTTP/1.1\r\nHost: {T}, elsewhere.test\r\n\r\n',
    'Host with user information': 'GET http://{T}/ HTTP/1.1\r\nHost: user@{T}\r\n\r\n',
    'Host with a path': 'GET http://{T}/ HTTP/1.1\r\nHost: {T}/path\r\n\r\n',
    'CONNECT without Host': 'CONNECT {T} HTTP/1.1\r\n\r\n',
    'CONNECT with two Hosts': 'CONNECT {T} HTTP/1.1\r\nHost: {T}\r\nHost: {T}\r\n\r\n',
    'CONNECT with a list of Hosts': 'CONNECT {T} HTTP/1.1\r\nHost: {T}, {T}\r\n\r\n',
  }),
  ...cases('H20', [400, 414, 431], {
    'a target of 20 kB': `GET http://{T}/${'a'.repeat(20_000)} HTTP/1.1\r\nHost: {T}\r\n\r\n`,
    'a field of 20 kB': `${get}X-A: ${'a'.repeat(20_000)}\r\n\r\n`,
    'eight thousand fields': `${get}${'X-A: 1\r\n'.repeat(8000)}\r\n`,
  }),
];

const connect = (target: string) => `CONNECT ${target} HTTP/1.1\r\nHost: {T}\r\n\r\n`;

const targets = [
  ...cases('H09', [400], {
    'no port': connect('up.lab.test'),
    'port 0': connect('up.lab.test:0'),
    'port 65536': connect('up.lab.test:65536'),
    'a port with a sign': connect('up.lab.test:+443'),
    'a port with leading zeros': connect('up.lab.test:0443'),
    'a named port': connect('up.lab.test:https'),
    'a scheme': connect('http://{T}'),
    'a path': connect('{T}/'),
    'a query': connect('{T}?a'),
    'two ports': connect('{T}:443'),
    'user information': connect('user@{T}'),
    'a percent-encoded host': connect('up%2elab.test:443'),
    'brackets around a name': connect('[up.lab.test]:443'),
    'an IPv6 address without brackets': connect('::1:443'),
    'a short form of an address': connect('127.1:443'),
    'a zone identifier': connect('[fe80::1%25eth0]:443'),
    'a pattern': connect('*.lab.test:443'),
  }),
  ...cases('H12', [400], {
    'CONNECT with a length': 'CONNECT {T} HTTP/1.1\r\nHost: {T}\r\nContent-Length: 5\r\n\r\nhello',
    'CONNECT with chunked':
      'CONNECT {T} HTTP/1.1\r\nHost: {T}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  }),
  ...cases('H14', [400, 404, 405], {
    'origin-form': 'GET / HTTP/1.1\r\nHost: {T}\r\n\r\n',
    'asterisk-form': 'OPTIONS * HTTP/1.1\r\nHost: {T}\r\n\r\n',
    'two slashes': 'GET //{T}/ HTTP/1.1\r\nHost: {T}\r\n\r\n',
    'authority-form without CONNECT': 'GET {T} HTTP/1.1\r\nHost: {T}\r\n\r\n',
  }),
  ...cases('H15', [400, 501], {
    https: 'GET https://{T}/ HTTP/1.1\r\nHost: {T}\r\n\r\n',
    ftp: 'GET ftp://{T}/ HTTP/1.1\r\nHost: {T}\r\n\r\n',
    file: 'GET file:///etc/passwd HTTP/1.1\r\nHost: {T}\r\n\r\n',
    ws: 'GET ws://{T}/ HTTP/1.1\r\nHost: {T}\r\n\r\n',
  }),
  ...cases('H16', [400], {
    'user information': 'GET http://user:word@{T}/ HTTP/1.1\r\nHost: {T}\r\n\r\n',
    'a backslash': 'GET http://{T}\\@elsewhere.test/ HTTP/1.1\r\nHost: {T}\r\n\r\n',
    'an empty host': 'GET http:///path HTTP/1.1\r\nHost: {T}\r\n\r\n',
    'missing slashes': 'GET http:{T}/ HTTP/1.1\r\nHost: {T}\r\n\r\n',
    'a fragment': 'GET http://{T}/#top HTTP/1.1\r\nHost: {T}\r\n\r\n',
  }),
  ...cases('H17', [400, 505], {
    'HTTP/0.9': 'GET http://{T}/\r\n\r\n',
    'HTTP/1.2': 'GET http://{T}/ HTTP/1.2\r\nHost: {T}\r\n\r\n',
    'HTTP/2.0': 'GET http://{T}/ HTTP/2.0\r\nHost: {T}\r\n\r\n',
    'odd version text': 'GET http://{T}/ HTTP/1.1x\r\nHost: {T}\r\n\r\n',
    'lower case': 'GET http://{T}/ http/1.1\r\nHost: {T}\r\n\r\n',
  }),
  ...cases('H19', [400, 405, 501], {
    TRACE: 'TRACE http://{T}/ HTTP/1.1\r\nHost: {T}\r\n\r\n',
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  }),
];

export const smugglingCases: readonly SmugglingCase[] = [...framing, ...fields, ...targets];
