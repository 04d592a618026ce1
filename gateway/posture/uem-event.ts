// What an event notification of a UEM is read into, and how a stranger's JSON is read without believing it.

import type { DeviceHint } from './device-index.ts';
import { type Fields, fieldsOf } from './uem-answer.ts';

export interface UemEvent {
  /** For the log only: whatever changed, the UEM is asked. */
  readonly kind: string;
  /** None of them: the console tests the connection. */
  readonly devices: readonly DeviceHint[];
  /** Names this event among repetitions; null when it carries no time to tell two of a kind apart. */
  readonly key: string | null;
}

/** The event, or the sentence saying what is wrong with it. */
export type ParseUemEvent = (text: string) => UemEvent | string;

const MAX_DEPTH = 4;
const MAX_TEXT = 256;

/** The own properties of the one object the text is, or a sentence (threats P13, A07). */
export function readFields(text: string): Fields | string {
  const value = parseJson(text);
  const fields = fieldsOf(value);
  if (fields === null) return 'expected a JSON object';
  return isDeeperThan(value, MAX_DEPTH) ? `nested deeper than ${MAX_DEPTH}` : fields;
}

/** 0 for absent, undefined for unusable. */
export function readId(value: unknown): number | undefined {
  if (value === undefined || value === null || value === '') return 0;
  const id = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 ? id : undefined;
}

export function isShortText(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === 'string' && value.length <= MAX_TEXT;
}

/** Byte arrays printed by their type's name have been seen in `Udid` and `MACAddress` of Workspace ONE. */
export function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value !== 'System.Byte[]' ? value : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isDeeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth === 0 || Object.values(value).some((inner) => isDeeperThan(inner, depth - 1));
}
