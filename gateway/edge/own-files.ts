// Owns the files a gateway serves to its devices, made once for each rule set and kept as long as they are true.

import { createHash } from 'node:crypto';
import type { CompiledSet } from '../../dtr-rules/compile.ts';
import { pacType } from '../../dtr-rules/profiles/pac.ts';
import type { Endpoint, FailMode } from '../../dtr-rules/profiles/profile.ts';
import { pvdType } from '../../dtr-rules/profiles/pvd.ts';
import type { RuleSet } from '../../dtr-rules/rule.ts';
import { makeInThread } from './own-files-maker.ts';

export interface OwnFile {
  readonly contentType: string;
  readonly content: Buffer;
  readonly etag: string;
}

/** Fails when a file cannot be made: a fault of ours, for example one that its check finds to differ from the rules. */
export interface OwnFiles {
  pac(set: CompiledSet, now: number): Promise<OwnFile>;
  pvd(set: CompiledSet, now: number): Promise<OwnFile>;
}

export interface FileRequest {
  readonly kind: 'pac' | 'pvd';
  readonly set: RuleSet;
  readonly gateway: Endpoint;
  readonly failMode: FailMode;
  readonly now: number;
}

export interface MadeFile {
  readonly text: string;
  /** When the rules next change by themselves; null is never. */
  readonly changesAt: number | null;
}

export type MakeFile = (request: FileRequest) => Promise<MadeFile>;

interface Kept {
  readonly file: Promise<OwnFile>;
  until: number;
}

const types = { pac: pacType, pvd: pvdType } as const;
const dayMs = 86_400_000;
/** What could not be made is not tried again for so long: each try costs as much as a file. */
const failedMs = 60_000;

export function createOwnFiles(
  gateway: Endpoint,
  failMode: FailMode,
  make: MakeFile = makeInThread,
): OwnFiles {
  const makeInTurn = oneAfterTheOther(make);
  const keeping = (kind: FileRequest['kind']): OwnFiles['pac'] => {
    const known = new WeakMap<CompiledSet, Kept>();
    return (compiled, now) => {
      const found = known.get(compiled);
      if (found !== undefined && now < found.until) return found.file;
      const made = makeInTurn({ kind, set: compiled.set, gateway, failMode, now });
      // All who ask meanwhile wait for the same.
      const kept: Kept = { file: made.then(({ text }) => toFile(text, kind)), until: Infinity };
      known.set(compiled, kept);
      made.then(
        ({ changesAt }) => {
          kept.until = Math.min(nextMidnight(now), changesAt ?? Infinity);
        },
        () => {
          kept.until = now + failedMs;
        },
      );
      return kept.file;
    };
  };
  return { pac: keeping('pac'), pvd: keeping('pvd') };
}

/** However many rule sets are asked for after a reload, one file is made at a time. */
function oneAfterTheOther(make: MakeFile): MakeFile {
  let last: Promise<unknown> = Promise.resolve();
  return (request) => {
    const made = last.then(() => make(request));
    last = made.catch(() => undefined);
    return made;
  };
}

function toFile(text: string, kind: FileRequest['kind']): OwnFile {
  const content = Buffer.from(text);
  const hash = createHash('sha256').update(content).digest('base64url').slice(0, 22);
  return { contentType: types[kind], content, etag: `"${hash}"` };
}

/** A day at most, because a provisioning domain says when it ends. */
function nextMidnight(now: number): number {
  return (Math.floor(now / dayMs) + 1) * dayMs;
}
