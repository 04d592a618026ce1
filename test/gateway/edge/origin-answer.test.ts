// Origins' answers read from bytes: what makes sense, what does not, and that cutting the bytes changes nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createAnswerReader } from '../../../gateway/edge/origin-answer.ts';

/** What a listener was told, bodies joined. */
interface Told {
  readonly heads: readonly unknown[];
  readonly informational: number;
  readonly body: string;
  readonly trailers: readonly string[] | null;
  readonly failed: boolean;
  readonly early: string | null;
  readonly reusable: boolean;
}

/** The pieces in turn, each in memory that is overwritten afterwards; then the end, if it is told. */
function read(pieces: readonly string[], { method = 'GET', ends = false } = {}): Told {
  const told = {
    heads: [] as unknown[],
    informational: 0,
    body: '',
    trailers: null as readonly string[] | null,
    failed: false,
    early: null as string | null,
  };
  const reader = createAnswerReader(method, {
    informational: () => {
      told.informational += 1;
    },
    begin: (head) => void told.heads.push(head),
    body: (chunk) => {
      told.body += chunk.toString('latin1');
    },
    end: (trailers) => {
      told.trailers = trailers;
    },
    malformed: () => {
      told.failed = true;
    },
    switched: (head, early) => {
      told.heads.push(head);
      told.early = early.toString('latin1');
    },
  });
  for (const piece of pieces) {
    const chunk = Buffer.from(piece, 'latin1');
    reader.read(chunk);
    chunk.fill('!');
  }
  if (ends) reader.finish();
  return { ...told, reusable: reader.isReusable() };
}

const whole = (told: Told) => told.trailers !== null;

const ok = 'HTTP/1.1 200 OK\r\n';

test('a head, a body with a length, and nothing else', () => {
  const told = read([`${ok}X-A:  b c\t\r\nContent-Length: 2\r\n\r\nhi`]);
  assert.deepEqual(told.heads, [
    {
      version: '1.1',
      status: 200,
      phrase: 'OK',
      fields: ['X-A', 'b c', 'Content-Length', '2'],
      framing: 'length',
    },
  ]);
  assert.deepEqual([told.body, told.trailers, told.reusable], ['hi', [], true]);
});

test('chunks lose their framing and extensions, trailers are told', () => {
  const body = '2;a=b\r\nhi\r\n0A\r\n0123456789\r\n000\r\nX-Sum: 1\r\nX-Two:2\r\n\r\n';
  const told = read([`${ok}Transfer-Encoding: Chunked\r\n\r\n${body}`]);
  assert.equal(told.body, 'hi0123456789');
  assert.deepEqual(told.trailers, ['X-Sum', '1', 'X-Two', '2']);
  assert.ok(told.reusable);
});

test('chunks that come together are told together', () => {
  const parts: string[] = [];
  const reader = createAnswerReader('GET', {
    informational: () => undefined,
    begin: () => undefined,
    body: (chunk) => void parts.push(chunk.toString('latin1')),
    end: () => void parts.push('end'),
    malformed: () => void parts.push('malformed'),
    switched: () => undefined,
  });
  const head = `${ok}Transfer-Encoding: chunked\r\n\r\n`;
  reader.read(Buffer.from(`${head}1\r\na\r\n1\r\nb\r\n2\r\nc`));
  reader.read(Buffer.from('d\r\n3\r\nefg\r\n0\r\nX-Sum: 1\r\n\r\n'));
  assert.deepEqual(parts, ['abc', 'defg', 'end']);
});

test('a body without a length ends with its connection, and with nothing else', () => {
  const open = read([`${ok}\r\nhi`]);
  assert.deepEqual([open.body, whole(open)], ['hi', false]);
  const over = read([`${ok}\r\nhi`], { ends: true });
  assert.deepEqual([over.body, whole(over), over.reusable], ['hi', true, false]);
});

for (const [name, bytes] of [
  ['a length', `${ok}Content-Length: 3\r\n\r\nhi`],
  ['chunks', `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n`],
  ['trailers', `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nX: 1\r\n`],
  ['a head', ok],
] as const) {
  test(`an end within ${name} is not the end of the answer (H23)`, () => {
    assert.equal(whole(read([bytes], { ends: true })), false);
  });
}

