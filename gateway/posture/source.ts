// What every posture source offers, how it fails, and the one canonical form of a device id.

import type { PostureReport } from '../decision/posture.ts';

export interface PostureSource {
  readonly name: string;
  // The source's report on one device; null when it has no such device; a SourceError otherwise.
  fetch(deviceId: string, signal: AbortSignal): Promise<PostureReport | null>;
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
