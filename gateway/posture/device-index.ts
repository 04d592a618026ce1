// Which device an event of the UEM speaks of: by its number there, by serial, or by UDID.

import type { PostureReport } from '../decision/posture.ts';

export interface DeviceHint {
  // Whose number it is; each source counts for itself.
  readonly source?: string;
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
  const numbers = new Map<string, Map<string, string>>();
  const bySerial = new Map<string, string>();
  function numbersOf(source: string): Map<string, string> {
    const known = numbers.get(source);
    if (known !== undefined) return known;
    const made = new Map<string, string>();
    numbers.set(source, made);
    return made;
  }
  return {
    add({ source, id, serial, deviceId }) {
      numbersOf(source).set(id, deviceId);
      if (serial !== null) bySerial.set(serial.toLowerCase(), deviceId);
    },
    remove({ source, id, serial, deviceId }) {
      removeOwn(numbersOf(source), id, deviceId);
      if (serial !== null) removeOwn(bySerial, serial.toLowerCase(), deviceId);
    },
    find({ source, uemId, serial }) {
      const device = source && uemId ? numbers.get(source)?.get(uemId) : undefined;
      return device ?? (serial ? bySerial.get(serial.toLowerCase()) : undefined) ?? null;
    },
  };
}

// A number or serial may have moved to another device since.
function removeOwn(index: Map<string, string>, key: string, deviceId: string): void {
  if (index.get(key) === deviceId) index.delete(key);
}