for (const [name, bytes, options] of [
  ['HEAD', `${ok}Content-Length: 9\r\n\r\n`, { method: 'HEAD' }],
  ['HEAD, with chunks', `${ok}Transfer-Encoding: chunked\r\n\r\n`, { method: 'HEAD' }],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n', {}],
  ['304', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n', {}],
] as const) {
  test(`an answer to or with ${name} has no body (H24)`, () => {
    const told = read([bytes], options);
    assert.deepEqual([told.body, whole(told), told.reusable], ['', true, true]);
  });
}

for (const [name, bytes] of [
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi'],
  ['close', `${ok}Connection: Keep-Alive , CLOSE\r\nContent-Length: 2\r\n\r\nhi`],
  ['bytes behind it', `${ok}Content-Length: 2\r\n\r\nhi!`],
] as const) {
  test(`a connection is not used again after ${name} (H24)`, () => {
    const told = read([bytes]);
    assert.deepEqual([told.body, whole(told), told.reusable], ['hi', true, false]);
  });
}

test('bytes behind an answer are noticed when they come later, too (H24)', () => {
  assert.equal(read([`${ok}Content-Length: 2\r\n\r\nhi`, 'HTTP/1.1']).reusable, false);
});

test('informational answers come before the final one, and are not endless (H26)', () => {
  const hint = 'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n';
  const told = read([`${hint.repeat(16)}${ok}Content-Length: 0\r\n\r\n`]);
  assert.deepEqual([told.informational, whole(told)], [16, true]);
  assert.ok(read([hint.repeat(17)]).failed);
});

test('after 101 nothing is read any more', () => {
  const told = read(['HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nHTTP/1.1 ']);
  assert.deepEqual([told.early, told.failed, told.reusable], ['HTTP/1.1 ', false, false]);
});

const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`;
/** What two readers may read differently, or nobody can read at all. */
const hostile: Readonly<Record<string, string>> = {
  'both framings': `${ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n`,
  'both framings, the other way round': `${ok}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n`,
  'both framings in a 304':
    'HTTP/1.1 304 X\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n',
  'two lengths': `${ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\n`,
  'the same length twice': `${ok}Content-Length: 2\r\ncontent-length: 2\r\n\r\n`,
  'a list of lengths': `${ok}Content-Length: 2, 2\r\n\r\n`,
  'a length with a sign': `${ok}Content-Length: +2\r\n\r\n`,
  'a negative length': `${ok}Content-Length: -2\r\n\r\n`,
  'a length in hex': `${ok}Content-Length: 0x2\r\n\r\n`,
  'an empty length': `${ok}Content-Length:\r\n\r\n`,
  'a length beyond what a number holds': `${ok}Content-Length: 9007199254740993\r\n\r\n`,
  'two codings': `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`,
  'chunked twice': `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
  'a coding that is not chunked': `${ok}Transfer-Encoding: gzip\r\n\r\n`,
  'an empty coding': `${ok}Transfer-Encoding:\r\n\r\n`,
  'chunks in HTTP/1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
  'a bare CR in a field': `${ok}X: a\rb\r\n\r\n`,
  'a bare LF in a field': `${ok}X: a\nb\r\n\r\n`,
  'a bare LF after the status line': 'HTTP/1.1 200 OK\nX: a\r\n\r\n',
  'CR CR LF': `${ok}X: a\r\r\n\r\n`,
  'NUL in a field': `${ok}X: a\0b\r\n\r\n`,
  'DEL in a field': `${ok}X: a\x7fb\r\n\r\n`,
  'a folded field': `${ok}X: a\r\n b\r\n\r\n`,
  'a folded first field': `${ok} X: a\r\n\r\n`,
  'a space before the colon': `${ok}X : a\r\n\r\n`,
  'an empty name': `${ok}: a\r\n\r\n`,
  'a name that is no token': `${ok}X(A): a\r\n\r\n`,
  'a name above ASCII': `${ok}X\u00e9: a\r\n\r\n`,
  'a line without a colon': `${ok}X\r\n\r\n`,
  'an empty line before': `\r\n${ok}Content-Length: 0\r\n\r\n`,
  'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n',
  'HTTP/0.9': '<html>',
  'HTTP/2.0': 'HTTP/2.0 200 OK\r\n\r\n',
  'HTTP/1.2': 'HTTP/1.2 200 OK\r\n\r\n',
  'lower case': 'http/1.1 200 OK\r\n\r\n',
  'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
  'a status of four digits': 'HTTP/1.1 2000 OK\r\n\r\n',
  'a status below 100': 'HTTP/1.1 099 OK\r\n\r\n',
  'a status of letters': 'HTTP/1.1 abc OK\r\n\r\n',
  'two spaces before the status': 'HTTP/1.1  200 OK\r\n\r\n',
  'a head without end': `${ok}X: ${'a'.repeat(20_000)}`,
  'a head that is too long': `${ok}X: ${'a'.repeat(20_000)}\r\n\r\n`,
  'a chunk size with a prefix': `${chunked}0x2\r\nhi\r\n`,
  'a chunk size with a sign': `${chunked}+2\r\nhi\r\n`,
  'a negative chunk size': `${chunked}-2\r\nhi\r\n`,
  'a chunk size beyond what a number holds': `${chunked}fffffffffffffff\r\nhi\r\n`,
  'an empty chunk size': `${chunked}\r\nhi\r\n`,
  'a space behind a chunk size': `${chunked}2 \r\nhi\r\n`,
  'a bare LF behind a chunk size': `${chunked}2\nhi\r\n0\r\n\r\n`,
  'a bare LF behind a chunk': `${chunked}2\r\nhi\n0\r\n\r\n`,
  'a CR without LF behind a chunk': `${chunked}2\r\nhi\rx0\r\n\r\n`,
  'a chunk longer than it says': `${chunked}2\r\nhi!\r\n0\r\n\r\n`,
  'NUL in a chunk extension': `${chunked}2;a=\0\r\nhi\r\n`,
  'an endless chunk extension': `${chunked}2;${'a'.repeat(2000)}`,
  'a bare CR in a trailer': `${chunked}0\r\nX: a\rb\r\n\r\n`,
  'a trailer that is no field': `${chunked}0\r\nX\r\n\r\n`,
  'a folded trailer': `${chunked}0\r\nX: a\r\n b\r\n\r\n`,
  'trailers without end': `${chunked}0\r\n${'X: a\r\n'.repeat(3000)}`,
};

for (const [name, bytes] of Object.entries(hostile)) {
  test(`${name} is no answer (H22)`, () => {
    const told = read([bytes]);
    assert.ok(told.failed, JSON.stringify(told));
    assert.ok(!whole(told));
    assert.ok(!told.reusable);
  });
}

const sensible = [
  `${ok}Content-Length: 5\r\n\r\nhello`,
  `${ok}Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n`,
  `${chunked}5;x=y\r\nhello\r\n1\r\n!\r\n0\r\n\r\n`,
  `${chunked}5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Two: 2\r\n\r\n`,
  `HTTP/1.1 100 Continue\r\n\r\n${ok}Content-Length: 1\r\n\r\n!`,
  'HTTP/1.0 200 OK\r\nX: caf\u00e9\r\n\r\nuntil the end\r\n\r\n',
  'HTTP/1.1 204\r\n\r\n',
];

test('how the bytes were cut changes nothing about an answer', () => {
  const all = [...sensible, ...Object.values(hostile).filter(({ length }) => length < 500)];
  const cuts = fc.array(fc.nat(200), { maxLength: 12 });
  fc.assert(
    fc.property(fc.constantFrom(...all), cuts, fc.boolean(), (bytes, at, ends) => {
      const sorted = [0, ...at.filter((one) => one < bytes.length), bytes.length].sort(
        (a, b) => a - b,
      );
      const pieces = sorted.slice(1).map((to, i) => bytes.slice(sorted[i], to));
      assert.deepEqual(read(pieces, { ends }), read([bytes], { ends }));
    }),
    { numRuns: 2000 },
  );
});

test('each byte by itself is the same answer as all at once', () => {
  for (const bytes of sensible) {
    assert.deepEqual(read(bytes.split(''), { ends: true }), read([bytes], { ends: true }), bytes);
  }
});

test('any bytes are an answer or are not, and nothing is thrown', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary-ascii' })), (pieces) => {
      const told = read([ok, ...pieces], { ends: true });
      assert.ok(!(told.failed && whole(told)));
    }),
  );
});
