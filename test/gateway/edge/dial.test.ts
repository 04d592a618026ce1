// Dialling over real sockets on loopback: who wins, what the losers leave behind, how it fails.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { FailureReason } from '../../../gateway/decision/reasons.ts';
import { type DialOptions, dial } from '../../../gateway/edge/dial.ts';
import { GatewayError } from '../../../gateway/errors.ts';
import { silentPort } from '../../support/silent-port.ts';
import { addressOf } from '../decision/policy-for.ts';

const to = (address: string, source = address.includes(':') ? '::1' : '127.0.0.1') => ({
  address: addressOf(address),
  source: addressOf(source),
});

const never = new AbortController().signal;
const options = (port: number, more: Partial<DialOptions> = {}): DialOptions => ({
  port,
  timeoutMs: 5_000,
  attemptDelayMs: 5_000,
  signal: never,
  ...more,
});

async function listenOn(t: TestContext, host: string, port = 0) {
  const peers: net.Socket[] = [];
  const server = net.createServer((socket) => {
    peers.push(socket);
    socket.on('error', () => undefined);
  });
  server.listen(port, host);
  await once(server, 'listening');
  t.after(() => {
    for (const peer of peers) peer.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, peers };
}

/** Sockets of this process, those that still connect too. */
const sockets = (): number =>
  process.getActiveResourcesInfo().filter((name) => /^TCP(SocketWrap|ConnectWrap)$/.test(name))
    .length;

const fails = (code: FailureReason) => (error: unknown) => {
  assert.ok(error instanceof GatewayError, String(error));
  assert.equal(error.code, code);
  return true;
};

test('the connection leaves from the egress address (D14)', async (t) => {
  const { port, peers } = await listenOn(t, '127.0.0.1');
  const { socket, candidate } = await dial([to('127.0.0.1', '127.0.0.9')], options(port));
  t.after(() => socket.destroy());
  assert.equal(socket.localAddress, '127.0.0.9');
  assert.equal(candidate.source.text, '127.0.0.9');
  await until(() => peers.length === 1);
  assert.ok(peers.every((peer) => peer.remoteAddress === '127.0.0.9'));
});

test('an address that refuses gives way to the next at once', async (t) => {
  const { port } = await listenOn(t, '127.0.0.3');
  const { socket, candidate } = await dial([to('127.0.0.2'), to('127.0.0.3')], options(port));
  t.after(() => socket.destroy());
  assert.equal(candidate.address.text, '127.0.0.3');
});

test('an address that is silent gives way after the attempt delay, and is let go', async (t) => {
  const port = await silentPort(t, '127.0.0.2');
  await listenOn(t, '127.0.0.3', port);
  const before = sockets();
  const { socket, candidate } = await dial(
    [to('127.0.0.2'), to('127.0.0.3')],
    options(port, { attemptDelayMs: 10 }),
  );
  t.after(() => socket.destroy());
  assert.equal(candidate.address.text, '127.0.0.3');
  await until(() => sockets() <= before + 2); // the winner and its peer
});

test('families take turns, beginning with the first answer (RFC 8305 section 4)', async (t) => {
  const { port } = await listenOn(t, '::1');
  const dialled = await dial([to('127.0.0.2'), to('127.0.0.3'), to('::1')], options(port));
  t.after(() => dialled.socket.destroy());
  assert.equal(dialled.candidate.address.text, '::1');
  // Had 127.0.0.3 been second it would have won: it listens too.
  await listenOn(t, '127.0.0.3', port);
  const again = await dial([to('127.0.0.2'), to('127.0.0.3'), to('::1')], options(port));
  t.after(() => again.socket.destroy());
  assert.equal(again.candidate.address.text, '::1');
});

test('a port nobody listens on is a refusal', async (t) => {
  const { port } = await listenOn(t, '127.0.0.3');
  await assert.rejects(dial([to('127.0.0.2')], options(port)), fails('dial.refused'));
});

test('an egress address this machine does not have is unavailable, and nothing is sent (D14)', async (t) => {
  const { port, peers } = await listenOn(t, '127.0.0.1');
  await assert.rejects(
    dial([to('127.0.0.1', '192.0.2.1')], options(port)),
    fails('egress.unavailable'),
  );
  assert.equal(peers.length, 0);
});

test('silence is a time-out for all attempts together (R09)', async (t) => {
  const port = await silentPort(t);
  const before = sockets();
  const silent = dial(
    [to('127.0.0.1'), to('127.0.0.1')],
    options(port, { timeoutMs: 40, attemptDelayMs: 5 }),
  );
  await assert.rejects(silent, fails('dial.timeout'));
  await until(() => sockets() <= before);
});

test('a device that leaves ends the dialling at once (R06)', async (t) => {
  const port = await silentPort(t);
  const before = sockets();
  const gone = new AbortController();
  const left = new Error('left');
  const dialling = dial([to('127.0.0.1')], options(port, { signal: gone.signal }));
  gone.abort(left);
  await assert.rejects(dialling, left);
  await until(() => sockets() <= before);
});

test('nothing is dialled for a device that has left already (R06)', async (t) => {
  const { port, peers } = await listenOn(t, '127.0.0.1');
  const signal = AbortSignal.abort(new Error('left'));
  await assert.rejects(dial([to('127.0.0.1')], options(port, { signal })), /left/);
  assert.equal(peers.length, 0);
});

test('a reset before anybody listens for errors is no crash (R06)', async (t) => {
  const { port, peers } = await listenOn(t, '127.0.0.1');
  const { socket } = await dial([to('127.0.0.1')], options(port));
  await until(() => peers.length === 1);
  peers[0]?.resetAndDestroy();
  socket.resume();
  await until(() => socket.closed);
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
