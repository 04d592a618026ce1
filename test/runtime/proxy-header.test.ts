// PROXY protocol headers as bytes: every form of both versions, and what is none of them (threats T15).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32c } from '../../runtime/crc32c.ts';
import { type Endpoint, parseProxyHeader } from '../../runtime/proxy-header.ts';
import { binaryHeader, tcp4, tcp6, tlv } from './binary-header.ts';

const MAX_BYTES = 4096;
const client4 = { address: '192.0.2.1', port: 4711 };
const client6 = { address: '2001:db8::1', port: 4711 };

interface Form {
  readonly name: string;
  readonly bytes: Buffer;
  readonly source: Endpoint | null;
}

function line(text: string): Buffer {
  return Buffer.from(`${text}\r\n`, 'latin1');
}

const forms: readonly Form[] = [
  {
    name: 'TCP4',
    bytes: line('PROXY TCP4 192.0.2.1 198.51.100.2 4711 8443'),
    source: client4,
  },
  {
    name: 'TCP4 with the smallest and the largest port',
    bytes: line('PROXY TCP4 255.255.255.255 255.255.255.255 65535 0'),
    source: { address: '255.255.255.255', port: 65_535 },
  },
  {
    name: 'TCP6, not in its shortest text',
    bytes: line('PROXY TCP6 2001:0DB8:0:0::1 2001:db8::2 4711 8443'),
    source: client6,
  },
  {
    name: 'TCP6 of a caller who is an IPv4 one',
    bytes: line('PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 4711 8443'),
    source: client4,
  },
  {
    name: 'TCP6 of 104 bytes',
    bytes: line(
      `PROXY TCP6 ${Array(2).fill(Array(8).fill('ffff').join(':')).join(' ')} 65535 65535`,
    ),
    source: { address: Array(8).fill('ffff').join(':'), port: 65_535 },
  },
  { name: 'UNKNOWN', bytes: line('PROXY UNKNOWN'), source: null },
  {
    name: 'UNKNOWN with anything after it, 107 bytes long',
    bytes: line(`PROXY UNKNOWN \xff\n\r ${'x'.repeat(87)}`),
    source: null,
  },
  { name: 'version 2, LOCAL', bytes: binaryHeader({ command: 0x20 }), source: null },
  {
    name: 'version 2, LOCAL, whatever else it says',
    bytes: binaryHeader({ command: 0x20, family: 0xff, body: Buffer.from([3, 0, 9, 1]) }),
    source: null,
  },
  { name: 'version 2, TCP4', bytes: binaryHeader({ family: 0x11, body: tcp4 }), source: client4 },
  { name: 'version 2, TCP6', bytes: binaryHeader({ family: 0x21, body: tcp6 }), source: client6 },
  {
    name: 'version 2, TCP6 of a caller who is an IPv4 one',
    bytes: binaryHeader({
      family: 0x21,
      body: Buffer.from(`00000000000000000000ffffc0000201${'0'.repeat(32)}126720fb`, 'hex'),
    }),
    source: client4,
  },
  { name: 'version 2, unspecified', bytes: binaryHeader({ family: 0x00 }), source: null },
  {
    name: 'version 2, a Unix socket',
    bytes: binaryHeader({ family: 0x31, body: Buffer.alloc(216, 'x') }),
    source: null,
  },
  {
    name: 'version 2 with every TLV there is',
    bytes: binaryHeader({
      family: 0x11,
      body: Buffer.concat([
        tcp4,
        tlv(0x01, 'h2'),
        tlv(0x02, 'login.example.com'),
        tlv(0x04),
        tlv(0x05, 'x'.repeat(128)),
        tlv(0x20, '\x07\0\0\0\0', tlv(0x21, 'TLSv1.3'), tlv(0x28, 'x'.repeat(1500))),
        tlv(0x30, 'namespace'),
        tlv(0xea, '\x01vpce-1'),
      ]),
    }),
    source: client4,
  },
  {
    name: 'version 2 with a checksum made elsewhere',
    bytes: Buffer.from(
      '0d0a0d0a000d0a515549540a21110018c0000201c6336402126720fb0400020000030004d3047525',
      'hex',
    ),
    source: client4,
  },
];

