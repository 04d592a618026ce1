// Which connections may begin: balancers and their headers, and rates, over real sockets.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { compileAddressTable, parseAddressRange } from '../../../dtr-rules/address.ts';
import {
  authority,
  collect,
  connectDevice,
  device,
  type Edge,
  eventually,
  runEdge,
  runOrigin,
} from './running-edge.ts';

function peers(text: string) {
  const range = parseAddressRange(text);
  assert.ok(range !== null);
  return compileAddressTable([{ range, value: true }]);
}

/** TLS over a connection that begins with a header. */
async function behindBalancer(t: TestContext, edge: Edge, header: string) {
  const raw = net.connect(edge.port, '127.0.0.1');
  t.after(() => raw.destroy());
  raw.on('error', () => undefined);
  await once(raw, 'connect');
  raw.write(header);
  const socket = tls.connect({
    socket: raw,
    servername: 'localhost',
    ca: authority.certificatePem,
    cert: device.chainPem,
    key: device.keyPem,
  });
  return collect(t, socket);
}

test('behind a listed balancer the client is who the header names (T15)', async (t) => {
  const origin = await runOrigin(t, () => undefined);
  const proxyProtocol = { peers: peers('127.0.0.1'), timeoutMs: 2000 };
  const edge = await runEdge(t, { limits: { proxyProtocol } });
  const client = await behindBalancer(
    t,
    edge,
    'PROXY TCP4 203.0.113.7 198.51.100.1 40000 8443\r\n',
  );
  client.write(`CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await client.until(/^HTTP\/1\.1 200/);
  const line = edge.lines.find((one) => one['event.name'] === 'zonegate.admit');
  assert.equal(line?.['client.address'], '203.0.113.7');
  assert.equal(line?.['client.port'], 40_000);
});

test('with the header on, nobody is served without one (T15)', async (t) => {
  const proxyProtocol = { peers: peers('127.0.0.1'), timeoutMs: 2000 };
  const edge = await runEdge(t, { limits: { proxyProtocol } });
  await assert.rejects(connectDevice(t, edge));
});

test('an address that is not listed cannot say who is calling (T15)', async (t) => {
  const proxyProtocol = { peers: peers('192.0.2.1'), timeoutMs: 2000 };
  const edge = await runEdge(t, { limits: { proxyProtocol } });
  const client = await behindBalancer(t, edge, 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n');
  await client.closed();
  const wanted = (one: Readonly<Record<string, unknown>>) => one['error.type'] === 'PROXY_UNLISTED';
  await eventually(() => edge.lines.some(wanted), 'it is logged');
});

test('with the header off, a header is no TLS and nothing is believed (T15)', async (t) => {
  const edge = await runEdge(t);
  const client = await behindBalancer(t, edge, 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n');
  assert.equal(await client.closed(), '');
});

test('a certificate that comes back too often is let go, and nobody else', async (t) => {
  const edge = await runEdge(t, { limits: { handshakesPerCertificate: 1 } });
  const other = await authority.issue({ commonName: 'device-2', usage: 'client', days: 1 });
  for (let i = 0; i < 4; i += 1) await connectDevice(t, edge);
  const wanted = (one: Readonly<Record<string, unknown>>) =>
    one['error.type'] === 'RATE_OF_CERTIFICATE';
  await eventually(() => edge.lines.filter(wanted).length === 2, 'two are beyond the burst');
  const client = await connectDevice(t, edge, { identity: other });
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.match(await client.until(/\r\n\r\n/), /^HTTP\/1\.1 404/);
});

test('an address that connects too often is let go before any handshake (R01)', async (t) => {
  const edge = await runEdge(t, { limits: { connectionsPerSource: 1 } });
  await connectDevice(t, edge);
  await connectDevice(t, edge);
  await assert.rejects(connectDevice(t, edge));
});
