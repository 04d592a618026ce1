// Owns the open connections: limits, judging them anew when something changes, cutting, draining.

import type { Reason } from '../decision/reasons.ts';
import type { Standing } from '../decision/rejudge.ts';
import { type Elsewhere, nowhere } from './elsewhere.ts';
import { Halt, type HaltSignal } from './halt.ts';
import type { Pace, Paces } from './pace.ts';
import type { RateLimiter } from './rate.ts';

export interface Limits {
  readonly maxTunnels: number;
  readonly maxTunnelsPerDevice: number;
  /** Of all devices with one user; null is no limit. */
  readonly maxTunnelsPerUser: number | null;
  /** Of every tunnel whose rule says nothing; null lets them live. */
  readonly lifetimeMs: number | null;
}

/** New tunnels a second, and the bytes they move; null is no limit. */
export interface Rates {
  readonly device: RateLimiter | null;
  readonly user: RateLimiter | null;
  readonly all: RateLimiter | null;
  readonly bytes: Paces | null;
}

/** Who asks for a place, and what the rule that let it through says of it. */
export interface Asking {
  readonly id: string;
  readonly deviceId: string;
  /** Null where certificates name none: limits per user do not hold then. */
  readonly user: string | null;
  readonly lifetimeMs: number | null;
}

/** Ended by the gateway: it would be refused now, or its time is over. */
export type Cut = 'cut' | 'lifetime';

/** A place taken before dialling, so that a burst cannot pass the limit while it connects. */
export interface Place {
  readonly signal: HaltSignal;
  /** How fast bytes may move; null is as fast as it goes. */
  readonly pace: Pace | null;
  /** What it stands on is known: from here on a change cuts it, even before it is open (threats P03). */
  stand(standing: Standing): void;
  /** The place becomes a live connection; `cut` must close both sides at once. */
  open(cut: (why: Cut) => void): void;
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
  take(asking: Asking, now: number): Place | Reason;
  /** Judges the connections of one device, or all, and cuts those given a reason. Returns how many; `closed` is
   *  called once the last of them is gone, not at all when there are none. */
  rejudge(
    deviceId: string | null,
    judge: (standing: Standing) => Reason | null,
    closed?: (count: number) => void,
  ): number;
  /** Cuts the connections of a device, those still being made too, by the user of their certificate. Returns how many. */
  end(deviceId: string, isMeant: (user: string | null) => boolean, reason: Reason): number;
  /** Whether it has a connection, open or still being made. */
  has(deviceId: string): boolean;
  /** Devices with a connection, open or still being made. */
  devices(): Iterable<string>;
  list(): readonly LiveTunnel[];
  count(): number;
  /** From now on nothing is admitted; resolves when the last connection has ended. */
  drain(signal: AbortSignal): Promise<void>;
}

interface Entry extends Asking {
  readonly openedAt: number;
  readonly halt: Halt;
  standing: Standing | null;
  cut: ((why: Cut) => void) | null;
  cutBy: Reason | null;
  /** Told when it is over. */
  gone: (() => void) | null;
  life: NodeJS.Timeout | undefined;
}

const noRates: Rates = { device: null, user: null, all: null, bytes: null };

