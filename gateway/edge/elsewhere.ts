// What other processes of one gateway use of the same limits, as far as this one has heard, and what it tells them.

/** Something there are so many of at a time, by key: open tunnels of a device. */
export interface SharedCount {
  /** In all other processes. */
  elsewhere(key: string): number;
  /** So many are here now; what `limit` allows says how exactly the others must know. */
  now(key: string, count: number, limit: number): void;
}

/** Something that may happen so often, by key: handshakes with a certificate, bytes of a device. */
export interface SharedRate {
  /** It happened here; `isFirst`: after a time so quiet that nothing from before counts any more. */
  happened(key: string, isFirst: boolean, times: number): void;
  /** It happened so many times elsewhere. */
  onElsewhere(listener: (key: string, times: number) => void): void;
}

export interface Elsewhere {
  readonly count: (name: string) => SharedCount;
  /** `burst`: how many may happen at once. */
  readonly rate: (name: string, burst: () => number) => SharedRate;
  /** This one included. */
  readonly processes: () => number;
}

/** For a gateway in one process. */
export const nowhere: Elsewhere = {
  count: () => ({ elsewhere: () => 0, now: () => undefined }),
  rate: () => ({ happened: () => undefined, onElsewhere: () => undefined }),
  processes: () => 1,
};
