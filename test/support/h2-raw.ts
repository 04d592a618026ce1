// A client of HTTP/2 frames: says what no well-behaved library would, and shows every frame that comes back.

import type { TLSSocket } from 'node:tls';

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;

export const FLAG = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export interface RawH2 {
  readonly socket: TLSSocket;
  /** Frames as they came, without those answered here: SETTINGS and PING. */
  readonly frames: readonly Frame[];
  /** A value of the gateway's SETTINGS; null before they came, or when it is not in them. */
  announced(id: number): number | null;
  send(...bytes: readonly Buffer[]): void;
  /** The first such frame; `null` when the connection ended without one. */
  until(wanted: (frame: Frame) => boolean): Promise<Frame | null>;
  /** `:status` of the answer on a stream, or the code it was reset with; `null`: the connection ended. */
  outcome(stream: number): Promise<Outcome | null>;
  /** Resolves when the gateway has read enough to be sent more. */
  drained(): Promise<void>;
  ended(): Promise<void>;
  isOver(): boolean;
  /** PING, and its answer: all that was sent before has been read by then. */
  roundTrip(): Promise<void>;
}

export type Outcome = { readonly status: number } | { readonly reset: number };

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer | string = '',
): Buffer {
  const body = Buffer.from(payload as string, 'latin1');
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

export const settings = (...pairs: readonly (readonly [id: number, value: number])[]): Buffer =>
  frame(
    FRAME.settings,
    0,
    0,
    Buffer.concat(pairs.map(([id, value]) => Buffer.concat([integer(id, 2), integer(value, 4)]))),
  );
export const reset = (stream: number, code = 8): Buffer =>
  frame(FRAME.reset, 0, stream, integer(code, 4));
export const windowUpdate = (stream: number, by: number): Buffer =>
  frame(FRAME.window, 0, stream, integer(by, 4));
export const ping = (): Buffer => frame(FRAME.ping, 0, 0, Buffer.alloc(8, 'x'));
export const data = (stream: number, bytes: Buffer | string, flags = 0): Buffer =>
  frame(FRAME.data, flags, stream, bytes);
export const headers = (
  stream: number,
  fields: readonly Field[],
  flags: number = FLAG.endHeaders | FLAG.endStream,
): Buffer => frame(FRAME.headers, flags, stream, block(fields));

export type Field = readonly [name: string, value: string];

/** Every field a literal without indexing, no Huffman: any byte may stand anywhere (RFC 7541 section 6.2.2). */
export function block(fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]),
  );
}

export function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([prefixed(bytes.length), bytes]);
}

/** An integer behind a 7-bit prefix (RFC 7541 section 5.1). */
function prefixed(value: number): Buffer {
  if (value < 127) return Buffer.from([value]);
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest >>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

function integer(value: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntBE(value, 0, size);
  return bytes;
}

/** Takes over a connection on which `h2` was chosen, and says preface and SETTINGS. */
export function speakH2(
  socket: TLSSocket,
  announced: readonly (readonly [id: number, value: number])[] = [],
): RawH2 {
  const frames: Frame[] = [];
  const waiting = new Set<() => void>();
  let received = Buffer.alloc(0);
  const told = new Map<number, number>();
  let pings = 0;
  let over = false;
  const write = (bytes: Buffer): void => void (socket.writable && socket.write(bytes));
  const wake = (): void => {
    for (const check of waiting) check();
  };
  const take = (one: Frame): void => {
    const isAck = (one.flags & FLAG.ack) !== 0;
    if (one.type === FRAME.ping && isAck) pings += 1;
    else if (one.type === FRAME.ping) write(frame(FRAME.ping, FLAG.ack, 0, one.payload));
    else if (one.type === FRAME.settings && !isAck) {
      for (let at = 0; at + 6 <= one.payload.length; at += 6) {
        told.set(one.payload.readUInt16BE(at), one.payload.readUInt32BE(at + 2));
      }
      write(frame(FRAME.settings, FLAG.ack, 0));
    } else if (one.type !== FRAME.settings) frames.push(one);
  };
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 9) {
      const length = received.readUIntBE(0, 3);
      if (received.length < 9 + length) break;
      const [type, flags] = [received.readUInt8(3), received.readUInt8(4)];
      const payload = received.subarray(9, 9 + length);
      take({ type, flags, stream: received.readUInt32BE(5), payload });
      received = received.subarray(9 + length);
    }
    wake();
  });
  const end = (): void => {
    over = true;
    wake();
  };
  socket.on('error', () => undefined);
  socket.on('drain', wake).once('end', end).once('close', end);
  // No dynamic table: what comes back can be read one field at a time.
  socket.write(Buffer.concat([preface, settings([1, 0], ...announced)]));

  function wait<T>(look: () => T | null): Promise<T | null> {
    const { promise, resolve } = Promise.withResolvers<T | null>();
    const check = (): void => {
      const found = look();
      if (found === null && !over) return;
      waiting.delete(check);
      resolve(found);
    };
    waiting.add(check);
    check();
    return promise;
  }
  const raw: RawH2 = {
    socket,
    frames,
    announced: (id) => told.get(id) ?? null,
    send: (...bytes) => write(Buffer.concat(bytes)),
    until: (wanted) => wait(() => frames.find(wanted) ?? null),
    async outcome(stream) {
      const told = (one: Frame): boolean =>
        one.stream === stream && (one.type === FRAME.headers || one.type === FRAME.reset);
      const found = await raw.until(told);
      if (found === null) return null;
      return found.type === FRAME.headers
        ? { status: statusIn(found.payload) }
        : { reset: found.payload.readUInt32BE(0) };
    },
    async drained() {
      await wait(() => (socket.writableNeedDrain ? null : true));
    },
    async ended() {
      await wait(() => (over ? true : null));
    },
    isOver: () => over,
    async roundTrip() {
      const before = pings;
      write(ping());
      await wait(() => (pings > before ? true : null));
    },
  };
  return raw;
}

// RFC 7541 appendix A, 8 to 14.
const known = [200, 204, 206, 304, 400, 404, 500];

/** `:status` is the first field of an answer, after a change of the table size. */
function statusIn(payload: Buffer): number {
  const at = payload.findIndex((byte) => (byte & 0xe0) !== 0x20);
  const first = payload.readUInt8(at);
  if ((first & 0x80) !== 0) return known[(first & 0x7f) - 8] ?? 0;
  const length = payload.readUInt8(at + 1);
  const value = payload.subarray(at + 2, at + 2 + (length & 0x7f));
  return Number((length & 0x80) === 0 ? value.toString('latin1') : digits(value));
}

/** Huffman codes of digits: five bits for 0 to 2, six for the others (RFC 7541 appendix B). */
function digits(value: Buffer): string {
  const bits = [...value].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  let text = '';
  for (let at = 0; text.length < 3; ) {
    const five = Number.parseInt(bits.slice(at, at + 5), 2);
    const isShort = five <= 2;
    text += isShort ? five : Number.parseInt(bits.slice(at, at + 6), 2) - 0b011001 + 3;
    at += isShort ? 5 : 6;
  }
  return text;
}
