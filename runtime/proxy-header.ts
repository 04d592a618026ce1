// Owns the bytes of a PROXY protocol header, version 1 or 2: who a balancer says is calling, or what is wrong with it.

import { type Address, formatAddress, parseAddress, unmapped } from '../dtr-rules/address.ts';
import { crc32c } from './crc32c.ts';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export type ProxyHeader =
  /** `needs` is how many bytes there must be, in all, before reading again can say more. */
  | { readonly kind: 'partial'; readonly needs: number }
  /** A null source is the balancer itself, or a caller it cannot name: the real address stands. */
  | { readonly kind: 'complete'; readonly length: number; readonly source: Endpoint | null }
  | { readonly kind: 'malformed'; readonly detail: string };

const lineStart = Buffer.from('PROXY ');
const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const maxLineBytes = 107;
const fixedBytes = 16;
const families: ReadonlyMap<string | undefined, 4 | 6> = new Map([
  ['TCP4', 4],
  ['TCP6', 6],
]);
// Address family and transport → size of the address block. Datagrams (0x12, 0x22, 0x32) do not become a TLS connection.
const blocks: ReadonlyMap<
  number | undefined,
  { readonly family: 4 | 6 | null; readonly size: number }
> = new Map([
  [0x00, { family: null, size: 0 }],
  [0x11, { family: 4, size: 12 }],
  [0x21, { family: 6, size: 36 }],
  [0x31, { family: null, size: 216 }], // a Unix socket has no address of ours
]);
const command = { local: 0x20, proxy: 0x21 } as const;
const tlv = { crc32c: 0x03, uniqueId: 0x05, ssl: 0x20 } as const;

/** `maxBytes` bounds version 2, whose own length field allows 65 551; version 1 has 107. */
export function parseProxyHeader(bytes: Buffer, maxBytes: number): ProxyHeader {
  if (bytes.length === 0) return { kind: 'partial', needs: 1 };
  if (agrees(bytes, lineStart)) return parseLine(bytes);
  if (agrees(bytes, signature)) return parseBinary(bytes, maxBytes);
  return malformed('it begins like neither version');
}

function parseLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, maxLineBytes).indexOf('\r\n');
  if (end === -1) {
    return bytes.length < maxLineBytes
      ? { kind: 'partial', needs: bytes.length + 1 }
      : malformed(`no end of line within ${maxLineBytes} bytes`);
  }
  const length = end + 2;
  const fields = bytes.toString('latin1', lineStart.length, end).split(' ');
  const [protocol, source = '', destination = '', sourcePort = '', destinationPort = ''] = fields;
  // Whatever follows UNKNOWN is to be ignored.
  if (protocol === 'UNKNOWN') return { kind: 'complete', length, source: null };
  const family = families.get(protocol);
  if (family === undefined) return malformed('it names no known protocol');
  const from = readEndpoint(source, sourcePort, family);
  const to = readEndpoint(destination, destinationPort, family);
  if (from === null || to === null || fields.length !== 5) {
    return malformed('its line is not two addresses and two ports');
  }
  return { kind: 'complete', length, source: from };
}

function parseBinary(bytes: Buffer, maxBytes: number): ProxyHeader {
  if (bytes.length < fixedBytes) return { kind: 'partial', needs: fixedBytes };
  const length = fixedBytes + bytes.readUInt16BE(14);
  if (length > maxBytes) return malformed(`${length} bytes are more than ${maxBytes}`);
  if (bytes.length < length) return { kind: 'partial', needs: length };
  // The balancer asks for itself, say to see whether we live; what else it says does not count.
  if (bytes[12] === command.local) return { kind: 'complete', length, source: null };
  if (bytes[12] !== command.proxy) return malformed('its version or command is unknown');
  const block = blocks.get(bytes[13]);
  if (block === undefined) return malformed('its address family or transport is not accepted');
  const header = bytes.subarray(0, length);
  const rest = fixedBytes + block.size;
  if (rest > length) return malformed('its addresses are cut short');
  const fault = findTlvFault(header, rest);
  if (fault !== null) return malformed(fault);
  return { kind: 'complete', length, source: sourceOf(header, block.family) };
}

function sourceOf(header: Buffer, family: 4 | 6 | null): Endpoint | null {
  if (family === null) return null;
  const size = family === 4 ? 4 : 16;
  const value = BigInt(`0x${header.toString('hex', fixedBytes, fixedBytes + size)}`);
  const port = header.readUInt16BE(fixedBytes + 2 * size);
  return endpointOf({ family, value, text: formatAddress(family, value) }, port);
}

function readEndpoint(text: string, port: string, family: 4 | 6): Endpoint | null {
  const address = parseAddress(text);
  if (address?.family !== family) return null;
  if (!/^(?:0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65_535) return null;
  return endpointOf(address, Number(port));
}

// A balancer that listens on `::` writes IPv4 callers as mapped ones: one caller has one address.
function endpointOf(address: Address, port: number): Endpoint {
  return { address: unmapped(address).text, port };
}

interface Tlv {
  readonly type: number;
  readonly value: Buffer;
}

// We use no TLV; they are checked because a wrong length or sum means a header nobody should believe (threats T15).
function findTlvFault(header: Buffer, start: number): string | null {
  const tlvs = readTlvs(header.subarray(start));
  if (tlvs === null) return 'its TLVs do not fill its length';
  let sums = 0;
  for (const { type, value } of tlvs) {
    if (type === tlv.uniqueId && value.length > 128) return 'its unique id is too long';
    if (type === tlv.ssl && (value.length < 5 || readTlvs(value.subarray(5)) === null)) {
      return 'the parts of its TLS TLV do not fill its length';
    }
    if (type !== tlv.crc32c) continue;
    sums += 1;
    if (sums > 1 || value.length !== 4) return 'it has not one checksum of four bytes';
    if (!isSumOf(header, value)) return 'its checksum is wrong';
  }
  return null;
}

function readTlvs(bytes: Buffer): readonly Tlv[] | null {
  const tlvs: Tlv[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < 3) return null;
    const start = at + 3;
    const end = start + bytes.readUInt16BE(at + 1);
    if (end > bytes.length) return null;
    tlvs.push({ type: bytes.readUInt8(at), value: bytes.subarray(start, end) });
    at = end;
  }
  return tlvs;
}

// The sum is taken over the whole header with zeros where it stands itself.
function isSumOf(header: Buffer, sum: Buffer): boolean {
  const zeroed = Buffer.from(header);
  const at = sum.byteOffset - header.byteOffset;
  zeroed.fill(0, at, at + 4);
  return crc32c(zeroed) === sum.readUInt32BE(0);
}

/** Whether bytes and start are the same as far as both go. */
function agrees(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.subarray(0, length).equals(start.subarray(0, length));
}

function malformed(detail: string): ProxyHeader {
  return { kind: 'malformed', detail };
}
