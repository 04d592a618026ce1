// Asks the system whether anything could leave from an address of this machine, without sending anything.

import dgram from 'node:dgram';
import type { Address } from '../../dtr-rules/address.ts';
import { systemCode } from '../errors.ts';

// Discard (RFC 863): nothing is sent, but a port has to be named.
const discardPort = 9;

/** Binds a UDP socket, and connects it where a destination is given: that looks up the way there and no
 *  more. The system's code for why not, or null. */
export async function probeSource(
  source: Address,
  destination: Address | null,
): Promise<string | null> {
  const socket = dgram.createSocket(source.family === 4 ? 'udp4' : 'udp6');
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const failed = (error: unknown): void => resolve(systemCode(error) ?? 'unknown');
  socket.on('error', failed);
  // `exclusive`: a worker asks the system itself, not the primary.
  socket.bind({ address: source.text, port: 0, exclusive: true }, () => {
    if (destination === null) return resolve(null);
    socket.connect(discardPort, destination.text, (error?: Error) =>
      error ? failed(error) : resolve(null),
    );
  });
  try {
    return await promise;
  } finally {
    socket.close();
  }
}
