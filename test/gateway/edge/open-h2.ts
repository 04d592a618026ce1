// A device on a raw HTTP/2 connection to a running edge, and the heads it sends.

import { once } from 'node:events';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import type { Field, RawH2 } from '../../support/h2-raw.ts';
import { speakH2 } from '../../support/h2-raw.ts';
import { authority, device, type Edge } from './running-edge.ts';

export async function openRaw(
  t: TestContext,
  edge: Pick<Edge, 'port'>,
  announced: readonly (readonly [number, number])[] = [],
): Promise<RawH2> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port: edge.port,
    servername: 'localhost',
    ALPNProtocols: ['h2'],
    ca: authority.certificatePem,
    cert: device.chainPem,
    key: device.keyPem,
    allowHalfOpen: true,
  } as tls.ConnectionOptions);
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  return speakH2(socket, announced);
}

export const method = (name: string): Field => [':method', name];

export const connectTo = (target: string): Field[] => [method('CONNECT'), [':authority', target]];

export function getFrom(authorityText: string, ...more: readonly Field[]): Field[] {
  return [
    method('GET'),
    [':scheme', 'http'],
    [':authority', authorityText],
    [':path', '/'],
    ...more,
  ];
}
