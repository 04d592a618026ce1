// The PROXY protocol on real connections: who is believed, when TLS begins, and what every other start comes to.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectH2, createSecureServer } from 'node:http2';
import { createServer as createHttpsServer, type Server } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import {
  type AddressTable,
  compileAddressTable,
  parseAddressRange,
} from '../../dtr-rules/address.ts';
import { createAuthority } from '../../runtime/authority.ts';
import {
  expectProxyHeaders,
  isListedPeer,
  type ProxiedClients,
  type ProxyProtocolOptions,
  readProxyHeader,
} from '../../runtime/proxy-protocol.ts';
import { binaryHeader, tcp4 } from './binary-header.ts';

const LIMITS = { timeoutMs: 5_000, maxBytes: 4096 };
const V1 = Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 4711 8443\r\n');
const V2 = binaryHeader({ family: 0x11, body: tcp4, checksums: 1 });
const LOCAL = binaryHeader({ command: 0x20 });
const HELLO = Buffer.from('160301', 'hex');
const client = { address: '192.0.2.1', port: 4711 };

const root = await createAuthority({ name: 'test root', days: 30 });
const { certificatePem: cert, keyPem: key } = await root.issue({
  commonName: 'gateway',
  sans: { dns: ['gateway.example'] },
  usage: 'server',
  days: 2,
});

function tableOf(...ranges: readonly string[]): AddressTable<true> {
  return compileAddressTable(
    ranges.map((text) => {
      const range = parseAddressRange(text);
      assert.ok(range, text);
      return { range, value: true };
    }),
  );
}

// --- one socket, its bytes pushed by hand ---

function createWire(): Socket {
  return new Duplex({ read() {} }) as Socket;
}

for (const [name, header] of [
  ['version 1', V1],
  ['version 2', V2],
] as const) {
  test(`${name}: chunks that are there already are all taken`, async () => {
    const socket = createWire();
    for (const byte of Buffer.concat([header, HELLO])) socket.push(Buffer.from([byte]));
    assert.deepEqual(await readProxyHeader(socket, LIMITS), { ok: true, source: client });
    socket.push(null);
    assert.deepEqual(await buffer(socket), HELLO);
  });

  test(`${name}: a header that drips in byte by byte is read, and nothing after it is lost`, async () => {
    const socket = createWire();
    const reading = readProxyHeader(socket, LIMITS);
    for (const byte of header) {
      socket.push(Buffer.from([byte]));
      await setImmediate();
    }
    assert.deepEqual(await reading, { ok: true, source: client });
    socket.push(HELLO);
    assert.deepEqual(socket.read(), HELLO);
    assert.ok(!socket.destroyed);
    socket.destroy();
  });

  test(`${name}: wherever header and hello are cut, the hello is there for TLS`, async () => {
    const bytes = Buffer.concat([header, HELLO]);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      const socket = createWire();
      socket.push(bytes.subarray(0, cut));
      const reading = readProxyHeader(socket, LIMITS);
      await setImmediate();
      socket.push(bytes.subarray(cut));
      assert.deepEqual(await reading, { ok: true, source: client });
      socket.push(null);
      assert.deepEqual(await buffer(socket), HELLO, `cut at ${cut}`);
    }
  });
}

test('without a whole header in time the connection is closed', async () => {
  const socket = createWire();
  socket.push(V2.subarray(0, -1));
  const result = await readProxyHeader(socket, { ...LIMITS, timeoutMs: 5 });
  assert.deepEqual(result, { ok: false, fault: 'timeout', detail: null });
  assert.ok(socket.destroyed);
});

test('what is not a header closes the connection and says what is wrong with it', async () => {
  const socket = createWire();
  socket.push(HELLO);
  assert.deepEqual(await readProxyHeader(socket, LIMITS), {
    ok: false,
    fault: 'malformed',
    detail: 'it begins like neither version',
  });
  assert.ok(socket.destroyed);
});

for (const [how, leave] of [
  ['ends', (socket: Socket) => void socket.push(null)],
  ['breaks', (socket: Socket) => void socket.destroy(new Error('ECONNRESET'))],
  ['is closed by us', (socket: Socket) => void socket.destroy()],
] as const) {
  test(`a connection that ${how} within the header is over`, async () => {
    const socket = createWire();
    socket.push(V1.subarray(0, 20));
    const reading = readProxyHeader(socket, LIMITS);
    await setImmediate();
    leave(socket);
    assert.deepEqual(await reading, { ok: false, fault: 'left', detail: null });
    assert.ok(socket.destroyed);
  });
}

