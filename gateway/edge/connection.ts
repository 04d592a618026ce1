// Owns what is known of one device's TLS connection: peer certificate, addresses, requests' shared context.

import type { TLSSocket } from 'node:tls';
import type { PeerFacts } from '../decision/identity.ts';
import { GatewayError } from '../errors.ts';
import { Halt, type HaltSignal } from './halt.ts';

export interface DeviceConnection {
  readonly peer: PeerFacts;
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly tlsVersion: string;
  readonly tlsCipher: string;
  /** Its device has as many connections as it may: nothing is served on this one. */
  readonly isSurplus: boolean;
  /** Aborted when the device leaves, so that nothing goes on being connected for nobody (threats R06). */
  readonly gone: HaltSignal;
}

interface Known {
  connection: DeviceConnection;
  readonly leave: () => void;
}

// One for all: nearly every connection ends so, and a stack would cost 20 µs and say nothing.
const left = new GatewayError('request.abandoned', 'the device closed the connection');

const connections = new WeakMap<TLSSocket, Known>();

const announced = new WeakMap<TLSSocket, { readonly address: string; readonly port: number }>();

/** Who a listed balancer says is calling; before the connection's first request. */
export function announceClient(
  socket: TLSSocket,
  client: { readonly address: string; readonly port: number },
): void {
  announced.set(socket, client);
}

/** Read once per TLS connection (reading a chain costs 100-360 µs); every request on it is judged anew. */
export function connectionOf(
  socket: TLSSocket,
  readPeer: (socket: TLSSocket) => PeerFacts,
): DeviceConnection {
  const known = connections.get(socket);
  if (known !== undefined) return known.connection;
  const gone = new Halt();
  const leave = (): void => gone.abort(left);
  socket.once('close', leave);
  const client = announced.get(socket);
  const connection: DeviceConnection = {
    peer: readPeer(socket),
    clientAddress: client?.address ?? socket.remoteAddress ?? '',
    clientPort: client?.port ?? socket.remotePort ?? 0,
    tlsVersion: socket.getProtocol() ?? '',
    tlsCipher: socket.getCipher().standardName,
    isSurplus: false,
    gone,
  };
  connections.set(socket, { connection, leave });
  return connection;
}

/** From here on every request on it is refused. */
export function markSurplus(socket: TLSSocket): void {
  const known = connections.get(socket);
  if (known !== undefined) known.connection = { ...known.connection, isSurplus: true };
}

/** Nothing that is going on for this connection is wanted any more, though an answer may still go out. */
export function abandon(socket: TLSSocket): void {
  connections.get(socket)?.leave();
}
