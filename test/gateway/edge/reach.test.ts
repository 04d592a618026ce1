// Through an upstream proxy: what it is sent, what of its answers counts, and that its secrets stay here.

import assert from 'node:assert/strict';
import type net from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Upstream, UpstreamServer } from '../../../gateway/edge/upstream.ts';
import {
  type collect,
  connectDevice,
  type EdgeOptions,
  eventually,
  runEdge,
  runOrigin,
  send,
} from './running-edge.ts';

const credentials = `Basic ${Buffer.from('zonegate:s3cret').toString('base64')}`;
const connect = 'CONNECT app.proxied.test:443 HTTP/1.1\r\nHost: app.proxied.test:443\r\n\r\n';

type Play = (client: ReturnType<typeof collect>) => void;

const local = { host: '127.0.0.1', authorization: null, tls: null };

/** The upstream proxy of the rules, with these servers. */
function through(
  ...servers: readonly (Partial<UpstreamServer> & Pick<UpstreamServer, 'port'>)[]
): ReadonlyMap<string, Upstream> {
  const all = servers.map((server) => ({ ...local, ...server }));
  return new Map([['proxy', { name: 'proxy', servers: all }]]);
}

async function behind(t: TestContext, play: Play, options: Partial<EdgeOptions> = {}) {
  const heads: string[] = [];
  const proxy = await runOrigin(t, (client) => {
    client.until(/\r\n\r\n/).then(
      (head) => {
        heads.push(head);
        play(client);
      },
      () => undefined,
    );
  });
  const upstreams = through({ port: proxy.port, authorization: credentials });
  const edge = await runEdge(t, { upstreams, ...options });
  return { proxy, edge, heads };
}

const allOver = (sockets: readonly net.Socket[]) =>
  eventually(() => sockets.every((one) => one.closed), 'the upstream proxy is let go');

test('a tunnel goes through the proxy that the rule names, which resolves the name (D12)', async (t) => {
  const { edge, heads } = await behind(t, (client) => {
    client.write('HTTP/1.1 200 OK\r\nX-Ignored: 1\r\nContent-Length: 5\r\n\r\nearly ');
    void client.until(/ping$/).then(() => client.write('pong'));
  });
  const client = await connectDevice(t, edge);
  client.write(connect);
  await client.until(/^HTTP\/1\.1 200 Connection Established\r\n\r\nearly $/);
  client.write('ping');
  await client.until(/early pong$/);
  assert.equal(
    heads[0],
    `CONNECT app.proxied.test:443 HTTP/1.1\r\nHost: app.proxied.test:443\r\nProxy-Authorization: ${credentials}\r\n\r\n`,
  );
});

test('a plain request goes through a tunnel of the proxy too', async (t) => {
  const { edge } = await behind(t, (client) => {
    client.write('HTTP/1.1 200 OK\r\n\r\n');
    void client
      .until(/GET \/a HTTP\/1\.1\r\nhost: app\.proxied\.test\r\n/)
      .then(() => client.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  });
  const fields = 'Host: app.proxied.test\r\nConnection: close\r\n';
  const text = await send(t, edge, `GET http://app.proxied.test/a HTTP/1.1\r\n${fields}\r\n`);
  assert.match(text, /^HTTP\/1\.1 200 OK.*ok$/s);
});

const failing: readonly (readonly [name: string, play: Play])[] = [
  [
    'asks for a password',
    (client) =>
      client.write(
        'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="inner"\r\n\r\n',
      ),
  ],
  ['answers 502', (client) => client.write('HTTP/1.1 502 Bad Gateway\r\n\r\ninner page')],
  ['answers 100 and no more', (client) => client.write('HTTP/1.1 100 Continue\r\n\r\n')],
  ['talks nonsense', (client) => client.write('\x05\x00\x00\x01 not HTTP\r\n\r\n')],
  ['hides the status', (client) => client.write('HTTP/1.1 2000 OK\r\n\r\n')],
  ['closes', (client) => client.socket.end()],
  ['resets', (client) => client.socket.resetAndDestroy()],
  [
    'sends a head that does not end',
    (client) => client.write(`HTTP/1.1 200 OK\r\nX: ${'a'.repeat(60_000)}`),
  ],
  ['closes within its head', (client) => client.socket.end('HTTP/1.1 200 OK\r\n')],
];
for (const [name, play] of failing) {
  test(`a proxy that ${name} is a 502 of ours, and nothing of it shows (D12)`, async (t) => {
    const { edge, proxy } = await behind(t, play);
    const text = await send(t, edge, connect);
    assert.match(text, /^HTTP\/1\.1 502 .*error=connection_terminated; details="dial.upstream"/s);
    assert.doesNotMatch(text, /inner|proxy-authenticate|s3cret|Basic/i);
    assert.doesNotMatch(JSON.stringify(edge.lines), /s3cret|em9uZWdhdGU/);
    await allOver(proxy.sockets);
    assert.equal(edge.tunnels.count(), 0);
  });
}

test('a proxy that hangs is given up within the dial limit (D12, R09)', async (t) => {
  const { edge, proxy } = await behind(t, () => undefined, { dialTimeoutMs: 50 });
  assert.match(await send(t, edge, connect), /^HTTP\/1\.1 502 .*dial\.upstream/s);
  await allOver(proxy.sockets);
});

test('a device that leaves while the proxy thinks takes it along (R06)', async (t) => {
  const { edge, proxy, heads } = await behind(t, () => undefined);
  const client = await connectDevice(t, edge);
  client.write(connect);
  await eventually(() => heads.length === 1, 'the proxy is asked');
  client.socket.destroy();
  await allOver(proxy.sockets);
  await eventually(() => edge.tunnels.count() === 0, 'the place is free again');
  assert.equal(edge.lines.at(-1)?.['zonegate.reason'], 'request.abandoned');
});

test('a proxy that is not there is never gone around (D12)', async (t) => {
  const edge = await runEdge(t, { upstreams: through({ host: 'nowhere.test', port: 1 }) });
  assert.match(await send(t, edge, connect), /^HTTP\/1\.1 502 .*dns\.failed/s);
});
