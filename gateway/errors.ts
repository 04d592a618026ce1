// Owns GatewayError: the world failed (not: a policy refused), with a reason of the one table as its code.

import type { Pass } from './decision/decision.ts';
import type { FailureReason } from './decision/reasons.ts';

export interface GatewayErrorOptions {
  readonly cause?: unknown;
  /** What had passed before the world failed: a log line tells the whole decision. */
  readonly trail?: readonly Pass[];
}

export class GatewayError extends Error {
  readonly code: FailureReason;
  readonly trail: readonly Pass[];

  constructor(code: FailureReason, message: string, options: GatewayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'GatewayError';
    this.code = code;
    this.trail = options.trail ?? [];
  }
}

/** The same error, told after what had passed; anything else as it is. */
export function failedAfter(error: unknown, trail: readonly Pass[]): unknown {
  if (!(error instanceof GatewayError)) return error;
  return new GatewayError(error.code, error.message, { cause: error.cause, trail });
}

/** The system's code of an error (`ECONNREFUSED`), or null. */
export function systemCode(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
