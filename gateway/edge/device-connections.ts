// Bounds the TLS connections that are open for one device at once.

import type { TLSSocket } from 'node:tls';
import { nowhere, type SharedCount } from './elsewhere.ts';

export interface DeviceConnections {
  /** Counts a connection once its device is identified, until it closes. False: it is one too many,
   *  and is not counted. */
  enter(deviceId: string, socket: TLSSocket): boolean;
}

export function createDeviceConnections(
  maxPerDevice: () => number,
  others: SharedCount = nowhere.count('connectionsPerDevice'),
): DeviceConnections {
  const open = new Map<string, number>();
  const set = (deviceId: string, count: number): void => {
    if (count > 0) open.set(deviceId, count);
    else open.delete(deviceId);
    others.now(deviceId, count, maxPerDevice());
  };
  return {
    enter(deviceId, socket) {
      const count = open.get(deviceId) ?? 0;
      if (count + others.elsewhere(deviceId) >= maxPerDevice()) return false;
      set(deviceId, count + 1);
      socket.once('close', () => set(deviceId, (open.get(deviceId) ?? 0) - 1));
      return true;
    },
  };
}
