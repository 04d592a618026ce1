// Owns the open connections: limits, judging them anew when something changes, cutting, draining.

import type { Reason } from '../decision/reasons.ts';
import type { Standing } from '../decision/rejudge.ts';
import type { RateLimiter } from './rate.ts';

export interface Limits {
  readonly maxTunnels: number;
  readonly maxTunnelsPerDevice: number;
}

/** A place taken before dialling, so that a burst cannot pass the limit while it connects. */
export interface Place {
  readonly signal: AbortSignal;
  /** What it stands on is known: from here on a change cuts it, even before it is open (threats P03). */
  stand(standing: Standing): void;
  /** The place becomes a live connection; `cut` must close both sides at once. */
  open(cut: () => void): void;
  /** The device has left before there was anything to cut. */
  abandon(reason: unknown): void;
  /** Gives the place back; call it exactly when the connection is over, or was never made. */
  release(): void;
  /** Why it was cut, if it was. */
  cutBy(): Reason | null;
}

export interface LiveTunnel {
  readonly id: string;
  readonly deviceId: string;
  readonly openedAt: number;
  readonly standing: Standing;
}

export interface Tunnels {
  /** A place, or the limit that is reached. */
  take(id: string, deviceId: string, now: number): Place | Reason;
  /** Judges the connections of one device, or all, and cuts those given a reason. Returns how many. */
  rejudge(deviceId: string | null, judge: (standing: Standing) => Reason | null): number;
  /** Devices with a connection, open or still being made. */
  devices(): Iterable<string>;
  list(): readonly LiveTunnel[];
  count(): number;
  /** From now on nothing is admitted; resolves when the last connection has ended. */
  drain(signal: AbortSignal): Promise<void>;
}

interface Entry {
  readonly id: string;
  readonly deviceId: string;
  readonly openedAt: number;
  readonly controller: AbortController;
  standing: Standing | null;
  cut: (() => void) | null;
  cutBy: Reason | null;
}

/** `rate` bounds the new connections a second of one device. */
export function createTunnels(limits: () => Limits, rate: RateLimiter | null = null): Tunnels {
  const byDevice = new Map<string, Set<Entry>>();
  let count = 0;
  let draining = false;
  const drained = new Set<() => void>();

  function cut(entry: Entry, reason: Reason): void {
    if (entry.cutBy !== null) return;
    entry.cutBy = reason;
    entry.controller.abort(reason);
    entry.cut?.();
  }
  function remove(entry: Entry): void {
    const entries = byDevice.get(entry.deviceId);
    if (!entries?.delete(entry)) return;
    if (entries.size === 0) byDevice.delete(entry.deviceId);
    count -= 1;
    if (count === 0) for (const resolve of drained) resolve();
  }
  function place(entry: Entry): Place {
    return {
      signal: entry.controller.signal,
      stand(standing) {
        entry.standing = standing;
      },
      open(cutNow) {
        entry.cut = cutNow;
        // It was cut while it was being made.
        if (entry.cutBy !== null) cutNow();
      },
      abandon: (reason) => entry.controller.abort(reason),
      release: () => remove(entry),
      cutBy: () => entry.cutBy,
    };
  }

  return {
    take(id, deviceId, now) {
      if (draining) return 'limits.draining';
      if (count >= limits().maxTunnels) return 'limits.tunnels';
      const entries = byDevice.get(deviceId) ?? new Set<Entry>();
      if (entries.size >= limits().maxTunnelsPerDevice) return 'limits.device_tunnels';
      if (rate?.take(deviceId) === false) return 'limits.device_rate';
      const controller = new AbortController();
      const entry: Entry = {
        id,
        deviceId,
        openedAt: now,
        controller,
        standing: null,
        cut: null,
        cutBy: null,
      };
      byDevice.set(deviceId, entries.add(entry));
      count += 1;
      return place(entry);
    },
    rejudge(deviceId, judge) {
      let closed = 0;
      const chosen = deviceId === null ? byDevice.values() : [byDevice.get(deviceId) ?? []];
      for (const entries of chosen) {
        for (const entry of entries) {
          if (entry.standing === null || entry.cutBy !== null) continue;
          const reason = judge(entry.standing);
          if (reason === null) continue;
          cut(entry, reason);
          closed += 1;
        }
      }
      return closed;
    },
    devices: () => byDevice.keys(),
    list: () =>
      [...byDevice.values()].flatMap((entries) =>
        [...entries].flatMap(({ id, deviceId, openedAt, standing, cut: live }) =>
          standing === null || live === null ? [] : [{ id, deviceId, openedAt, standing }],
        ),
      ),
    count: () => count,
    async drain(signal) {
      draining = true;
      if (count === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      drained.add(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (signal.aborted) resolve();
      await promise;
      drained.delete(resolve);
      for (const entries of byDevice.values()) {
        for (const entry of entries) cut(entry, 'limits.draining');
      }
    },
  };
}
