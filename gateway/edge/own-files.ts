// Owns the files a gateway serves to its devices, made once for each rule set and kept as long as they are true.

import { createHash } from 'node:crypto';
import type { CompiledSet } from '../../dtr-rules/compile.ts';
import { pacText, pacType } from '../../dtr-rules/profiles/pac.ts';
import { type Plan, planOf } from '../../dtr-rules/profiles/plan.ts';
import { type Endpoint, type FailMode, formatEndpoint } from '../../dtr-rules/profiles/profile.ts';
import { pvdText, pvdType } from '../../dtr-rules/profiles/pvd.ts';

export interface OwnFile {
  readonly contentType: string;
  readonly content: Buffer;
  readonly etag: string;
}

export interface OwnFiles {
  pac(set: CompiledSet, now: number): OwnFile;
  pvd(set: CompiledSet, now: number): OwnFile;
}

interface Kept {
  readonly file: OwnFile;
  readonly until: number;
}

type Make = (plan: Plan, set: CompiledSet, now: number) => string;

export function createOwnFiles(gateway: Endpoint, failMode: FailMode): OwnFiles {
  const pac: Make = (plan, { set }) => pacText(plan, `HTTPS ${formatEndpoint(gateway)}`, set.name);
  const pvd: Make = (plan, _, now) => pvdText(plan, gateway, now);
  return { pac: keep(pac, pacType, failMode), pvd: keep(pvd, pvdType, failMode) };
}

const dayMs = 86_400_000;

/** Until the rules change by themselves; a day at most, because a provisioning domain says when it ends. */
function keep(make: Make, contentType: string, failMode: FailMode): OwnFiles['pac'] {
  const known = new WeakMap<CompiledSet, Kept>();
  return (set, now) => {
    const kept = known.get(set);
    if (kept !== undefined && now < kept.until) return kept.file;
    const plan = planOf(set, { facts: { failMode }, now, app: null });
    const content = Buffer.from(make(plan, set, now));
    const hash = createHash('sha256').update(content).digest('base64url').slice(0, 22);
    const file = { contentType, content, etag: `"${hash}"` };
    const midnight = (Math.floor(now / dayMs) + 1) * dayMs;
    known.set(set, { file, until: Math.min(midnight, plan.changesAt ?? Infinity) });
    return file;
  };
}
