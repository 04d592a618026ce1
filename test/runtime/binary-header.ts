// PROXY protocol headers of version 2, for tests: as a balancer writes them, and as none should.

import { crc32c } from '../../runtime/crc32c.ts';

interface BinaryHeader {
  readonly command?: number; // PROXY
  readonly family?: number; // unspecified
  readonly body?: Buffer; // addresses and TLVs
  readonly checksums?: number; // how many CRC32C TLVs; the first one is right
}

/** 192.0.2.1:4711 calls 198.51.100.2:8443. */
export const tcp4 = Buffer.from('c0000201c6336402126720fb', 'hex');
/** [2001:db8::1]:4711 calls [2001:db8::2]:8443. */
export const tcp6 = Buffer.from(
  '20010db800000000000000000000000120010db8000000000000000000000002126720fb',
  'hex',
);

export function binaryHeader(header: BinaryHeader): Buffer {
  const { command = 0x21, family = 0x00, body = Buffer.alloc(0), checksums = 0 } = header;
  const sums = Array.from({ length: checksums }, () => tlv(0x03, '\0\0\0\0'));
  const start = Buffer.from('0d0a0d0a000d0a515549540a00000000', 'hex');
  start.writeUInt8(command, 12);
  start.writeUInt8(family, 13);
  start.writeUInt16BE(body.length + 7 * checksums, 14);
  const bytes = Buffer.concat([start, body, ...sums]);
  if (checksums > 0) bytes.writeUInt32BE(crc32c(bytes), start.length + body.length + 3);
  return bytes;
}

export function tlv(type: number, ...values: readonly (Buffer | string)[]): Buffer {
  const value = Buffer.concat(
    values.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)),
  );
  const start = Buffer.from([type, 0, 0]);
  start.writeUInt16BE(value.length, 1);
  return Buffer.concat([start, value]);
}
