// Owns the table that finds the first destination naming a host: exact names, subdomains and patterns.

import { type Candidate, earlier, firstFor, fitsPort } from './candidate.ts';
import { compileGlob } from './glob.ts';

export interface NameTable {
  first(host: string, port: number): Candidate | null;
}

interface Glob {
  readonly candidate: Candidate;
  readonly matches: (host: string) => boolean;
}

interface Tables {
  readonly exact: Map<string, Candidate[]>;
  /** `*.example.com` ends in `.example.com`, `*example.com` in `example.com`. */
  readonly endings: Map<string, Candidate[]>;
  readonly beginnings: Map<string, Candidate[]>;
  /** What no map can answer, in order. */
  readonly globs: Glob[];
}

/** A look-up costs one map access per distinct length of ending and beginning (a name has at most 253), however
 *  many rules there are; only patterns such as `*word*` are tried one by one, while they could still win. */
export function compileNameTable(candidates: readonly Candidate[]): NameTable {
  const tables: Tables = { exact: new Map(), endings: new Map(), beginnings: new Map(), globs: [] };
  for (const candidate of candidates) enter(candidate, tables);
  const endLengths = lengthsOf(tables.endings);
  const beginLengths = lengthsOf(tables.beginnings);

  return {
    first(host, port) {
      let best = firstFor(port, tables.exact.get(host) ?? []);
      const offer = (found: readonly Candidate[] | undefined) => {
        if (found !== undefined) best = earlier(best, firstFor(port, found));
      };
      for (const length of endLengths) {
        if (length <= host.length) offer(tables.endings.get(host.slice(host.length - length)));
      }
      for (const length of beginLengths) {
        if (length <= host.length) offer(tables.beginnings.get(host.slice(0, length)));
      }
      return earlier(
        best,
        firstGlob(tables.globs, { host, port, before: best?.order ?? Infinity }),
      );
    },
  };
}

function enter(candidate: Candidate, tables: Tables): void {
  const { destination } = candidate;
  switch (destination.kind) {
    case 'host':
      add(tables.exact, destination.host, candidate);
      break;
    case 'subdomains':
      if (destination.apex) add(tables.exact, destination.suffix, candidate);
      add(tables.endings, `.${destination.suffix}`, candidate);
      break;
    case 'pattern':
      enterPattern(destination.pattern, candidate, tables);
      break;
    case 'any':
    case 'addresses':
      break;
  }
}

function enterPattern(pattern: string, candidate: Candidate, tables: Tables): void {
  const hasOneStar = pattern.indexOf('*') === pattern.lastIndexOf('*');
  if (hasOneStar && pattern.startsWith('*')) add(tables.endings, pattern.slice(1), candidate);
  else if (hasOneStar && pattern.endsWith('*'))
    add(tables.beginnings, pattern.slice(0, -1), candidate);
  else tables.globs.push({ candidate, matches: compileGlob(pattern) });
}

interface Wanted {
  readonly host: string;
  readonly port: number;
  readonly before: number;
}

function firstGlob(globs: readonly Glob[], { host, port, before }: Wanted): Candidate | null {
  for (const { candidate, matches } of globs) {
    if (candidate.order > before) return null;
    if (fitsPort(candidate, port) && matches(host)) return candidate;
  }
  return null;
}

function add(table: Map<string, Candidate[]>, key: string, candidate: Candidate): void {
  const present = table.get(key);
  if (present === undefined) table.set(key, [candidate]);
  else present.push(candidate);
}

function lengthsOf(table: ReadonlyMap<string, unknown>): readonly number[] {
  return [...new Set([...table.keys()].map((key) => key.length))];
}