for (const { name, bytes, source } of forms) {
  test(`a header is read however it is cut: ${name}`, () => {
    const rest = Buffer.from([0x16, 0x03, 0x01]);
    const expected = { kind: 'complete', length: bytes.length, source };
    assert.deepEqual(parseProxyHeader(bytes, MAX_BYTES), expected);
    assert.deepEqual(parseProxyHeader(Buffer.concat([bytes, rest]), MAX_BYTES), expected);
    for (let length = 0; length < bytes.length; length += 1) {
      const read = parseProxyHeader(bytes.subarray(0, length), MAX_BYTES);
      assert.ok(read.kind === 'partial', `${length} bytes are not all of it`);
      assert.ok(read.needs > length && read.needs <= bytes.length, `${length}: ${read.needs}`);
    }
  });
}

const hostile: readonly (readonly [string, Buffer])[] = [
  ['a TLS hello', Buffer.from('16030100c8010000c40303', 'hex')],
  ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['an empty line', Buffer.from('\r\nPROXY UNKNOWN\r\n')],
  ['lower case', line('proxy TCP4 192.0.2.1 198.51.100.2 4711 8443')],
  ['a line of 108 bytes', line(`PROXY UNKNOWN ${'x'.repeat(92)}`)],
  ['a line without end', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`)],
  ['a line with a bare LF', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 4711 8443\nx\r\n')],
  ['a line with a bare CR', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 4711 8443\rx\r\n')],
  ...[
    'PROXY ',
    'PROXY UNKNOWNS',
    'PROXY UDP4 192.0.2.1 198.51.100.2 4711 8443',
    'PROXY TCP5 192.0.2.1 198.51.100.2 4711 8443',
    'PROXY TCP4',
    'PROXY TCP4 192.0.2.1 198.51.100.2 4711',
    'PROXY TCP4 192.0.2.1 198.51.100.2 4711 8443 ',
    'PROXY TCP4 192.0.2.1 198.51.100.2 4711 8443 1',
    'PROXY  TCP4 192.0.2.1 198.51.100.2 4711 8443',
    'PROXY TCP4\t192.0.2.1 198.51.100.2 4711 8443',
    'PROXY TCP4 192.0.2.1  198.51.100.2 4711 8443',
    'PROXY TCP4 192.0.2 198.51.100.2 4711 8443',
    'PROXY TCP4 192.0.02.1 198.51.100.2 4711 8443',
    'PROXY TCP4 0xc0.0.2.1 198.51.100.2 4711 8443',
    'PROXY TCP4 192.0.2.256 198.51.100.2 4711 8443',
    'PROXY TCP4 192.0.2.1\0 198.51.100.2 4711 8443',
    'PROXY TCP4 192.0.2.1 localhost 4711 8443',
    'PROXY TCP4 2001:db8::1 2001:db8::2 4711 8443',
    'PROXY TCP6 192.0.2.1 198.51.100.2 4711 8443',
    'PROXY TCP6 [2001:db8::1] 2001:db8::2 4711 8443',
    'PROXY TCP6 fe80::1%eth0 fe80::2 4711 8443',
    'PROXY TCP4 192.0.2.1 198.51.100.2 65536 8443',
    'PROXY TCP4 192.0.2.1 198.51.100.2 4711 04711',
    'PROXY TCP4 192.0.2.1 198.51.100.2 +711 8443',
    'PROXY TCP4 192.0.2.1 198.51.100.2 -1 8443',
    'PROXY TCP4 192.0.2.1 198.51.100.2 0x10 8443',
    'PROXY TCP4 192.0.2.1 198.51.100.2 4711 ',
  ].map((text) => [text, line(text)] as const),
  ['version 1 in binary', binaryHeader({ command: 0x11, family: 0x11, body: tcp4 })],
  ['version 3', binaryHeader({ command: 0x31, family: 0x11, body: tcp4 })],
  ['an unknown command', binaryHeader({ command: 0x22, family: 0x11, body: tcp4 })],
  ...[0x01, 0x02, 0x10, 0x12, 0x13, 0x20, 0x22, 0x30, 0x32, 0x41, 0xff].map((family) => {
    const body = Buffer.alloc(216);
    return [`family 0x${family.toString(16)}`, binaryHeader({ family, body })] as const;
  }),
  ['TCP4 cut short', binaryHeader({ family: 0x11, body: tcp4.subarray(1) })],
  ['TCP6 with the addresses of TCP4', binaryHeader({ family: 0x21, body: tcp4 })],
  ['a Unix socket cut short', binaryHeader({ family: 0x31, body: Buffer.alloc(215) })],
  ['more bytes than allowed', binaryHeader({ family: 0x11, body: Buffer.alloc(MAX_BYTES - 15) })],
  ...(
    [
      ['a TLV without length', Buffer.from([0x04])],
      ['a TLV with half a length', Buffer.from([0x04, 0])],
      ['a TLV longer than the header', Buffer.from([0x04, 0, 2, 0])],
      ['a TLV of 65 535 bytes', Buffer.from([0x04, 0xff, 0xff, 0])],
      ['a unique id of 129 bytes', tlv(0x05, 'x'.repeat(129))],
      ['a TLS TLV of 4 bytes', tlv(0x20, '\x01\0\0\0')],
      ['a part longer than its TLS TLV', tlv(0x20, '\x01\0\0\0\0', Buffer.from([0x21, 0, 1]))],
      ['a wrong checksum', tlv(0x03, '\0\0\0\0')],
      ['a checksum of 3 bytes', tlv(0x03, '\0\0\0')],
    ] as const
  ).map(
    ([name, tlvs]) =>
      [name, binaryHeader({ family: 0x11, body: Buffer.concat([tcp4, tlvs]) })] as const,
  ),
  ['two checksums', binaryHeader({ family: 0x11, body: tcp4, checksums: 2 })],
];

for (const [name, bytes] of hostile) {
  test(`this is no header: ${JSON.stringify(name)}`, () => {
    assert.equal(parseProxyHeader(bytes, MAX_BYTES).kind, 'malformed');
  });
}

test('a header with a checksum is believed only if not one of its bits has changed', () => {
  const bytes = binaryHeader({ family: 0x11, body: tcp4, checksums: 1 });
  assert.equal(parseProxyHeader(bytes, MAX_BYTES).kind, 'complete');
  // In the fixed part, or the type of the TLV, a change may make it a header without a checksum.
  for (let bit = 16 * 8; bit < bytes.length * 8; bit += 1) {
    const changed = Buffer.from(bytes);
    changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    const isType = bit >> 3 === 16 + tcp4.length;
    if (!isType) assert.equal(parseProxyHeader(changed, MAX_BYTES).kind, 'malformed', `${bit}`);
  }
});

test('a header that says it is longer than allowed is refused before the rest has come', () => {
  const bytes = binaryHeader({ family: 0x11, body: Buffer.alloc(600) });
  assert.equal(parseProxyHeader(bytes.subarray(0, 16), 615).kind, 'malformed');
  assert.deepEqual(parseProxyHeader(bytes.subarray(0, 16), 616), { kind: 'partial', needs: 616 });
});

test('whatever the bytes are, reading them ends, and asks for no more than is allowed', () => {
  const start = fc.constantFrom('', 'PROXY ', 'PROXY TCP4 ', '\r\n\r\n\0\r\nQUIT\n');
  const bytes = fc.tuple(start, fc.uint8Array({ maxLength: 300 }));
  fc.assert(
    fc.property(bytes, ([text, more]) => {
      const given = Buffer.concat([Buffer.from(text, 'latin1'), more]);
      const read = parseProxyHeader(given, 600);
      if (read.kind === 'partial') assert.ok(read.needs > given.length && read.needs <= 600);
      if (read.kind === 'complete') assert.ok(read.length <= given.length);
    }),
  );
});

test('the checksum is CRC-32C', () => {
  // The check value of the catalogue of CRC algorithms, and RFC 3720 appendix B.4.
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43);
});
