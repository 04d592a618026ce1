// Owns how the egress addresses do, as facts for the decision: which could not be used lately, and when that is over.

import type { Address } from '../../dtr-rules/address.ts';

/** `missing`: not on this machine. `ports`: all its ports lead somewhere already. `unreachable`: no way to
 *  any destination. */
export type Fault = 'missing' | 'ports' | 'unreachable';

export interface EgressState {
  readonly address: string;
  readonly fault: Fault | null;
}

/** What dialling tells about the addresses it leaves from. */
export interface EgressWatch {
  worked(source: Address): void;
  failed(source: Address, fault: 'missing' | 'ports'): void;
  /** `deviceId`: who asked for the destination; null is the operator. */
  unreachable(source: Address, destination: Address, deviceId: string | null): void;
}

/** The system's code for why nothing can leave from there (to there); null when it can. Sends nothing. */
export type Probe = (source: Address, destination: Address | null) => Promise<string | null>;

export interface EgressHealth extends EgressWatch {
  /** A new set with every change: a decision keeps the one it was made by. */
  unfit(): ReadonlySet<string>;
  states(): readonly EgressState[];
  /** These are the addresses from now on; those that are new are tried at the next check. */
  watch(addresses: readonly Address[]): void;
  /** Tries what is due; to be called about every second. */
  check(): Promise<void>;
}

export interface EgressHealthOptions {
  readonly probe: Probe;
  readonly now: () => number;
  readonly onChange: (states: readonly EgressState[]) => void;
}

interface Entry {
  readonly address: Address;
  fault: Fault | null;
  /** Since it was well for a while: each lets it rest for longer. */
  faults: number;
  checkAt: number;
  /** Unreachable destinations in a row, and who met each first. */
  readonly run: Map<string, Unreachable>;
}

interface Unreachable {
  readonly destination: Address;
  readonly deviceId: string | null;
}

/** An address that nobody uses is looked after too: whoever watches wants to know before anybody needs it. */
const healthyMs = 15_000;
const firstRestMs = 1000;
const longestRestMs = 60_000;

/** A router on the way may say of one destination, or of many, that there is no way (ICMP), and a device
 *  may seek out such destinations: it takes this many different ones, nothing reached in between, and no
 *  device's word counts for more than its share, so that one alone never moves the others. */
const runLength = 8;
const sharePerDevice = 3;

export function createEgressHealth(options: EgressHealthOptions): EgressHealth {
  const { probe, now, onChange } = options;
  let entries = new Map<string, Entry>();
  let unfit: ReadonlySet<string> = new Set();

  const states = (): readonly EgressState[] =>
    [...entries.values()].map(({ address, fault }) => ({ address: address.text, fault }));

  function changed(): void {
    unfit = new Set([...entries].filter(([, { fault }]) => fault !== null).map(([text]) => text));
    onChange(states());
  }
  function rest(entry: Entry): void {
    entry.checkAt = now() + Math.min(longestRestMs, firstRestMs * 2 ** entry.faults);
    entry.faults += 1;
  }
  function mark(entry: Entry, fault: Fault): void {
    // What is known already is told again by everybody who was on the way: one fault, one rest.
    if (entry.fault === fault) return;
    entry.fault = fault;
    rest(entry);
    changed();
  }
  function heal(entry: Entry): void {
    entry.run.clear();
    entry.checkAt = now() + healthyMs;
    if (entry.fault === null) return;
    entry.fault = null;
    changed();
  }
  async function checkOne(entry: Entry): Promise<void> {
    const [first] = entry.fault === 'unreachable' ? entry.run.values() : [];
    const destination = first?.destination ?? null;
    // Not again while this one is on its way.
    entry.checkAt = Number.POSITIVE_INFINITY;
    const code = await probe(entry.address, destination);
    const wasWell = entry.fault === null;
    // Descriptors may be exhausted, for example: that says nothing of an address.
    if (wasWell && code === 'EADDRNOTAVAIL') return mark(entry, 'missing');
    if (!wasWell && code !== null) return rest(entry);
    if (wasWell) entry.faults = 0;
    heal(entry);
  }

  return {
    unfit: () => unfit,
    states,
    watch(addresses) {
      const before = entries;
      entries = new Map(
        addresses.map((address) => [
          address.text,
          before.get(address.text) ?? {
            address,
            fault: null,
            faults: 0,
            checkAt: now(),
            run: new Map(),
          },
        ]),
      );
      changed();
    },
    worked(source) {
      const entry = entries.get(source.text);
      if (entry === undefined) return;
      if (entry.run.size > 0) entry.run.clear();
      // Ports are used up towards one destination first: that others can be reached does not free them.
      if (entry.fault === 'missing' || entry.fault === 'unreachable') heal(entry);
    },
    failed(source, fault) {
      const entry = entries.get(source.text);
      if (entry !== undefined) mark(entry, fault);
    },
    unreachable(source, destination, deviceId) {
      const entry = entries.get(source.text);
      if (entry === undefined || entry.fault !== null) return;
      if (entry.run.has(destination.text)) return;
      const own = [...entry.run.values()].filter((one) => one.deviceId === deviceId);
      if (own.length >= sharePerDevice) return;
      entry.run.set(destination.text, { destination, deviceId });
      if (entry.run.size >= runLength) mark(entry, 'unreachable');
    },
    async check() {
      const due = [...entries.values()].filter(({ checkAt }) => checkAt <= now());
      await Promise.all(due.map(checkOne));
    },
  };
}
