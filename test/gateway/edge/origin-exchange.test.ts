// One connection to an origin, asked one request after the other.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { Duplex, Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import {
  type OriginConnection,
  type OriginListener,
  openOrigin,
} from '../../../gateway/edge/origin-exchange.ts';
import { runAnswering, runOrigin } from './running-edge.ts';

const request = { method: 'GET', target: '/', fields: ['host', 'a'], body: null };

async function connect(t: TestContext, port: number): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** `wantsMore` is what taking a part of the body answers. */
function ask(origin: OriginConnection, wantsMore = true): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  origin.ask(request, listening(resolve, wantsMore));
  return promise;
}

function listening(resolve: (told: string) => void, wantsMore = true): OriginListener {
  let body = '';
  return {
    informational: () => undefined,
    begin: () => undefined,
    body(chunk) {
      body += String(chunk);
      return wantsMore;
    },
    end: () => resolve(body),
    fail: resolve,
    switched: () => resolve('switched'),
  };
}

test('an answer that ended while its reader wanted no more does not hold up the next one (R07)', async (t) => {
  const { port } = await runAnswering(t, 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  const origin = openOrigin(await connect(t, port));
  assert.equal(await ask(origin, false), 'ok');
  assert.equal(await ask(origin), 'ok');
});

test('bytes behind an answer are noticed though its reader wanted no more (H24)', async (t) => {
  const { port, sockets } = await runAnswering(t, 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  const socket = await connect(t, port);
  const origin = openOrigin(socket);
  await ask(origin, false);
  sockets[0]?.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
  await once(socket, 'close');
  assert.ok(!origin.isIdle());
});

test('parts of one byte of a body wait in bounded number (R07)', async () => {
  const content = new Readable({ read: () => undefined });
  const stuck = new Duplex({ read: () => undefined, write: () => undefined });
  let sent = 0;
  const body = {
    content,
    length: 60_000,
    isWhole: () => true,
    trailers: () => [],
    sent: (bytes: number) => {
      sent += bytes;
    },
  };
  openOrigin(stuck as net.Socket).ask(
    { ...request, body },
    listening(() => undefined),
  );
  await once(content, 'resume');
  for (let i = 0; i < 60_000 && !content.isPaused(); i += 1) content.push('x');
  assert.ok(sent < 2000);
  stuck.destroy();
});

test('an origin that closed before it was asked fails at once', async (t) => {
  const { port } = await runOrigin(t, ({ socket }) => void socket.destroy());
  const socket = await connect(t, port);
  const origin = openOrigin(socket);
  await once(socket, 'close');
  assert.equal(await ask(origin), 'origin.incomplete');
});
