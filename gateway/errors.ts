// Owns GatewayError: the world failed (not: a policy refused), with a reason of the one table as its code.

import type { FailureReason } from './decision/reasons.ts';

export class GatewayError extends Error {
  readonly code: FailureReason;

  constructor(code: FailureReason, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'GatewayError';
    this.code = code;
  }
}

/** The system's code of an error (`ECONNREFUSED`), or null. */
export function systemCode(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
