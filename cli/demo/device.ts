// A device as the demo needs it: opens tunnels with its certificate, and reads the gateway's refusals.

import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import tls from 'node:tls';
import type { World } from './world.ts';

export interface OpenTunnel {
  readonly ok: true;
  /** Milliseconds since the process began, when the other side had closed it. */
  readonly closedAt: Promise<number>;
  close(): void;
}

export interface RefusedTunnel {
  readonly ok: false;
  readonly status: number;
  readonly reason: string;
  readonly proxyStatus: string;
}

/** CONNECT over mutual TLS, as any proxy client sends it. */
export async function connect(
  world: World,
  device: string,
  target: string,
): Promise<OpenTunnel | RefusedTunnel> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port: world.ports.device,
    ca: world.serverAuthority,
    cert: await world.file(`devices/${device}.pem`),
    key: await world.file(`devices/${device}-key.pem`),
    servername: 'localhost',
  });
  await once(socket, 'secureConnect');
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  const answer = await readAnswer(socket);
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
  if (status === 200) {
    const { promise, resolve } = Promise.withResolvers<number>();
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(performance.now()));
    socket.resume();
    return { ok: true, closedAt: promise, close: () => socket.destroy() };
  }
  socket.destroy();
  const body: unknown = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')));
  const reason = typeof body === 'object' && body !== null && 'reason' in body ? body.reason : '';
  const proxyStatus = /^proxy-status: (.*)$/im.exec(answer)?.[1] ?? '';
  return { ok: false, status, reason: String(reason), proxyStatus };
}

/** Up to the end of the head of a 200, or of the whole refusal. */
async function readAnswer(socket: tls.TLSSocket): Promise<string> {
  let text = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (text.startsWith('HTTP/1.1 200') && text.includes('\r\n\r\n')) break;
  }
  return text;
}
