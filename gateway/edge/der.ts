// A strict reader for DER: one level at a time, so that no nesting can exhaust the stack.
// Everything a certificate or revocation list says is read through it, byte by byte.

export interface Der {
  readonly bytes: Buffer; // the whole input; the value lies in it
  readonly tag: number;
  readonly start: number; // of the tag
  readonly from: number; // of the contents
  readonly to: number;
}

export class DerError extends Error {
  override readonly name = 'DerError';
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

// The one value that fills the input.
export function readDer(bytes: Buffer): Der {
  const value = readValue(bytes, 0, bytes.length);
  if (value.to !== bytes.length) throw new DerError('bytes follow the value');
  return value;
}

export function readChildren(parent: Der): readonly Der[] {
  const children: Der[] = [];
  for (let at = parent.from; at < parent.to; ) {
    const child = readValue(parent.bytes, at, parent.to);
    children.push(child);
    at = child.to;
  }
  return children;
}

export function expectTag(value: Der | undefined, tag: number): Der {
  if (value?.tag === tag) return value;
  const found = value === undefined ? 'nothing' : `tag ${value.tag}`;
  throw new DerError(`expected tag ${tag}, found ${found}`);
}

export function expectSequence(value: Der | undefined): readonly Der[] {
  return readChildren(expectTag(value, TAG.sequence));
}

export function contentsOf(value: Der): Buffer {
  return value.bytes.subarray(value.from, value.to);
}

export function encodingOf(value: Der): Buffer {
  return value.bytes.subarray(value.start, value.to);
}

// An integer as lower hex without leading zeros; a negative one keeps its bytes behind a minus.
export function readInteger(value: Der | undefined): string {
  const { bytes, from, to } = expectTag(value, TAG.integer);
  const first = byteAt(bytes, from, to);
  if (to - from > 1) {
    const isPadded = (byteAt(bytes, from + 1, to) & 0x80) === (first === 0 ? 0 : 0x80);
    if (isPadded && (first === 0 || first === 0xff)) throw new DerError('an integer is padded');
  }
  const hex = bytes.toString('hex', from, to).replace(/^0+(?=.)/, '');
  return first & 0x80 ? `-${hex}` : hex;
}

export function readBoolean(value: Der | undefined): boolean {
  const { bytes, from, to } = expectTag(value, TAG.boolean);
  const octet = byteAt(bytes, from, to);
  if (to - from !== 1 || (octet !== 0 && octet !== 0xff)) throw new DerError('odd boolean');
  return octet === 0xff;
}

// Dotted text. 20 arcs of at most 2^31 are more than any name in use has.
export function readOid(value: Der | undefined): string {
  const { bytes, from, to } = expectTag(value, TAG.oid);
  if (to === from || to - from > 64) throw new DerError('odd object identifier');
  const arcs: number[] = [];
  let arc = 0;
  for (let at = from; at < to; at += 1) {
    const octet = byteAt(bytes, at, to);
    const isPadded = arc === 0 && octet === 0x80;
    if (isPadded || arc > 0xff_ffff) throw new DerError('odd object identifier');
    arc = arc * 128 + (octet & 0x7f);
    if (octet & 0x80) continue;
    arcs.push(arc);
    arc = 0;
  }
  if (byteAt(bytes, to - 1, to) & 0x80) throw new DerError('object identifier is cut short');
  const [first = 0, ...rest] = arcs;
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - root * 40, ...rest].join('.');
}

// RFC 5280 section 4.1.2.5: always with seconds, always Z, never a fraction.
export function readTime(value: Der | undefined): number {
  const isUtc = value?.tag === TAG.utcTime;
  const text = contentsOf(expectTag(value, isUtc ? TAG.utcTime : TAG.generalizedTime)).toString(
    'latin1',
  );
  const digits = isUtc ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text;
  const iso = digits.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6.000Z');
  const at = Date.parse(iso);
  // A day that does not exist is moved by the parser, or is not a date at all.
  if (Number.isNaN(at) || new Date(at).toISOString() !== iso) throw new DerError('odd time');
  return at;
}

function readValue(bytes: Buffer, start: number, end: number): Der {
  const tag = byteAt(bytes, start, end);
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag is longer than one byte');
  let length = byteAt(bytes, start + 1, end);
  let from = start + 2;
  if (length >= 0x80) {
    const count = length & 0x7f; // 0 would be the indefinite form, which DER does not have
    if (count === 0 || count > 4) throw new DerError('odd length');
    length = 0;
    for (let index = 0; index < count; index += 1) {
      length = length * 256 + byteAt(bytes, from + index, end);
    }
    from += count;
    const isShortest = length >= 0x80 && length >= 256 ** (count - 1);
    if (!isShortest) throw new DerError('a length is padded');
  }
  if (length > end - from) throw new DerError('a value is longer than what holds it');
  return { bytes, tag, start, from, to: from + length };
}

function byteAt(bytes: Buffer, at: number, end: number): number {
  const octet = at < end ? bytes[at] : undefined;
  if (octet === undefined) throw new DerError('cut short');
  return octet;
}
