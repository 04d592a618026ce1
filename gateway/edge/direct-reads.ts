// Reads sockets into shared memory instead of a new buffer each time, for which V8 would mark the heap again and again.

import net from 'node:net';
import type { Duplex } from 'node:stream';

/** Takes what was read, and says whether it wants more. The memory is the next read's too: copy what is kept. */
export type Sink = (read: Buffer) => boolean;

export interface DirectReads {
  /** From here on what is read goes to `sink` instead of being `data`; what was read before is `data` still. */
  into(sink: Sink): void;
}

/** As much as libuv reads at once. One for all sockets: it is out again before anything else is read. */
const scratch = Buffer.allocUnsafeSlow(65_536);
const directs = new WeakMap<Duplex, DirectReads>();

/** A socket like any other, until somebody takes its reads. */
export function connectDirect(options: net.TcpNetConnectOpts): net.Socket {
  let sink: Sink | null = null;
  const socket: net.Socket = net.connect({
    ...options,
    onread: { buffer: scratch, callback: (size) => deliver(socket, size, sink) },
  });
  directs.set(socket, {
    into(taker) {
      sink = taker;
    },
  });
  return socket;
}

/** Null where what is read cannot be taken: streams that are no sockets. */
export function directReadsOf(socket: Duplex): DirectReads | null {
  return directs.get(socket) ?? acceptedReads(socket);
}

/** Invariant: nothing overtakes what was read before. */
function deliver(socket: Duplex, size: number, sink: Sink | null): boolean {
  const read = scratch.subarray(0, size);
  if (sink === null || socket.readableLength > 0) return socket.push(Buffer.from(read));
  return sink(read);
}

/** Node has `onread` for sockets it connects only, but what it does works for accepted ones too. */
interface Handle {
  useUserBuffer?(buffer: Buffer): void;
}

/** Node's own names for what `onread` sets (lib/net.js, Node 12 to 26). Were one gone, reads would be `data`. */
let names: { readonly buffer: symbol; readonly callback: symbol } | undefined;

function acceptedReads(socket: Duplex): DirectReads | null {
  const { _handle: handle } = socket as unknown as { readonly _handle?: Handle | null };
  if (!handle?.useUserBuffer) return null;
  names ??= namesIn(socket);
  const { buffer, callback } = names;
  if (!(buffer in socket && callback in socket)) return null;
  return {
    into(sink) {
      const fields = socket as unknown as Record<symbol, unknown>;
      fields[buffer] = scratch;
      fields[callback] = (size: number) => deliver(socket, size, sink);
      handle.useUserBuffer?.(scratch);
    },
  };
}

function namesIn(socket: Duplex) {
  const known = Object.getOwnPropertySymbols(socket);
  const named = (name: string) => known.find(({ description }) => description === name);
  return { buffer: named('kBuffer') ?? Symbol(), callback: named('kBufferCb') ?? Symbol() };
}
