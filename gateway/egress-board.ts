// Owns how the egress addresses of this machine do, as all its processes see them: for log, readiness and the feed.

import type { Log } from '../runtime/log.ts';
import type { Readiness } from '../runtime/readiness.ts';
import type { EgressPolicy, EgressPool } from './decision/policy.ts';
import type { EgressState, Fault } from './edge/egress-health.ts';

/** A worker by its number, or this process. */
type Process = number | 'here';

export interface EgressBoard {
  /** What a process says of all its addresses. */
  report(from: Process, states: readonly EgressState[]): void;
  /** A process is gone, and what it said with it. */
  forget(from: Process): void;
  /** Null: none is known. */
  faultOf(address: string): Fault | null;
  /** The pools may have changed. */
  refresh(): void;
}

export interface EgressBoardOptions {
  readonly egress: () => EgressPolicy;
  readonly log: Log;
  readonly readiness: Readiness;
}

/** A fault that one process meets is one of the machine: another has only not been there yet. */
export function createEgressBoard({ egress, log, readiness }: EgressBoardOptions): EgressBoard {
  const reports = new Map<Process, readonly EgressState[]>();
  let faults: ReadonlyMap<string, Fault> = new Map();

  function merge(): void {
    const before = faults;
    const states = [...reports.values()].flat();
    faults = new Map(states.flatMap(({ address, fault }) => (fault ? [[address, fault]] : [])));
    for (const [address, fault] of faults) {
      if (before.get(address) !== fault) logFault(address, fault, log);
    }
    const known = new Set(states.map(({ address }) => address));
    for (const address of before.keys()) {
      if (!faults.has(address) && known.has(address)) logHealed(address, log);
    }
    readiness.set('egress', describe(egress(), faults));
  }

  return {
    report(from, states) {
      reports.set(from, states);
      merge();
    },
    forget(from) {
      if (reports.delete(from)) merge();
    },
    faultOf: (address) => faults.get(address) ?? null,
    refresh: merge,
  };
}

/** Without any address of the default pool this machine is of no use, and another may be; without some it
 *  serves as ever. Everybody may read it: no addresses. */
function describe(
  { pools, defaultPool }: EgressPolicy,
  faults: ReadonlyMap<string, Fault>,
): string {
  const bad = ({ addresses }: EgressPool) =>
    addresses.filter(({ text }) => faults.has(text)).length;
  const all = bad(defaultPool) === defaultPool.addresses.length;
  if (all) return `no address of egress pool ${defaultPool.name} can be used`;
  const some = [...pools.values()].filter((pool) => bad(pool) > 0);
  if (some.length === 0) return 'ok';
  const parts = some.map((pool) => `${bad(pool)} of ${pool.addresses.length} in pool ${pool.name}`);
  return `ok: egress addresses that cannot be used: ${parts.join(', ')}`;
}

const words: Readonly<Record<Fault, string>> = {
  missing: 'an egress address is not on this machine',
  ports: 'an egress address has no free port left',
  unreachable: 'an egress address reaches nothing',
};

function logFault(address: string, fault: Fault, log: Log): void {
  log.error(fieldsOf(address, fault), words[fault]);
}

function logHealed(address: string, log: Log): void {
  log.info(fieldsOf(address, null), 'an egress address can be used again');
}

function fieldsOf(address: string, fault: Fault | null) {
  return {
    'event.name': 'zonegate.egress',
    'zonegate.egress.address': address,
    'zonegate.egress.fault': fault,
  };
}
