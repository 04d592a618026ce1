// Several servers of one upstream proxy: which failures move on to the next, which servers rest, and TLS to them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import type { Upstream, UpstreamServer } from '../../../gateway/edge/upstream.ts';
import type { UpstreamChange } from '../../../gateway/edge/upstream-rests.ts';
import { createAuthority } from '../../../runtime/authority.ts';
import {
  collect,
  connectDevice,
  type Edge,
  type EdgeOptions,
  runEdge,
  runOrigin,
  statusOf,
} from './running-edge.ts';

type Play = (client: ReturnType<typeof collect>) => void;
const says =
  (text: string): Play =>
  (client) =>
    client.write(text);
const opens = (name: string) => says(`HTTP/1.1 200 OK\r\n\r\n${name}`);
const server = (port: number, more: Partial<UpstreamServer> = {}): UpstreamServer => ({
  host: '127.0.0.1',
  port,
  authorization: null,
  tls: null,
  ...more,
});

/** Answers every CONNECT; `heads` has what it was asked. */
async function proxyThat(t: TestContext, play: Play) {
  const heads: string[] = [];
  const { port } = await runOrigin(t, (client) => {
    void client
      .until(/\r\n\r\n/)
      .then((head) => {
        heads.push(head);
        play(client);
      })
      .catch(() => undefined);
  });
  return { port, heads };
}

async function through(
  t: TestContext,
  servers: readonly UpstreamServer[],
  options: Partial<EdgeOptions> = {},
) {
  const changes: UpstreamChange[] = [];
  const world = { now: 0 };
  const upstreams = new Map<string, Upstream>([['proxy', { name: 'proxy', servers }]]);
  const edge = await runEdge(t, {
    upstreams,
    restClock: () => world.now,
    onUpstream: (change) => void changes.push(change),
    ...options,
  });
  return { edge, changes, world };
}

/** What a device gets: the name the proxy says after it has opened the tunnel, or the refusal. */
async function ask(t: TestContext, edge: Edge, target = 'app.proxied.test:443'): Promise<string> {
  const client = await connectDevice(t, edge);
  client.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  const text = await client.until(/\r\n\r\n./s);
  client.socket.destroy();
  return statusOf(text) === 200 ? (text.split('\r\n\r\n')[1] ?? '') : `refused ${reasonIn(text)}`;
}

const reasonIn = (text: string) => /details="([^"]*)"/.exec(text)?.[1];

async function refusingPort(): Promise<number> {
  const listener = net.createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  await new Promise<void>((resolve) => void listener.close(() => resolve()));
  return port;
}

const movesOn: readonly (readonly [string, Play])[] = [
  ['answers 503', says('HTTP/1.1 503 Service Unavailable\r\n\r\n')],
  ['talks nonsense', says('SSH-2.0-OpenSSH_9.2\r\n\r\n')],
  ['closes', (client) => client.socket.end()],
  ['resets', (client) => client.socket.resetAndDestroy()],
  ['hangs', () => undefined],
];
for (const [name, play] of movesOn) {
  test(`a server that ${name} gives way to the next, and is left alone for a while`, async (t) => {
    const [first, second] = [await proxyThat(t, play), await proxyThat(t, opens('second'))];
    const servers = [server(first.port), server(second.port)];
    const { edge, changes } = await through(t, servers, { dialTimeoutMs: 3_000 });
    assert.equal(await ask(t, edge), 'second');
    assert.equal(await ask(t, edge), 'second');
    assert.equal(first.heads.length, 1, 'it is not asked the second time');
    assert.deepEqual(changes, [
      { upstream: 'proxy', server: `127.0.0.1:${first.port}`, restMs: 1000 },
    ]);
  });
}

test('a server that is not there, by port or by name, gives way to the next', async (t) => {
  const last = await proxyThat(t, opens('last'));
  const servers = [
    server(await refusingPort()),
    server(1, { host: 'nowhere.test' }),
    server(last.port),
  ];
  const { edge, changes } = await through(t, servers);
  assert.equal(await ask(t, edge), 'last');
  assert.equal(changes.length, 2);
});

for (const status of [403, 407]) {
  test(`a server that answers ${status} has answered: no other is asked (D12)`, async (t) => {
    const first = await proxyThat(t, says(`HTTP/1.1 ${status} No\r\n\r\n`));
    const second = await proxyThat(t, opens('second'));
    const { edge, changes } = await through(t, [server(first.port), server(second.port)]);
    assert.equal(await ask(t, edge), 'refused dial.upstream');
    assert.equal(second.heads.length, 0);
    assert.deepEqual(changes, []);
  });
}

test('when no server can reach the target, none of them is at fault', async (t) => {
  const dead = says('HTTP/1.1 504 Gateway Timeout\r\n\r\n');
  const [first, second] = [await proxyThat(t, dead), await proxyThat(t, dead)];
  const { edge, changes } = await through(t, [server(first.port), server(second.port)]);
  assert.equal(await ask(t, edge), 'refused dial.upstream');
  assert.equal(second.heads.length, 1);
  assert.deepEqual(changes, []);
});