test('a connection that is already closed is over at once', async () => {
  const socket = createWire();
  socket.destroy();
  const result = await readProxyHeader(socket, LIMITS);
  assert.deepEqual(result, { ok: false, fault: 'left', detail: null });
});

test('a connection that breaks before TLS listens to it does not end the process', async () => {
  const socket = createWire();
  socket.push(V1);
  await readProxyHeader(socket, LIMITS);
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.destroy(new Error('ECONNRESET'));
  await closed;
});

test('a balancer is one whose address is listed, also when it comes as a mapped one', () => {
  const peers = tableOf('10.0.0.0/24', '2001:db8::/64');
  const listed = ['10.0.0.7', '::ffff:10.0.0.7', '2001:db8::9'];
  const others = ['10.0.1.7', '::ffff:10.0.1.7', '::10.0.0.7', '2001:db9::9', '', undefined];
  for (const peer of listed) assert.ok(isListedPeer(peers, peer), peer);
  for (const peer of others) assert.ok(!isListedPeer(peers, peer), peer);
});

// --- a whole server ---

interface Running {
  readonly server: Server;
  readonly clients: ProxiedClients;
  readonly faults: string[];
  dial(): Socket;
}

type Wishes = Partial<ProxyProtocolOptions> & { readonly headersTimeout?: number };

