// A device as the end-to-end tests need it: raw HTTP/1.1 over TLS, every read with a deadline, nothing hidden.

import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';

/** What a device holds: its certificate with the intermediates, and the key. */
export interface DeviceKeys {
  readonly cert: string;
  readonly key: string;
}

export interface TlsWords {
  readonly port: number;
  readonly ca: string;
  readonly keys: DeviceKeys | null;
  readonly session?: Buffer;
  readonly version?: 'TLSv1.2' | 'TLSv1.3';
}

export interface Answer {
  readonly status: number;
  /** Lower-case names; repeated fields joined with a comma. */
  readonly fields: ReadonlyMap<string, string>;
  readonly body: string;
}

/** One connection, read in order. Every read fails, and says what had come, when it takes too long. */
export interface Wire {
  readonly socket: net.Socket;
  write(bytes: string | Buffer): void;
  /** Ends our direction only. */
  end(): void;
  bytes(count: number): Promise<string>;
  /** The head of the next answer; its `body` is empty. */
  head(): Promise<Answer>;
  answer(method?: string): Promise<Answer>;
  /** What comes until the other side has ended its direction. */
  rest(): Promise<string>;
  /** When both directions are over, however that came about. */
  closed(): Promise<void>;
}

const deadlineMs = 10_000;

export interface TlsWire extends Wire {
  readonly socket: tls.TLSSocket;
  /** Gone without a goodbye, as a device that lost its network and came back. */
  vanish(): void;
  /** What resumes this session; TLS 1.3 gives it some time after the handshake. */
  ticket(): Promise<Buffer>;
}

export async function openTls(words: TlsWords): Promise<TlsWire> {
  const { keys, session, version } = words;
  const carrier = net.connect({ host: '127.0.0.1', port: words.port, allowHalfOpen: true });
  const socket = tls.connect({
    socket: carrier,
    ca: words.ca,
    servername: 'localhost',
    ...(keys && { cert: keys.cert, key: keys.key }),
    ...(session && { session }),
    ...(version && { minVersion: version, maxVersion: version }),
  });
  const ticket = Promise.withResolvers<Buffer>();
  socket.once('session', ticket.resolve);
  const wire = wireOf(socket);
  await within(once(socket, 'secureConnect'), 'the TLS handshake');
  const vanish = () => void carrier.resetAndDestroy();
  return { ...wire, socket, vanish, ticket: () => within(ticket.promise, 'a session ticket') };
}

export function wireOf(socket: net.Socket): Wire {
  let buffer = '';
  let hasEnded = false;
  let changed = Promise.withResolvers<void>();
  const poke = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const over = (): void => {
    hasEnded = true;
    poke();
  };
  // latin1 keeps one character per byte.
  socket.on('data', (chunk: Buffer) => {
    buffer += chunk.toString('latin1');
    poke();
  });
  socket.on('end', over).on('close', over).on('error', over);

  /** What `read` makes of the buffer; null asks for more. */
  async function until<T>(what: string, read: () => T | null): Promise<T> {
    const reading = async (): Promise<T> => {
      for (;;) {
        const value = read();
        if (value !== null) return value;
        if (hasEnded) throw new Error(`the connection ended before ${what}; so far: ${buffer}`);
        await changed.promise;
      }
    };
    return await within(reading(), what);
  }
  function take(count: number): string {
    const taken = buffer.slice(0, count);
    buffer = buffer.slice(count);
    return taken;
  }
  const bytes = (count: number) =>
    until(`${count} bytes`, () => (buffer.length < count ? null : take(count)));
  const rest = () => until('the end', () => (hasEnded ? take(buffer.length) : null));
  const line = () =>
    until('a line', () => {
      const end = buffer.indexOf('\r\n');
      return end < 0 ? null : take(end + 2).slice(0, -2);
    });
  async function head(): Promise<Answer> {
    const text = await until('the head of an answer', () => {
      const end = buffer.indexOf('\r\n\r\n');
      return end < 0 ? null : take(end + 4);
    });
    return parseHead(text);
  }
  async function chunked(): Promise<string> {
    let body = '';
    for (;;) {
      const size = Number.parseInt(await line(), 16);
      body += await bytes(size);
      await line();
      if (size === 0) return body;
    }
  }
  return {
    socket,
    bytes,
    head,
    rest,
    write: (sent) => void socket.write(sent),
    end: () => void socket.end(),
    async answer(method = 'GET') {
      const begun = await head();
      const { status, fields } = begun;
      if (method === 'HEAD' || status === 204 || status === 304) return begun;
      if (fields.has('transfer-encoding')) return { ...begun, body: await chunked() };
      const length = fields.get('content-length');
      return { ...begun, body: length === undefined ? await rest() : await bytes(Number(length)) };
    },
    async closed() {
      if (!socket.closed) await within(once(socket, 'close'), 'the connection to close');
    },
  };
}

function parseHead(text: string): Answer {
  const [start = '', ...lines] = text.trimEnd().split('\r\n');
  const fields = new Map<string, string>();
  for (const one of lines) {
    const [, name = '', value = ''] = /^([^:]+):[ \t]*(.*)$/.exec(one) ?? [];
    const known = fields.get(name.toLowerCase());
    fields.set(name.toLowerCase(), known === undefined ? value : `${known}, ${value}`);
  }
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(start)?.[1]), fields, body: '' };
}

/** A promise with a deadline, so that what never happens fails with its name. */
export async function within<T>(promise: Promise<T>, what: string, ms = deadlineMs): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no sign of ${what} in ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
