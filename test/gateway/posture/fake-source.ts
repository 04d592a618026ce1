// A posture source whose answers a test gives by hand, and a clock it sets.

import type { PostureReport } from '../../../gateway/decision/posture.ts';
import type { PostureSource } from '../../../gateway/posture/source.ts';

export const UDID = '00008110-000a1b2c3d4e5f60';

export function healthyReport(change: Partial<PostureReport> = {}): PostureReport {
  return {
    source: 'uem',
    id: '616',
    deviceId: UDID,
    serial: 'C02ABC',
    user: 'ann',
    platform: 'ios',
    groups: ['staff'],
    tags: [],
    ownership: null,
    osVersion: null,
    model: null,
    enrollment: 'enrolled',
    compliance: 'compliant',
    compromised: 'no',
    lastSeen: null,
    fetchedAt: 0,
    ...change,
  };
}

export interface Question {
  readonly deviceId: string;
  readonly signal: AbortSignal;
  answer(report: PostureReport | null): void;
  fail(error: unknown): void;
}

export interface FakeSource extends PostureSource {
  readonly asked: readonly Question[];
}

// A question waits until the test answers it, unless `answers` has something for it.
export function createFakeSource(
  answers?: (deviceId: string) => PostureReport | null | Error | undefined,
): FakeSource {
  const asked: Question[] = [];
  return {
    name: 'uem',
    asked,
    fetch(deviceId, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<PostureReport | null>();
      asked.push({ deviceId, signal, answer: resolve, fail: reject });
      const answer = answers?.(deviceId);
      if (answer instanceof Error) reject(answer);
      else if (answer !== undefined) resolve(answer);
      return promise;
    },
  };
}

export interface Clock {
  (): number;
  advance(ms: number): void;
}

export function createClock(): Clock {
  let time = 1_000_000;
  const advance = (ms: number) => {
    time += ms;
  };
  return Object.assign(() => time, { advance });
}

// Long enough for every promise that can settle by itself to have settled.
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