export function createTunnels(
  limits: () => Limits,
  rates: Rates = noRates,
  elsewhere: Elsewhere = nowhere,
): Tunnels {
  const byDevice = new Map<string, Set<Entry>>();
  const byUser = new Map<string, number>();
  let count = 0;
  const others = {
    all: elsewhere.count('tunnels'),
    device: elsewhere.count('tunnelsPerDevice'),
    user: elsewhere.count('tunnelsPerUser'),
  };
  let draining = false;
  const drained = new Set<() => void>();

  function cut(entry: Entry, reason: Reason): void {
    if (entry.cutBy !== null) return;
    entry.cutBy = reason;
    entry.halt.abort(reason);
    entry.cut?.('cut');
  }
  function remove(entry: Entry): void {
    const entries = byDevice.get(entry.deviceId);
    if (!entries?.delete(entry)) return;
    clearTimeout(entry.life);
    if (entries.size === 0) byDevice.delete(entry.deviceId);
    if (entry.user !== null) countUser(entry.user, -1);
    count -= 1;
    tellOthers(entry);
    entry.gone?.();
    if (count === 0) for (const resolve of drained) resolve();
  }
  function countUser(user: string, by: 1 | -1): void {
    const open = (byUser.get(user) ?? 0) + by;
    if (open > 0) byUser.set(user, open);
    else byUser.delete(user);
  }
  /** Null lets it pass. What is counted comes first: a refusal for it uses up no rate. */
  function limitReached({ deviceId, user }: Asking): Reason | null {
    const { maxTunnels, maxTunnelsPerDevice, maxTunnelsPerUser } = limits();
    const ofDevice = byDevice.get(deviceId)?.size ?? 0;
    const ofUser = user === null ? 0 : (byUser.get(user) ?? 0) + others.user.elsewhere(user);
    if (draining) return 'limits.draining';
    if (count + others.all.elsewhere('') >= maxTunnels) return 'limits.tunnels';
    if (ofDevice + others.device.elsewhere(deviceId) >= maxTunnelsPerDevice)
      return 'limits.device_tunnels';
    if (maxTunnelsPerUser !== null && ofUser >= maxTunnelsPerUser) return 'limits.user_tunnels';
    if (rates.device?.take(deviceId) === false) return 'limits.device_rate';
    if (user !== null && rates.user?.take(user) === false) return 'limits.user_rate';
    if (rates.all?.take('all') === false) return 'limits.rate';
    return null;
  }
  function tellOthers({ deviceId, user }: Asking): void {
    const { maxTunnels, maxTunnelsPerDevice, maxTunnelsPerUser } = limits();
    others.all.now('', count, maxTunnels);
    others.device.now(deviceId, byDevice.get(deviceId)?.size ?? 0, maxTunnelsPerDevice);
    if (user === null || maxTunnelsPerUser === null) return;
    others.user.now(user, byUser.get(user) ?? 0, maxTunnelsPerUser);
  }
  function place(entry: Entry): Place {
    return {
      signal: entry.halt,
      pace: rates.bytes?.of(entry.deviceId, entry.user) ?? null,
      stand(standing) {
        entry.standing = standing;
      },
      open(cutNow) {
        entry.cut = cutNow;
        // It was cut while it was being made.
        if (entry.cutBy !== null) return cutNow('cut');
        const lifetimeMs = entry.lifetimeMs ?? limits().lifetimeMs;
        // Node keeps timers of one duration in one list: 50 000 of them cost no more than one to run.
        if (lifetimeMs !== null) entry.life = setTimeout(cutNow, lifetimeMs, 'lifetime');
      },
      abandon: (reason) => entry.halt.abort(reason),
      release: () => remove(entry),
      cutBy: () => entry.cutBy,
    };
  }

  return {
    take(asking, now) {
      const reached = limitReached(asking);
      if (reached !== null) return reached;
      const { deviceId, user } = asking;
      const entries = byDevice.get(deviceId) ?? new Set<Entry>();
      const entry: Entry = {
        ...asking,
        openedAt: now,
        halt: new Halt(),
        standing: null,
        cut: null,
        cutBy: null,
        gone: null,
        life: undefined,
      };
      byDevice.set(deviceId, entries.add(entry));
      if (user !== null) countUser(user, 1);
      count += 1;
      tellOthers(asking);
      return place(entry);
    },
    rejudge(deviceId, judge, closed) {
      const doomed: [Entry, Reason][] = [];
      const chosen = deviceId === null ? byDevice.values() : [byDevice.get(deviceId) ?? []];
      for (const entries of chosen) {
        for (const entry of entries) {
          if (entry.standing === null || entry.cutBy !== null) continue;
          const reason = judge(entry.standing);
          if (reason !== null) doomed.push([entry, reason]);
        }
      }
      let left = doomed.length;
      const gone = (): void => {
        left -= 1;
        if (left === 0) closed?.(doomed.length);
      };
      for (const [entry, reason] of doomed) {
        entry.gone = gone;
        cut(entry, reason);
      }
      return doomed.length;
    },
    end(deviceId, isMeant, reason) {
      let ended = 0;
      for (const entry of byDevice.get(deviceId) ?? []) {
        if (entry.cutBy !== null || !isMeant(entry.user)) continue;
        cut(entry, reason);
        ended += 1;
      }
      return ended;
    },
    has: (deviceId) => byDevice.has(deviceId),
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
