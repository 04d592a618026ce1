// Says of what has an end (certificates, authorities, revocation lists) that the end is near or past, and what to do.

import type { Issue } from '../../runtime/issue.ts';
import type { RevocationList } from '../decision/revocation.ts';
import { type RevocationFile, readRevocationLists } from '../edge/crl.ts';

export interface Dated {
  readonly kind: 'server certificate' | 'device authority' | 'revocation list';
  /** As the configuration names it, at `path`. */
  readonly file: string;
  readonly path: Issue['path'];
  /** Its last moment. */
  readonly at: number;
}

interface Words {
  readonly warnBeforeMs: number;
  readonly ends: string;
  readonly ended: string;
  readonly fix: string;
}

const hourMs = 3_600_000;

// An authority lasts for years and is replaced by plan; the other two are renewed by jobs, and jobs stop.
const words: Readonly<Record<Dated['kind'], Words>> = {
  'server certificate': {
    warnBeforeMs: 14 * 24 * hourMs,
    ends: 'expires',
    ended: 'expired',
    fix: 'renew it: devices do not talk to a gateway whose certificate has expired',
  },
  'device authority': {
    warnBeforeMs: 0,
    ends: 'expires',
    ended: 'expired',
    fix: 'put its successor in its place: devices with certificates from it are refused',
  },
  'revocation list': {
    warnBeforeMs: 24 * hourMs,
    ends: 'runs out',
    ended: 'ran out',
    fix: 'fetch the current one: without it every device of its authority is refused',
  },
};

function isExpiring({ kind, at }: Pick<Dated, 'kind' | 'at'>, now: number): boolean {
  return at - now < words[kind].warnBeforeMs;
}

export function expiring(dated: readonly Dated[], now: number): readonly Issue[] {
  return dated
    .filter((one) => isExpiring(one, now))
    .map(({ kind, file, path, at }) => {
      const { ends, ended, fix } = words[kind];
      const moment = `${new Date(at).toISOString().slice(0, 19)}Z`;
      const message = `the ${kind} \`${file}\` ${at < now ? ended : ends} on ${moment}`;
      return { path, message, hint: fix };
    });
}

/** The files of lists in force that are about to run out. An adopted list does not say which file it is from, and
 *  reading a large one twice takes seconds: only when there is something to say. */
export function datedLists(
  files: readonly RevocationFile[],
  lists: readonly RevocationList[],
  now: number,
): Dated[] {
  const kind = 'revocation list';
  const due = lists.filter(({ nextUpdate }) => isExpiring({ kind, at: nextUpdate ?? 0 }, now));
  if (due.length === 0) return [];
  return files.flatMap(({ file, bytes }, i) => {
    const read = readRevocationLists(bytes);
    const within = (read.ok ? read.lists : []).map(({ list }) => list);
    return due
      .filter(({ issuer, nextUpdate }) =>
        within.some((list) => list.issuer === issuer && list.nextUpdate === nextUpdate),
      )
      .map(({ nextUpdate }) => {
        const path = ['identity', 'revocation', i];
        return { kind, file, path, at: nextUpdate ?? 0 };
      });
  });
}
