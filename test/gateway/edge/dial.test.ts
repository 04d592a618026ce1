// Dialling over real sockets on loopback: who wins, what the losers leave behind, how it fails.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { FailureReason } from '../../../gateway/decision/reasons.ts';
import { type DialOptions, type DialWatch, dial } from '../../../gateway/edge/dial.ts';
import { createFamilyMemory } from '../../../gateway/edge/family-memory.ts';
import { GatewayError } from '../../../gateway/errors.ts';
import { silentPort } from '../../support/silent-port.ts';
import { addressOf } from '../decision/policy-for.ts';

const to = (
  address: string,
  source = address.includes(':') ? '::1' : '127.0.0.1',
  ...neighbours: readonly string[]
) => ({
  address: addressOf(address),
  source: addressOf(source),
  neighbours: neighbours.map(addressOf),
});

const never = new AbortController().signal;
const options = (port: number, more: Partial<DialOptions> = {}): DialOptions => ({
  port,
  timeoutMs: 5_000,
  attemptDelayMs: 5_000,
  signal: never,
  watch: null,
  deviceId: 'd1',
  families: null,
  ...more,
});

/** What dialling says of egress addresses, in order. */
function watching(onBusy: () => void = () => undefined) {
  const seen: string[] = [];
  const watch: DialWatch = {
    worked: ({ text }) => void seen.push(`${text} worked`),
    failed: ({ text }, fault) => void seen.push(`${text} ${fault}`),
    unreachable: ({ text }, to, deviceId) =>
      void seen.push(`${text} cannot reach ${to.text} for ${deviceId}`),
    moved: () => void seen.push('moved'),
    portBusy() {
      seen.push('busy');
      onBusy();
    },
  };
  return { seen, watch };
}

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
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { port: (server.address() as AddressInfo).port, peers, close };
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

/** Hands out these ports in turn, and says which were asked for. */
function portsOf(...ports: readonly number[]) {
  const asked: number[] = [];
  const next = (): number => {
    const port = ports[asked.length % ports.length] ?? 0;
    asked.push(port);
    return port;
  };
  return { asked, next };
}

/** Nobody uses it on that address for the moment. */
async function freePort(t: TestContext, host: string): Promise<number> {
  const { port, close } = await listenOn(t, host);
  await close();
  return port;
}

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

test('the port that comes next is used, and one may lead to many destinations at once', async (t) => {
  const one = await listenOn(t, '127.0.0.1');
  const two = await listenOn(t, '127.0.0.2');
  const localPort = await freePort(t, '127.0.0.11');
  for (const { host, port } of [
    { host: '127.0.0.1', port: one.port },
    { host: '127.0.0.2', port: two.port },
  ]) {
    const localPorts = portsOf(localPort);
    const { socket } = await dial([to(host, '127.0.0.11')], options(port, { localPorts }));
    t.after(() => socket.destroy());
    assert.equal(socket.localPort, localPort);
  }
});

test('a port that a listener holds, or that leads there already, gives way to the next', async (t) => {
  const { port } = await listenOn(t, '127.0.0.1');
  const source = '127.0.0.12';
  const held = await listenOn(t, source);
  const [used, free] = [await freePort(t, source), await freePort(t, source)];
  const candidates = [to('127.0.0.1', source)];
  const first = await dial(candidates, options(port, { localPorts: portsOf(used) }));
  t.after(() => first.socket.destroy());
  const localPorts = portsOf(held.port, used, free);
  const { seen, watch } = watching();
  const { socket } = await dial(candidates, options(port, { localPorts, watch }));
  t.after(() => socket.destroy());
  assert.equal(socket.localPort, free);
  assert.deepEqual(seen, ['busy', 'busy', `${source} worked`]);
});

test('when one port after the other is busy the egress address is unavailable', async (t) => {
  const { port, peers } = await listenOn(t, '127.0.0.1');
  const held = await listenOn(t, '127.0.0.13');
  const localPorts = portsOf(held.port);
  const before = sockets();
  const dialling = dial([to('127.0.0.1', '127.0.0.13')], options(port, { localPorts }));
  await assert.rejects(dialling, fails('egress.unavailable'));
  assert.equal(localPorts.asked.length, 32);
  assert.equal(peers.length, 0);
  await until(() => sockets() <= before);
});

