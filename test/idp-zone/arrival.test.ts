// Where a request comes from, over real TLS: blocklists before everything, the forwarded field, the PROXY protocol.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { INSIDE, OUTSIDE, type Running, startIdpZone } from './running.ts';

const BLOCKED = '127.0.0.66';
const BLOCKLIST = [
  { name: 'egress', gateways: [INSIDE] },
  { name: 'bad', usage: 'BLOCKLIST', gateways: ['127.0.0.64/28', '203.0.113.0/24'] },
  { name: 'ours', usage: 'EXEMPT', gateways: ['127.0.0.67', '203.0.113.8'] },
];

test('an address of a blocklist gets one answer, whatever it asks for', async (t) => {
  const running = await startIdpZone({ zones: { zones: BLOCKLIST } });
  t.after(() => running.close());
  for (const path of [
    '/auth',
    '/token',
    '/.well-known/openid-configuration',
    '/jwks',
    '/nothing',
  ]) {
    const answer = await running.send(BLOCKED, path);
    assert.equal(answer.status, 403, path);
    assert.match(answer.text, /sign-on\.blocked/);
  }
  assert.equal((await running.send(INSIDE, '/jwks')).status, 200);
  assert.equal((await running.send('127.0.0.67', '/jwks')).status, 200, 'exempt');
  const [line] = running.logged.filter(({ msg }) => msg === 'request blocked');
  assert.equal(line?.['zonegate.zone'], 'bad');
  assert.equal(line?.['zonegate.blocked_address'], BLOCKED);
  assert.match(await running.metrics.text(), /^zonegate_signon_blocked_requests_total 5$/m);
});

test('a blocklist looks at every hop a declared proxy tells of, and at no other', async (t) => {
  const running = await startIdpZone({
    zones: { zones: BLOCKLIST },
    config: { trustedProxies: [OUTSIDE] },
  });
  t.after(() => running.close());
  const status = async (from: string, forwardedFor: string) => {
    const headers = { 'x-forwarded-for': forwardedFor };
    return (await running.send(from, '/jwks', { headers })).status;
  };
  assert.equal(await status(OUTSIDE, '203.0.113.9'), 403);
  assert.equal(await status(OUTSIDE, '203.0.113.9, 198.51.100.7'), 403);
  assert.equal(await status(OUTSIDE, '203.0.113.8, 198.51.100.7'), 200);
  assert.equal(await status(INSIDE, '203.0.113.9'), 200, 'this peer was not asked');
});

const through = (running: Running) => (headers: Record<string, string>) =>
  running.send(OUTSIDE, '/jwks', { headers });

test('only the declared field is read: the other one is the client talking', async (t) => {
  const running = await startIdpZone({
    zones: { zones: BLOCKLIST },
    config: { trustedProxies: [OUTSIDE], forwardedField: 'Forwarded' },
  });
  t.after(() => running.close());
  const send = through(running);
  assert.equal((await send({ forwarded: 'for="203.0.113.9:4711";proto=https' })).status, 403);
  assert.equal((await send({ 'x-forwarded-for': '203.0.113.9' })).status, 200);
  const both = { forwarded: 'for=203.0.113.9', 'x-forwarded-for': '198.51.100.7' };
  assert.equal((await send(both)).status, 403);
  // What a client sends ahead does not hide what the proxy adds.
  assert.equal((await send({ forwarded: 'for=", for=203.0.113.9' })).status, 403);
});

interface Dialled {
  readonly header: string;
  readonly from?: string;
  readonly fields?: string;
}

// One request over a connection that begins with a PROXY header; null when the connection is not served.
async function dial(
  running: Running,
  { header, from = OUTSIDE, fields = '' }: Dialled,
): Promise<string | null> {
  const port = running.idp.port;
  const socket = connectTcp({ port, host: '127.0.0.1', localAddress: from });
  try {
    await once(socket, 'connect');
    socket.write(header);
    const tls = connectTls({ socket, ca: running.ca, servername: 'idp.example.test' });
    await once(tls, 'secureConnect');
    tls.write(`GET /jwks HTTP/1.1\r\nHost: idp.example.test\r\n${fields}Connection: close\r\n\r\n`);
    return (await text(tls)).slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length);
  } catch {
    return null;
  } finally {
    socket.destroy();
  }
}

test('a listed balancer names the client in its PROXY header, and nobody else does', async (t) => {
  const running = await startIdpZone({
    zones: { zones: BLOCKLIST },
    config: { proxyProtocol: { peers: [OUTSIDE] } },
  });
  t.after(() => running.close());
  const headerOf = (client: string) => `PROXY TCP4 ${client} 192.0.2.1 4711 443\r\n`;
  assert.equal(await dial(running, { header: headerOf('198.51.100.7') }), '200');
  assert.equal(await dial(running, { header: headerOf('203.0.113.9') }), '403');
  assert.equal(await dial(running, { header: headerOf('198.51.100.7'), from: INSIDE }), null);
  assert.equal(await dial(running, { header: '' }), null);
  const [line] = running.logged.filter(({ msg }) => msg === 'request blocked');
  assert.equal(line?.['network.peer.address'], '203.0.113.9');
});

test('a forwarded field counts behind the PROXY header of a client that is a declared proxy', async (t) => {
  const running = await startIdpZone({
    zones: { zones: BLOCKLIST },
    config: { proxyProtocol: { peers: [OUTSIDE] }, trustedProxies: ['198.51.100.7'] },
  });
  t.after(() => running.close());
  const ask = (client: string) =>
    dial(running, {
      header: `PROXY TCP4 ${client} 192.0.2.1 4711 443\r\n`,
      fields: 'X-Forwarded-For: 203.0.113.9\r\n',
    });
  assert.equal(await ask('198.51.100.7'), '403');
  assert.equal(await ask('198.51.100.8'), '200');
});

test('without the PROXY protocol its header is no TLS', async (t) => {
  const running = await startIdpZone();
  t.after(() => running.close());
  assert.equal(await dial(running, { header: 'PROXY UNKNOWN\r\n' }), null);
});
