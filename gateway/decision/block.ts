// A block: somebody has said that this device is not let through, whatever its UEM says of it.

import type { PostureFacts } from './posture.ts';

export interface DeviceBlock {
  readonly deviceId: string;
  /** In the words of who blocked it: for operators, never for the device. */
  readonly reason: string;
  /** A person, or what acts for one. */
  readonly by: string;
  /** In milliseconds, as is `until`: from then on it no longer holds. Null has no end. */
  readonly since: number;
  readonly until: number | null;
}

/** All that is known of a device: what its UEM says, and what people do. */
export interface DeviceFacts extends PostureFacts {
  readonly block: DeviceBlock | null;
}

/** A block holds from when it is known, whatever its `since` says: clocks differ between gateways. */
export function blockHolds(block: DeviceBlock | null, now: number): block is DeviceBlock {
  return block !== null && (block.until === null || now < block.until);
}
