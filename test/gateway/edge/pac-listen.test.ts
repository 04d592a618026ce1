// Owns the listener for PAC files: it asks for no certificate, serves nothing else, and bounds who it talks to.

import assert from 'node:assert/strict';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import type tls from 'node:tls';
import type { Listener } from '../../../gateway/edge/listener.ts';
import { listenForPac, type PacListenOptions } from '../../../gateway/edge/pac-listen.ts';
import { pacPath } from '../../../gateway/edge/pac-token.ts';
import { createAuthority } from '../../../runtime/authority.ts';
import { DEVICE } from '../decision/policy-for.ts';
import {
  authority,
  collect,
  connectDevice,
  device,
  type Edge,
  runEdge,
  statusOf,
} from './running-edge.ts';

const path = pacPath(DEVICE, 'secret of the tests');

interface Running {
  readonly edge: Edge;
  readonly listener: Listener;
}

async function runPacListener(
  t: TestContext,
  limits: Partial<PacListenOptions> = {},
): Promise<Running> {
  const edge = await runEdge(t);
  const listener = await listenForPac({ ...edge.options, ...limits }, edge.parts);
  t.after(() => listener.close());
  return { edge, listener };
}

async function say(t: TestContext, { listener }: Running, text: string): Promise<string> {
  const client = await connectDevice(t, listener, { identity: null });
  client.write(text);
  return await client.closed();
}

const request = (line: string, fields = '') => `${line} HTTP/1.1\r\nHost: gw.test\r\n${fields}\r\n`;

test('it gives a device its PAC file and closes', async (t) => {
  const running = await runPacListener(t);
  const client = await connectDevice(t, running.listener, { ALPNProtocols: ['h2', 'http/1.1'] });
  assert.equal(client.socket.alpnProtocol, 'http/1.1');
  client.write(request(`GET ${path}`));
  const text = await client.closed();
  assert.equal(statusOf(text), 200);
  assert.match(text, /FindProxyForURL/);
  assert.match(text, /\r\nConnection: close\r\n/);
  // The client had one to show.
  const [line] = running.edge.lines.filter((one) => one['event.name'] === 'zonegate.own');
  assert.equal(line?.['zonegate.endpoint'], 'pac_token');
  assert.equal(line['device.id'], DEVICE);
  const counted = 'zonegate_own_requests_total{endpoint="pac_token"}';
  assert.equal(await running.edge.metric(counted), '1');
  assert.doesNotMatch(await say(t, running, request(`HEAD ${path}`)), /FindProxyForURL/);
});

const refused: readonly (readonly [string, status: number, reason: string])[] = [
  [request('GET /'), 404, 'request.not_proxied'],
  [request('GET /whoami'), 404, 'request.not_proxied'],
  [request('GET /pac'), 404, 'request.not_proxied'],
  [request('GET /pac/x.pac'), 404, 'request.not_proxied'],
  [request(`GET ${path}?a`), 404, 'request.not_proxied'],
  [request(`GET http://origin.test${path}`), 404, 'request.not_proxied'],
  [request('GET http://origin.test/'), 404, 'request.not_proxied'],
  [request(`POST ${path}`), 405, 'request.method'],
  [request(`OPTIONS *`), 405, 'request.method'],
  ['CONNECT origin.test:443 HTTP/1.1\r\nHost: origin.test:443\r\n\r\n', 405, 'request.method'],
  [request(`GET ${path}`, 'Content-Length: 1\r\n'), 400, 'request.malformed'],
  [request(`GET ${path}`, 'Transfer-Encoding: chunked\r\n'), 400, 'request.malformed'],
  [
    request(`GET ${path}`, 'Expect: 100-continue\r\nContent-Length: 1\r\n'),
    400,
    'request.malformed',
  ],
  [request(`GET ${path}`, 'Host: twice.test\r\n'), 400, 'request.malformed'],
  [request(`GET ${path}`, `X: ${'x'.repeat(9000)}\r\n`), 431, 'request.malformed'],
];

