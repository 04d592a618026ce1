// What every posture source offers, how it fails, and the one canonical form of a device id.

import type { PostureReport } from '../decision/posture.ts';

export interface PostureSource {
  readonly name: string;
  // The source's report on one device; null when it has no such device; a SourceError otherwise.
  fetch(deviceId: string, signal: AbortSignal): Promise<PostureReport | null>;
  // Many devices in few calls, where the source can.
  readonly bulk?: BulkLookUp;
  // What has changed since a mark, or everything there is when it is null. A page is bounded in time, not the whole.
  readonly changes?: (since: Mark | null, signal: AbortSignal) => AsyncIterable<ChangePage>;
}

export interface BulkLookUp {
  readonly most: number; // devices in one call of `fetch`
  // A device the answer says nothing usable about is missing from the map; null only where the source says that it
  // has no such device. So half an answer never makes a device unknown: what is missing is asked for alone.
  fetch(
    deviceIds: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, PostureReport | null>>;
}

// Where the next question about changes begins; opaque to everybody but the source that gave it.
export type Mark = string;

export interface ChangePage {
  readonly reports: readonly PostureReport[];
  // Devices that have changed, or could not be read here: what they are now has to be asked.
  readonly deviceIds: readonly string[];
  // On the last page only: pages that end without one were not all there is.
  readonly mark: Mark | null;
}

// `outage`: the source could not be asked; the last report stays, for the declared grace.
// `answer`: it did answer about this device, and the answer cannot be believed; the last report goes.
export type SourceErrorKind = 'outage' | 'answer';

export interface Relayed {
  readonly last: PostureReport | null;
}

export class SourceError extends Error {
  readonly kind: SourceErrorKind;
  // How long the source asked to be left alone.
  readonly retryAfterMs: number | null;
  // From somebody who asks the source for us and is there itself: what it still knows. Null: nobody does.
  readonly relayed: Relayed | null;

  constructor(
    kind: SourceErrorKind,
    message: string,
    options: {
      readonly retryAfterMs?: number | null;
      readonly relayed?: Relayed;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SourceError';
    this.kind = kind;
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.relayed = options.relayed ?? null;
  }
}

// As gateway/decision/identity.ts reads it from a certificate; nothing in it means anything in a URL (threats T09).
const DEVICE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{2,126}[A-Za-z0-9]$/;

// One form before cache, look-up, limits and log (threats T10); null when this is no device id at all.
export function canonicalDeviceId(text: string): string | null {
  return DEVICE_ID.test(text) ? text.toLowerCase() : null;
}
