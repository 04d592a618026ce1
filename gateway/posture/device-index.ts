// Which device an event of the UEM speaks of: by its number there, by serial, or by UDID.

import type { PostureReport } from '../decision/posture.ts';

export interface DeviceHint {
  readonly deviceId?: string | null;
  readonly uemId?: string | null;
  readonly serial?: string | null;
}

export interface DeviceIndex {
  add(report: PostureReport): void;
  remove(report: PostureReport): void;
  // By number first, then serial: the UDID of an event has been seen empty and as `System.Byte[]`.
  find(hint: DeviceHint): string | null;
}

export function createDeviceIndex(): DeviceIndex {
  const byNumber = new Map<string, string>();
  const bySerial = new Map<string, string>();
  return {
    add({ id, serial, deviceId }) {
      byNumber.set(id, deviceId);
      if (serial !== null) bySerial.set(serial.toLowerCase(), deviceId);
    },
    remove({ id, serial, deviceId }) {
      removeOwn(byNumber, id, deviceId);
      if (serial !== null) removeOwn(bySerial, serial.toLowerCase(), deviceId);
    },
    find({ uemId, serial }) {
      const device = uemId ? byNumber.get(uemId) : undefined;
      return device ?? (serial ? bySerial.get(serial.toLowerCase()) : undefined) ?? null;
    },
  };
}

// A number or serial may have moved to another device since.
function removeOwn(index: Map<string, string>, key: string, deviceId: string): void {
  if (index.get(key) === deviceId) index.delete(key);
}