for (const [text, status, reason] of refused) {
  test(`${JSON.stringify(text.slice(0, 90))} is answered ${status}`, async (t) => {
    const running = await runPacListener(t);
    const answer = await say(t, running, text);
    assert.equal(statusOf(answer), status);
    assert.match(answer, new RegExp(`"reason":"${reason}"`));
    assert.doesNotMatch(answer, /FindProxyForURL|100 Continue/);
    const logged = running.edge.lines.filter((one) => one['zonegate.reason'] === reason);
    assert.equal(logged.length, 1);
    assert.equal(running.edge.tunnels.count(), 0);
  });
}

test('an upgrade is not followed', async (t) => {
  const running = await runPacListener(t);
  const fields = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
  assert.equal(statusOf(await say(t, running, request(`GET ${path}`, fields))), 200);
});

test('one request is answered for each connection', async (t) => {
  const running = await runPacListener(t);
  const text = await say(t, running, request(`GET ${path}`).repeat(3));
  assert.equal(text.split('FindProxyForURL').length, 2);
});

test('a connection that says nothing is closed, before and after the handshake', async (t) => {
  const short = { handshakeTimeoutMs: 50, headTimeoutMs: 50 };
  const { listener } = await runPacListener(t, short);
  await collect(t, net.connect(listener.port, '127.0.0.1')).closed();
  const client = await connectDevice(t, listener, { identity: null });
  client.write('GET ');
  await client.closed();
});

test('a connection has its time, whatever it waits for', async (t) => {
  const running = await runPacListener(t, { headTimeoutMs: 50 });
  running.edge.posture = () => new Promise(() => undefined);
  assert.equal(await say(t, running, request(`GET ${path}`)), '');
});

test('one source makes so many connections a second, and holds so many', async (t) => {
  const rated = await runPacListener(t, { connectionsPerSource: 1 });
  const get = () => say(t, rated, request(`GET ${path}`));
  await Promise.allSettled([get(), get(), get(), get()]);
  assert.ok(rated.edge.lines.some((line) => JSON.stringify(line).includes('RATE_OF_SOURCE')));
  const bounded = await runPacListener(t, { unauthenticatedPerSource: 1 });
  const first = await connectDevice(t, bounded.listener, { identity: null });
  const second = await connectDevice(t, bounded.listener, { identity: null });
  await first.closed();
  second.write(request(`GET ${path}`));
  assert.equal(statusOf(await second.closed()), 200);
});

test('a session of the device listener is not resumed here', async (t) => {
  const running = await runPacListener(t);
  const ticketKeys = Buffer.alloc(48, 1);
  for (const one of [running.listener, running.edge.listener])
    one.setTls({ ...running.edge.options.tls, ticketKeys });
  const met = await connectDevice(t, running.edge, { maxVersion: 'TLSv1.2' });
  const session = met.socket.getSession();
  assert.ok(session);
  const again = await connectDevice(t, running.edge, { maxVersion: 'TLSv1.2', session });
  assert.equal(again.socket.isSessionReused(), true);
  const other = await connectDevice(t, running.listener, { maxVersion: 'TLSv1.2', session });
  assert.equal(other.socket.isSessionReused(), false);
});

test('it takes over a new certificate, and closes with its connections', async (t) => {
  const running = await runPacListener(t);
  const other = await createAuthority({ name: 'another authority', days: 1 });
  const issued = await other.issue({
    commonName: 'gateway',
    sans: { dns: ['localhost'] },
    usage: 'server',
    days: 1,
  });
  const { tls: before } = running.edge.options;
  running.listener.setTls({ ...before, certificate: issued.chainPem, key: issued.keyPem });
  const asks: tls.ConnectionOptions = { ca: other.certificatePem };
  const client = await connectDevice(t, running.listener, { ...asks, identity: device });
  assert.equal(client.socket.authorized, true);
  await assert.rejects(connectDevice(t, running.listener, { ca: authority.certificatePem }));
  await running.listener.close();
  await client.closed();
});
