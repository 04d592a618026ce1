// Takes the PROXY protocol header off new connections before TLS begins, and remembers who is really calling.

import type { Server, Socket } from 'node:net';
import { type AddressTable, parseAddress, unmapped } from '../dtr-rules/address.ts';
import { type Endpoint, parseProxyHeader } from './proxy-header.ts';

export interface ProxyHeaderLimits {
  /** At least 3 s outside of tests: TCP resends a lost header only then. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

export type ProxyHeaderFault = 'unlisted' | 'malformed' | 'timeout' | 'left';

export type ReadProxyHeader =
  /** A null source: the real address stands (LOCAL, UNKNOWN). */
  | { readonly ok: true; readonly source: Endpoint | null }
  | { readonly ok: false; readonly fault: ProxyHeaderFault; readonly detail: string | null };

/** Never rejects; unless it is ok the socket is destroyed. The header is mandatory: nothing is guessed
 *  from what the first bytes look like. What follows the header is put back, so begin TLS in the same
 *  turn: bytes that come before are kept for it. */
export function readProxyHeader(
  socket: Socket,
  limits: ProxyHeaderLimits,
): Promise<ReadProxyHeader> {
  const { promise, resolve } = Promise.withResolvers<ReadProxyHeader>();
  const chunks: Buffer[] = [];
  let received = 0;
  let needed = 1;
  const timer = setTimeout(() => fail('timeout', null), limits.timeoutMs);

  function finish(result: ReadProxyHeader): void {
    clearTimeout(timer);
    for (const event of ['end', 'error', 'close']) socket.off(event, leave);
    socket.off('readable', take);
    // Until TLS listens, an error that nobody hears would end the process.
    socket.on('error', ignore);
    if (!result.ok) socket.destroy();
    resolve(result);
  }
  function fail(fault: ProxyHeaderFault, detail: string | null): void {
    finish({ ok: false, fault, detail });
  }
  function leave(): void {
    fail('left', null);
  }
  function take(): void {
    // One read gives one chunk on Node 26, and all there is on Node 24.
    for (let chunk = readChunk(socket); chunk !== null; chunk = readChunk(socket)) {
      chunks.push(chunk);
      received += chunk.length;
    }
    // Bytes that drip in one by one are not joined anew for each of them (threats R02).
    if (received < needed) return;
    const bytes = Buffer.concat(chunks);
    const header = parseProxyHeader(bytes, limits.maxBytes);
    switch (header.kind) {
      case 'partial':
        needed = header.needs;
        break;
      case 'malformed':
        fail('malformed', header.detail);
        break;
      case 'complete':
        if (received > header.length) socket.unshift(bytes.subarray(header.length));
        finish({ ok: true, source: header.source });
        break;
    }
  }

  for (const event of ['end', 'error', 'close']) socket.on(event, leave);
  socket.on('readable', take);
  if (socket.destroyed) leave();
  return promise;
}

/** Only a listed balancer may say who is calling; anybody else would say what he likes (threats T15). */
export function isListedPeer(peers: AddressTable<unknown>, peer: string | undefined): boolean {
  const address = parseAddress(peer ?? '');
  return address !== null && peers.find(unmapped(address)).length > 0;
}

export interface ProxyProtocolOptions extends ProxyHeaderLimits {
  /** The balancers; asked once per connection, so that a reload reaches the next one. */
  readonly peers: () => AddressTable<unknown>;
  /** The last word before TLS begins, now that the client is known: limits per client address. */
  readonly mayBegin: (client: Endpoint) => boolean;
  readonly refused: (fault: ProxyHeaderFault, detail: string | null, peer: Endpoint) => void;
}

interface Ends {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
}

export interface ProxiedClients {
  /** The client of an open connection of this server, raw or TLS; null when it is not known. */
  clientOf(socket: Ends): Endpoint | null;
}

/** Call it on a TLS server just made: listeners for `connection` added later see each one as it comes in,
 *  those there already (TLS itself) when its header has been read. The server must listen itself:
 *  one that is only fed by `emit('connection')` does not enforce `headersTimeout` (measured on Node 24
 *  and 26: an HTTP/1 head that never ends is held open for ever). */
export function expectProxyHeaders(server: Server, options: ProxyProtocolOptions): ProxiedClients {
  const clients = new Map<string, Endpoint>();
  const beginTls = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const peer = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    const key = keyOf(socket);
    if (!isListedPeer(options.peers(), socket.remoteAddress)) {
      socket.destroy();
      // A health check that has hung up by now has no address any more.
      options.refused(peer.address === '' ? 'left' : 'unlisted', null, peer);
      return;
    }
    void readProxyHeader(socket, options).then((header) => {
      if (!header.ok) return options.refused(header.fault, header.detail, peer);
      const client = header.source ?? peer;
      if (socket.destroyed || !options.mayBegin(client)) return void socket.destroy();
      clients.set(key, client);
      socket.once('close', () => {
        // Its port may be in use again before we hear that it is closed.
        if (clients.get(key) === client) clients.delete(key);
      });
      for (const begin of beginTls) Reflect.apply(begin, server, [socket]);
    });
  });
  return { clientOf: (socket) => clients.get(keyOf(socket)) ?? null };
}

// A TLS socket does not say which socket it wraps, but both have the same two ends.
function keyOf({ remoteAddress, remotePort, localAddress }: Ends): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}

function readChunk(socket: Socket): Buffer | null {
  return socket.read();
}

function ignore(): void {}
