// Servers for the gateway to reach, on loopback: echo, silent, deaf, refusing, scripted, HTTP, and a name server.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { Worker } from 'node:worker_threads';
import { within } from './client.ts';

export interface Server extends AsyncDisposable {
  readonly port: number;
}

export interface TcpServer extends Server {
  /** Every connection so far, oldest first. */
  readonly connections: readonly net.Socket[];
  /** The one after those asked for before; waits for it. */
  accepted(): Promise<net.Socket>;
}

/** Accepts, and does what the script says; half-open, so that each direction ends by itself. */
export async function startServer(
  script: (socket: net.Socket) => void,
  host = '127.0.0.1',
): Promise<TcpServer> {
  const connections: net.Socket[] = [];
  let given = 0;
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    connections.push(socket);
    script(socket);
    server.emit('taken');
  });
  server.listen(0, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    async accepted() {
      const at = given;
      given += 1;
      for (;;) {
        const socket = connections[at];
        if (socket !== undefined) return socket;
        await within(once(server, 'taken'), 'a connection to the upstream server');
      }
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

export function startEcho(host?: string): Promise<TcpServer> {
  return startServer((socket) => void socket.pipe(socket), host);
}

/** Accepts and says nothing. */
export function startSilent(): Promise<TcpServer> {
  return startServer(() => undefined);
}

/** Answers every request head with these bytes, whatever it was; `then` may end or break it. */
export function startScripted(
  bytes: string,
  then: (socket: net.Socket) => void = () => undefined,
): Promise<TcpServer> {
  return startServer((socket) => {
    socket.on('data', (chunk) => {
      if (String(chunk).includes('\r\n\r\n')) socket.write(bytes, 'latin1', () => then(socket));
    });
  });
}

/** A port nobody listens on. */
export async function refusingPort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

/** Held open together, so that no two are the same. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

/** Listens and never accepts: its queue is full, so connecting to it never ends. */
export async function startDeaf(): Promise<Server> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const code = `const { parentPort, workerData } = require('node:worker_threads');
    const server = require('node:net').createServer();
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      parentPort.postMessage(server.address().port);
      Atomics.wait(workerData, 0, 0);
      process.exit();
    });`;
  const worker = new Worker(code, { eval: true, workerData: stop });
  const [port] = (await once(worker, 'message')) as [number];
  // The queue holds one more than asked for.
  const queue = [0, 1].map(() => net.connect(port, '127.0.0.1').on('error', () => undefined));
  await Promise.all(queue.map((socket) => once(socket, 'connect')));
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of queue) socket.destroy();
      const exited = once(worker, 'exit');
      Atomics.store(stop, 0, 1);
      Atomics.notify(stop, 0);
      await exited;
    },
  };
}

export interface Seen {
  readonly method: string;
  readonly url: string;
  /** Lower-case names and values, as they came. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  readonly from: string;
}

export interface HttpServer extends Server {
  readonly seen: readonly Seen[];
  /** Connections accepted so far. */
  readonly connections: () => number;
}

/** An origin that records every request and answers `origin` unless told otherwise. */
export async function startHttp(answer?: RequestListener): Promise<HttpServer> {
  const seen: Seen[] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', rawHeaders, socket } = request;
      seen.push({
        method,
        url,
        fields: fieldsOf(rawHeaders),
        body: Buffer.concat(chunks).toString(),
        from: socket.remoteAddress ?? '',
      });
      if (answer === undefined) response.end('origin');
      else answer(request, response);
    });
  });
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function fieldsOf(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [
    (raw[2 * i] ?? '').toLowerCase(),
    raw[2 * i + 1] ?? '',
  ]);
}

export interface HeldProxy extends TcpServer {
  /** Waits for the next CONNECT, and is held by it. */
  arrived(): Promise<net.Socket>;
  /** Lets the one that arrived last through. */
  letThrough(): void;
}

/** An upstream proxy that answers CONNECT only when told to: a way to stand still while dialling. */
export async function startHeldProxy(): Promise<HeldProxy> {
  const server = await startSilent();
  let held: net.Socket | null = null;
  return {
    ...server,
    async arrived() {
      held = await server.accepted();
      if (held.readableLength === 0) await within(once(held, 'readable'), 'a CONNECT');
      held.read();
      return held;
    },
    letThrough: () => void held?.write('HTTP/1.1 200 OK\r\n\r\n'),
  };
}

export interface NameServer extends Server {
  /** Answers the questions about `held…` names that wait: they lead to 127.0.0.1. */
  answerHeld(): void;
  /** Waits until such a name has been asked about, for both families. */
  asked(): Promise<void>;
}

/** Knows no name but `held…`, about which it answers when told to; it never answers about `silent…`. */
export async function startNameServer(): Promise<NameServer> {
  const socket = createSocket('udp4');
  const held: (() => void)[] = [];
  socket.on('message', (query, { port, address }) => {
    const name = query.toString('latin1', 13, 13 + (query[12] ?? 0));
    if (name.startsWith('silent')) return;
    const send = () => socket.send(answerTo(query, name), port, address);
    if (!name.startsWith('held')) return send();
    held.push(send);
    socket.emit('held');
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    port: socket.address().port,
    answerHeld: () => {
      for (const send of held.splice(0)) send();
    },
    async asked() {
      while (held.length < 2) await within(once(socket, 'held'), 'a question to the name server');
    },
    async [Symbol.asyncDispose]() {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
}

/** RFC 1035 section 4: the question again, and for `held…` of type A one record. */
function answerTo(query: Buffer, name: string): Buffer {
  const questionEnd = query.indexOf(0, 12) + 5;
  const answer = Buffer.from(query.subarray(0, questionEnd));
  const isHeld = name.startsWith('held');
  const isA = answer.readUInt16BE(questionEnd - 4) === 1;
  answer.writeUInt16BE(isHeld ? 0x8180 : 0x8183, 2);
  answer.writeUInt16BE(isHeld && isA ? 1 : 0, 6);
  answer.writeUInt32BE(0, 8);
  const record = Buffer.from('c00c000100010000003c00047f000001', 'hex');
  return isHeld && isA ? Buffer.concat([answer, record]) : answer;
}
