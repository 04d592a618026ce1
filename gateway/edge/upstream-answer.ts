// Reads the head of an upstream proxy's answer to CONNECT; what comes after it belongs to the tunnel.

import type net from 'node:net';

export interface UpstreamAnswer {
  readonly status: number;
  readonly rest: Buffer;
}

/** More than any proxy sends; a head that does not end is nonsense (threats D12). */
const maxHeadBytes = 16_384;

export function readAnswer(socket: net.Socket, signal: AbortSignal): Promise<UpstreamAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<UpstreamAnswer>();
  let head = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0 && head.length <= maxHeadBytes) return;
    const status = /^HTTP\/1\.[01] (\d{3})[ \r]/.exec(head.toString('latin1'))?.[1];
    if (end < 0 || status === undefined) {
      stop(new Error('not an HTTP answer'));
      return;
    }
    stop(null);
    resolve({ status: Number(status), rest: head.subarray(end + 4) });
  };
  const onEnd = (): void => stop(new Error('closed'));
  const onAbort = (): void => stop(signal.reason);
  function stop(error: unknown): void {
    socket.pause();
    socket.off('data', onData).off('end', onEnd).off('error', stop);
    signal.removeEventListener('abort', onAbort);
    if (error !== null) reject(error);
  }
  socket.on('data', onData).on('end', onEnd).on('error', stop);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  return promise;
}
