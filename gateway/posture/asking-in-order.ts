// Asks several sources in their declared order: the first that knows a device speaks for it.

import type { PostureReport } from '../decision/posture.ts';
import {
  type Asking,
  type AskingOptions,
  createAsking,
  type KnownTo,
  type Outcome,
} from './asking.ts';
import { chunksOf } from './rounds.ts';
import type { ChangePage, PostureSource } from './source.ts';

export interface OrderedSource {
  readonly source: PostureSource;
  // What its silence means for devices it may know. `refuse`: nobody after it is asked, because it may have something
  // bad to say. `next`: the others may speak, except for the devices that it was the last to know.
  readonly whileDown: 'refuse' | 'next';
}

interface Member {
  readonly asking: Asking;
  readonly name: string;
  readonly whileDown: OrderedSource['whileDown'];
}

type Manyfold = Exclude<Outcome, { kind: 'unbelievable' }>;

const LOOK_UPS_AT_ONCE = 16;

export function createAskingInOrder(
  sources: readonly OrderedSource[],
  options: AskingOptions,
): Asking {
  const members = sources.map(({ source, whileDown }) => ({
    asking: createAsking(source, options),
    name: source.name,
    whileDown,
  }));
  const [first] = members;
  // One source is asked without a detour.
  if (members.length === 1 && first !== undefined) return first.asking;

  async function askManyOf(member: Member, deviceIds: readonly string[], knownTo: KnownTo) {
    const { most } = member.asking;
    if (most > 0) {
      const parts = chunksOf(deviceIds, most);
      const answers = await Promise.all(parts.map((part) => member.asking.askMany(part, knownTo)));
      return new Map(answers.flatMap((answer) => [...answer]));
    }
    return await oneByOne(member, deviceIds, knownTo);
  }

  return {
    most: Math.max(0, ...members.map(({ asking }) => asking.most)),
    async ask(deviceId, knownTo) {
      let silent: Outcome | null = null;
      for (const member of members) {
        const outcome = await member.asking.ask(deviceId, knownTo);
        if (speaks(outcome)) return outcome;
        if (outcome.kind === 'answered') continue;
        if (!mayPassOver(member, deviceId, knownTo)) return outcome;
        silent ??= outcome;
      }
      // Nobody who answered knows it: whoever was silent might.
      return silent ?? { kind: 'answered', report: null };
    },
    async askMany(deviceIds, knownTo) {
      const found = new Map<string, Manyfold>();
      const silent = new Map<string, Manyfold>();
      let open: readonly string[] = deviceIds;
      for (const member of members) {
        const outcomes = await askManyOf(member, open, knownTo);
        open = open.filter((deviceId) => {
          const outcome = outcomes.get(deviceId);
          if (outcome === undefined) return false;
          const isUnknown = outcome.kind === 'answered' && outcome.report === null;
          if (isUnknown) return true;
          if (speaks(outcome) || !mayPassOver(member, deviceId, knownTo)) {
            found.set(deviceId, outcome);
            return false;
          }
          if (!silent.has(deviceId)) silent.set(deviceId, outcome);
          return true;
        });
      }
      for (const deviceId of open) {
        found.set(deviceId, silent.get(deviceId) ?? { kind: 'answered', report: null });
      }
      return found;
    },
    async *changes(since, knownTo, signal) {
      for (const [at, member] of members.entries()) {
        for await (const page of member.asking.changes(since, knownTo, signal)) {
          yield at === 0 ? page : { ...page, ...whatItMaySay(page, member.name, knownTo) };
        }
      }
    },
    health: () => members.flatMap(({ asking }) => asking.health()),
    close() {
      for (const { asking } of members) asking.close();
    },
  };
}

/** Whether this is the last word. An answer that cannot be believed is one: it refuses, whoever else would pass it. */
function speaks(outcome: Outcome): boolean {
  return (
    outcome.kind === 'unbelievable' || (outcome.kind === 'answered' && outcome.report !== null)
  );
}

function mayPassOver({ name, whileDown }: Member, deviceId: string, knownTo: KnownTo): boolean {
  return whileDown === 'next' && knownTo(deviceId) !== name;
}

/** A later source lists devices that an earlier one may know, too: its word counts for those it is known to speak for,
 *  and of the others that are known at all it is a hint to ask. */
function whatItMaySay(
  { reports, deviceIds }: ChangePage,
  name: string,
  knownTo: KnownTo,
): Pick<ChangePage, 'reports' | 'deviceIds'> {
  const isOwn = ({ deviceId }: PostureReport): boolean => knownTo(deviceId) === name;
  const others = reports.filter((report) => !isOwn(report)).map(({ deviceId }) => deviceId);
  return { reports: reports.filter(isOwn), deviceIds: [...deviceIds, ...others] };
}

async function oneByOne(
  { asking }: Member,
  deviceIds: readonly string[],
  knownTo: KnownTo,
): Promise<ReadonlyMap<string, Manyfold>> {
  const outcomes = new Map<string, Manyfold>();
  // All look-ups share one iterator: it is the queue.
  const queue = deviceIds.values();
  const work = async (): Promise<void> => {
    for (const deviceId of queue) {
      const outcome = await asking.ask(deviceId, knownTo);
      if (outcome.kind !== 'unbelievable') outcomes.set(deviceId, outcome);
    }
  };
  await Promise.all(Array.from({ length: LOOK_UPS_AT_ONCE }, work));
  return outcomes;
}