test('a server that failed is asked first again after its rest, and is well when it opens', async (t) => {
  let isWell = false;
  const first = await proxyThat(t, (client) =>
    isWell ? opens('first')(client) : client.socket.end(),
  );
  const second = await proxyThat(t, opens('second'));
  const { edge, changes, world } = await through(t, [server(first.port), server(second.port)]);
  assert.equal(await ask(t, edge), 'second');
  world.now = 1000;
  assert.equal(await ask(t, edge), 'second');
  world.now = 2999;
  isWell = true;
  assert.equal(await ask(t, edge), 'second', 'the second rest is longer');
  world.now = 3000;
  assert.equal(await ask(t, edge), 'first');
  assert.deepEqual(
    changes.map(({ restMs }) => restMs),
    [1000, 2000, null],
  );
});

test('a server that rests is still better than none', async (t) => {
  let isWell = false;
  const only = await proxyThat(t, (client) =>
    isWell ? opens('only')(client) : client.socket.end(),
  );
  const { edge } = await through(t, [server(only.port)]);
  assert.equal(await ask(t, edge), 'refused dial.upstream');
  isWell = true;
  assert.equal(await ask(t, edge), 'only');
});

test('an address of a family without egress addresses is asked for through the proxy all the same', async (t) => {
  const proxy = await proxyThat(t, opens('open'));
  const { edge } = await through(t, [server(proxy.port)]);
  assert.equal(await ask(t, edge, '[2606:4700::1]:443'), 'open');
  assert.match(proxy.heads[0] ?? '', /^CONNECT \[2606:4700::1\]:443 HTTP\/1\.1\r\n/);
});

test('a proxy of a family without egress addresses is not reached', async (t) => {
  const { edge, changes } = await through(t, [server(443, { host: '::1' })]);
  assert.equal(await ask(t, edge), 'refused egress.no_family');
  assert.deepEqual(changes, [], 'which is no fault of the proxy');
});

async function tlsProxy(t: TestContext, name: string) {
  const authority = await createAuthority({ name: 'proxies', days: 1 });
  const { chainPem, keyPem } = await authority.issue({
    commonName: name,
    sans: { dns: [name] },
    usage: 'server',
    days: 1,
  });
  const seen: string[] = [];
  const listener = tls.createServer({ cert: chainPem, key: keyPem }, (socket) => {
    const client = collect(t, socket);
    void client
      .until(/\r\n\r\n/)
      .then((head) => {
        seen.push(head);
        client.write('HTTP/1.1 200 OK\r\n\r\nsecured ');
        return client.until(/ping$/);
      })
      .then(() => client.write(`${'x'.repeat(1_000_000)}pong`))
      .catch(() => undefined);
  });
  listener.on('tlsClientError', () => undefined).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => void listener.close());
  const { port } = listener.address() as AddressInfo;
  return { port, seen, authority: authority.certificatePem };
}

test('TLS to the proxy: its certificate is checked, then the tunnel goes through it both ways', async (t) => {
  const proxy = await tlsProxy(t, 'proxy.origin.test');
  const secured = server(proxy.port, {
    host: 'proxy.origin.test',
    authorization: 'Basic c2VjcmV0',
    tls: { authority: proxy.authority },
  });
  const { edge } = await through(t, [secured]);
  const client = await connectDevice(t, edge);
  client.write('CONNECT app.proxied.test:443 HTTP/1.1\r\nHost: app.proxied.test:443\r\n\r\n');
  await client.until(/\r\n\r\nsecured $/);
  client.write('ping');
  const text = await client.until((all) => all.endsWith('pong'));
  assert.equal(
    text.length,
    text.indexOf('secured ') + 'secured '.length + 1_000_000 + 'pong'.length,
  );
  assert.match(proxy.seen[0] ?? '', /\r\nProxy-Authorization: Basic c2VjcmV0\r\n/);
});

const strangers: readonly (readonly [string, (authority: string) => Partial<UpstreamServer>])[] = [
  ['of another name', (authority) => ({ host: 'other.origin.test', tls: { authority } })],
  ['of nobody that is trusted', () => ({ host: 'proxy.origin.test', tls: { authority: null } })],
];
for (const [name, more] of strangers) {
  test(`a proxy with a certificate ${name} is told nothing (D12)`, async (t) => {
    const proxy = await tlsProxy(t, 'proxy.origin.test');
    const { edge } = await through(t, [server(proxy.port, more(proxy.authority))]);
    assert.equal(await ask(t, edge), 'refused dial.upstream');
    assert.deepEqual(proxy.seen, []);
  });
}

test('a device that leaves during the TLS handshake takes the connection along (R06)', async (t) => {
  const sockets: net.Socket[] = [];
  const silent = await runOrigin(t, ({ socket }) => void sockets.push(socket));
  const { edge } = await through(t, [server(silent.port, { tls: { authority: null } })]);
  const client = await connectDevice(t, edge);
  client.write('CONNECT app.proxied.test:443 HTTP/1.1\r\nHost: app.proxied.test:443\r\n\r\n');
  while (sockets.length === 0) await new Promise((resolve) => setImmediate(resolve));
  client.socket.destroy();
  await once(sockets[0] ?? assert.fail('nobody came'), 'close');
  assert.equal(edge.tunnels.count(), 0);
});