async function run(
  context: TestContext,
  wishes: Wishes = {},
  make = createHttps,
): Promise<Running> {
  const server = make(wishes.headersTimeout ?? 60_000);
  const faults: string[] = [];
  const clients = expectProxyHeaders(server, {
    ...LIMITS,
    peers: () => tableOf('127.0.0.1'),
    mayBegin: () => true,
    refused: (fault) => void faults.push(fault),
    ...wishes,
  });
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => open.add(socket));
  server.on('tlsClientError', (_, socket) => socket.destroy());
  server.on('clientError', (_, socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  context.after(async () => {
    server.close();
    for (const socket of open) socket.destroy();
    await once(server, 'close');
  });
  const dial = () => connect({ port, host: '127.0.0.1' }).on('error', () => {});
  return { server, clients, faults, dial };
}

function createHttps(headersTimeout: number): Server {
  const checking = { headersTimeout, connectionsCheckingInterval: 10, requestTimeout: 0 };
  return createHttpsServer({ cert, key, allowHalfOpen: true, ...checking } as object);
}

function createH2(): Server {
  return createSecureServer({ cert, key, allowHTTP1: true }) as unknown as Server;
}

/** TLS over a connection whose header has been sent. */
function secure(socket: Socket, protocol = 'http/1.1') {
  const options = { ca: root.certificatePem, servername: 'gateway.example' };
  return connectTls({ socket, ...options, ALPNProtocols: [protocol] }).on('error', () => {});
}

async function ask(socket: Socket): Promise<string> {
  const tls = secure(socket);
  tls.write('GET / HTTP/1.1\r\nHost: gateway.example\r\nConnection: close\r\n\r\n');
  return await text(tls);
}

/** Answers every request with whom it takes for the client. */
function sayClient({ server, clients }: Running): void {
  server.on('request', ({ socket }, response) => {
    const { address, port } = clients.clientOf(socket) ?? { address: 'nobody', port: 0 };
    response.end(`[${address} ${port}]`);
  });
}

for (const [name, header] of [
  ['version 1', V1],
  ['version 2', V2],
] as const) {
  test(`${name}: a request arrives over TLS and has the address the balancer said`, async (context) => {
    const running = await run(context);
    sayClient(running);
    const socket = running.dial();
    socket.write(header);
    assert.ok((await ask(socket)).includes('[192.0.2.1 4711]'));
  });
}

test('a balancer that asks for itself has its own address', async (context) => {
  const running = await run(context);
  sayClient(running);
  const socket = running.dial();
  socket.write(LOCAL);
  await once(socket, 'connect');
  const { localPort } = socket;
  assert.ok((await ask(socket)).includes(`[127.0.0.1 ${localPort}]`));
});

test('an HTTP/2 request has the address the balancer said', async (context) => {
  const running = await run(context, {}, createH2);
  sayClient(running);
  const socket = running.dial();
  socket.write(V2);
  const session = connectH2('https://gateway.example', {
    createConnection: () => secure(socket, 'h2'),
  });
  assert.equal(await text(session.request({ ':path': '/' })), '[192.0.2.1 4711]');
  session.destroy();
});

test('the header may come in pieces, the last of them together with the TLS hello', async (context) => {
  const running = await run(context);
  sayClient(running);
  const socket = running.dial();
  socket.setNoDelay(true);
  for (const byte of V2.subarray(0, -1)) {
    socket.write(Buffer.from([byte]));
    await setImmediate();
  }
  // Corked, the last byte leaves in one piece with the hello that TLS writes.
  socket.cork();
  socket.write(V2.subarray(-1));
  const asking = ask(socket);
  await setImmediate();
  socket.uncork();
  assert.ok((await asking).includes('[192.0.2.1 4711]'));
});

for (const [what, start, fault] of [
  ['begins with TLS', '16030100c8010000c40303', 'malformed'],
  ['begins with plain HTTP', Buffer.from('GET / HTTP/1.1\r\n').toString('hex'), 'malformed'],
  ['has two headers at once', Buffer.concat([V1, V1]).toString('hex'), null],
] as const) {
  test(`a connection that ${what} is closed and answered by nobody`, async (context) => {
    const running = await run(context);
    running.server.on('request', () => assert.fail('a request'));
    const socket = running.dial();
    socket.write(Buffer.from(start, 'hex'));
    const received = (await socket.toArray()) as readonly Buffer[];
    // TLS says in an alert that the second header is not TLS.
    assert.ok(received.every((bytes) => bytes[0] === 0x15));
    assert.deepEqual(running.faults, fault === null ? [] : [fault]);
  });
}

test('a peer that is not listed is closed unread, whatever it says', async (context) => {
  const running = await run(context, { peers: () => tableOf('192.0.2.0/24') });
  running.server.on('secureConnection', () => assert.fail('TLS'));
  const socket = running.dial();
  socket.write(V2);
  await once(socket, 'close');
  assert.deepEqual(running.faults, ['unlisted']);
});

test('a client that may not begin is closed before TLS has done any work', async (context) => {
  const seen: unknown[] = [];
  const mayBegin = (asking: object) => seen.push(asking) === 0;
  const running = await run(context, { mayBegin });
  running.server.on('secureConnection', () => assert.fail('TLS'));
  const socket = running.dial();
  socket.write(Buffer.concat([V2, HELLO]));
  await once(socket, 'close');
  assert.deepEqual(seen, [client]);
});

test('a connection that says nothing is closed when its time is over', async (context) => {
  const running = await run(context, { timeoutMs: 5 });
  await once(running.dial(), 'close');
  assert.deepEqual(running.faults, ['timeout']);
});

// Invariant of the wiring: fed by another server's `emit('connection')` this request would be open for ever.
test('a request head that never ends is timed out behind a balancer too', async (context) => {
  const running = await run(context, { headersTimeout: 20 });
  const socket = running.dial();
  socket.write(V2);
  const tls = secure(socket);
  tls.write('GET / HTTP/1.1\r\nHost:');
  await once(tls, 'close');
});

test('a listener added later sees a connection as it comes in, before its header', async (context) => {
  const running = await run(context);
  const arrived = once(running.server, 'connection');
  running.dial();
  const [socket] = (await arrived) as [Socket];
  assert.equal(running.clients.clientOf(socket), null);
});

test('the client of a closed connection is forgotten', async (context) => {
  const running = await run(context);
  sayClient(running);
  const arrived = once(running.server, 'connection');
  const socket = running.dial();
  socket.write(V1);
  const [raw] = (await arrived) as [Socket];
  const { remoteAddress, remotePort, localAddress } = raw;
  const closed = once(raw, 'close');
  const secured = once(running.server, 'secureConnection');
  const asking = ask(socket);
  await secured;
  const ends = { remoteAddress, remotePort, localAddress };
  assert.deepEqual(running.clients.clientOf(ends), client);
  await asking;
  await closed;
  assert.equal(running.clients.clientOf(ends), null);
});
