// WebSocket (RFC 6455) over plain HTTP through a whole gateway, with a client and a server that did not come with it.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { type CloseEvent, type MessageEvent, ProxyAgent, WebSocket } from 'undici';
import { within } from '../support/client.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';

const stack = new AsyncDisposableStack();
let gateway: RunningGateway;
let port = 0;

before(async () => {
  gateway = stack.use(await startGateway({ posture: 'uem' }));
  const server = createServer().on('upgrade', (request, socket) => {
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.on('error', () => socket.destroy());
    // Its first words leave together with its agreement.
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n\u0081\u0007welcome`,
      'latin1',
    );
    socket.on('data', (frame: Buffer) => {
      socket.write(echoed(frame));
      if (((frame[0] ?? 0) & 0x0f) === closing) socket.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  stack.defer(() => void server.close());
});
after(() => stack.disposeAsync());

/** The opcode of a goodbye, RFC 6455 section 5.5. */
const closing = 8;

/** One short frame of a client, unmasked: text comes back, and so does a close (RFC 6455 section 5). */
function echoed(frame: Buffer): Buffer {
  const length = (frame[1] ?? 0) & 0x7f;
  const mask = frame.subarray(2, 6);
  const content = frame.subarray(6, 6 + length).map((byte, i) => byte ^ (mask[i % 4] ?? 0));
  return Buffer.concat([Buffer.from([frame[0] ?? 0, length]), content]);
}

function open(device: ReturnType<RunningGateway['device']>, host = 'up.lab.test') {
  const { ca } = gateway.tls(device);
  const dispatcher = new ProxyAgent({
    uri: `https://localhost:${gateway.port}`,
    proxyTls: { ...device, ca, servername: 'localhost', allowH2: false },
    proxyTunnel: false,
  });
  stack.defer(() => dispatcher.destroy());
  const heard: unknown[] = [];
  const socket = new WebSocket(`ws://${host}:${port}/chat`, { dispatcher });
  socket.addEventListener('message', (event: MessageEvent) => void heard.push(event.data));
  return { socket, heard };
}

test('a WebSocket client talks to its server, and both say goodbye', async () => {
  const { socket, heard } = open(gateway.device('good'));
  await within(once(socket, 'message'), 'the first words of the server');
  socket.send('hello');
  await within(once(socket, 'message'), 'the echo');
  assert.deepEqual(heard, ['welcome', 'hello']);
  socket.close(1000);
  const [closed] = (await within(once(socket, 'close'), 'the end')) as [CloseEvent];
  assert.deepEqual([closed.code, closed.wasClean], [1000, true]);
});

test('a WebSocket to somewhere else is refused', async () => {
  const { socket } = open(gateway.device('good'), '192.0.2.1');
  socket.addEventListener('error', () => undefined);
  const [closed] = (await within(once(socket, 'close'), 'the end')) as [CloseEvent];
  assert.equal(closed.wasClean, false);
  await gateway.line((line) => line['zonegate.action'] === 'refuse', 'the refusal');
});

test('an open WebSocket is cut when its device is no longer compliant (P03)', async () => {
  const device = gateway.device('good');
  const { socket } = open(device);
  socket.addEventListener('error', () => undefined);
  await within(once(socket, 'message'), 'the first words of the server');
  const over = once(socket, 'close') as Promise<[CloseEvent]>;
  await gateway.uem.setDevice(device.udid, { compliance: 'NonCompliant' });
  await gateway.gateway.posture.refresh(device.udid);
  const [closed] = await within(over, 'the cut');
  assert.equal(closed.wasClean, false);
  await gateway.line((line) => line['zonegate.end'] === 'cut', 'the cut');
});
