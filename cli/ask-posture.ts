// What the posture sources say of one device now, for commands that ask on behalf of it.

import type { Loaded } from '../gateway/config/load.ts';
import type { PostureReport } from '../gateway/decision/posture.ts';
import { askOnce } from '../gateway/posture-sources.ts';
import { UsageError } from './output.ts';

/** Null when no source knows the device; `instead` is what else one could do where a source does not answer. */
export async function reportOf(
  device: string,
  loaded: Loaded,
  instead: string,
): Promise<PostureReport | null> {
  try {
    return await askOnce(loaded, device.toLowerCase());
  } catch (error) {
    const why = error instanceof Error ? error.message : 'the posture source does not answer';
    throw new UsageError(`${why}; ${instead}`, { cause: error });
  }
}