test('an egress address that is not there gives way to its neighbour in the same attempt', async (t) => {
  const { port, peers } = await listenOn(t, '127.0.0.1');
  const { seen, watch } = watching();
  const candidates = [to('127.0.0.1', '192.0.2.1', '192.0.2.3', '127.0.0.15', '127.0.0.16')];
  const { socket, candidate } = await dial(candidates, options(port, { watch }));
  t.after(() => socket.destroy());
  await until(() => peers.length === 1);
  assert.equal(peers[0]?.remoteAddress, '127.0.0.15');
  assert.equal(candidate.source.text, '127.0.0.15');
  const gone = ['192.0.2.1 missing', 'moved', '192.0.2.3 missing', 'moved'];
  assert.deepEqual(seen, [...gone, '127.0.0.15 worked']);
});

test('an egress address whose ports are used up gives way to its neighbour', async (t) => {
  const { port } = await listenOn(t, '127.0.0.1');
  const held = await listenOn(t, '127.0.0.17');
  const localPorts = portsOf(held.port);
  const { seen, watch } = watching();
  const candidates = [to('127.0.0.1', '127.0.0.17', '127.0.0.18')];
  const { socket } = await dial(candidates, options(port, { localPorts, watch }));
  t.after(() => socket.destroy());
  assert.equal(socket.localAddress, '127.0.0.18');
  assert.deepEqual(seen.slice(-4), ['busy', '127.0.0.17 ports', 'moved', '127.0.0.18 worked']);
});

test('what is wrong with the destination is no reason to leave from a neighbour (D14)', async (t) => {
  const { port, close } = await listenOn(t, '127.0.0.1');
  await close();
  const { seen, watch } = watching();
  const refusing = [to('127.0.0.1', '127.0.0.19', '127.0.0.20')];
  await assert.rejects(dial(refusing, options(port, { watch })), fails('dial.refused'));
  assert.deepEqual(seen, []);
  // A broadcast address: the system has no way to it for TCP.
  const nowhere = [to('127.255.255.255', '127.0.0.19', '127.0.0.20')];
  await assert.rejects(dial(nowhere, options(port, { watch })), fails('dial.unreachable'));
  assert.deepEqual(seen, ['127.0.0.19 cannot reach 127.255.255.255 for d1']);
});

test('the family that got through is tried first the next time (RFC 8305 section 4)', async (t) => {
  const { port } = await listenOn(t, '::1');
  const memory = createFamilyMemory(() => 0);
  const families = { memory, host: 'two.test' };
  const candidates = [to('127.0.0.2'), to('::1')];
  const first = await dial(candidates, options(port, { families }));
  t.after(() => first.socket.destroy());
  // Had IPv4 been first again it would have won: it answers now.
  const both = await listenOn(t, '127.0.0.2', port);
  const again = await dial(candidates, options(port, { families }));
  t.after(() => again.socket.destroy());
  assert.equal(again.candidate.address.text, '::1');
  const other = { memory, host: 'other.test' };
  const elsewhere = await dial(candidates, options(port, { families: other }));
  t.after(() => elsewhere.socket.destroy());
  assert.equal(elsewhere.candidate.address.text, '127.0.0.2');
  assert.equal(both.port, port);
});

test('an egress address that this machine does not have is not tried on other ports', async (t) => {
  const { port } = await listenOn(t, '127.0.0.1');
  const localPorts = portsOf(40_000, 40_001);
  const dialling = dial([to('127.0.0.1', '192.0.2.1')], options(port, { localPorts }));
  await assert.rejects(dialling, fails('egress.unavailable'));
  assert.equal(localPorts.asked.length, 1);
});

test('a device that leaves ends the search for a port (R06)', async (t) => {
  const { port } = await listenOn(t, '127.0.0.1');
  const held = await listenOn(t, '127.0.0.14');
  const localPorts = portsOf(held.port);
  const gone = new AbortController();
  const left = new Error('left');
  const { watch } = watching(() => gone.abort(left));
  const { signal } = gone;
  const before = sockets();
  const dialling = dial(
    [to('127.0.0.1', '127.0.0.14')],
    options(port, { localPorts, watch, signal }),
  );
  await assert.rejects(dialling, left);
  await until(() => sockets() <= before);
  assert.equal(localPorts.asked.length, 1);
});

test('where the system chooses, one attempt is all', async (t) => {
  const { port, peers } = await listenOn(t, '127.0.0.1');
  const { socket } = await dial([to('127.0.0.1')], options(port, { localPorts: portsOf(0) }));
  t.after(() => socket.destroy());
  await until(() => peers.length === 1);
  assert.equal(socket.localPort, peers[0]?.remotePort);
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
