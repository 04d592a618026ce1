// Owns the table that finds the first destination naming a host: exact names, subdomains and patterns.

import { type Asked, append, type Candidate, earlier, firstOf } from './candidate.ts';
import { compilePatternTable } from './pattern-table.ts';

export interface NameTable {
  first(host: string, asked: Asked): Candidate | null;
}

interface Tables {
  readonly exact: Map<string, Candidate[]>;
  /** `*.example.com` under `example.com`. */
  readonly below: Map<string, Candidate[]>;
  /** `*example.com` under `example.com`, `vpn-*` under `vpn-`. */
  readonly endings: Map<string, Candidate[]>;
  readonly beginnings: Map<string, Candidate[]>;
  /** What no map can answer. */
  readonly patterns: { readonly pattern: string; readonly candidate: Candidate }[];
}

/** A look-up costs one map access for the name, one for each domain above it, and one for each distinct length of ending
 *  and beginning (a name has at most 253 characters), however many rules there are. */
export function compileNameTable(candidates: readonly Candidate[]): NameTable {
  const tables: Tables = {
    exact: new Map(),
    below: new Map(),
    endings: new Map(),
    beginnings: new Map(),
    patterns: [],
  };
  for (const candidate of candidates) enter(candidate, tables);
  const { exact, below, endings, beginnings } = tables;
  const patterns = compilePatternTable(tables.patterns);
  const endLengths = lengthsOf(endings);
  const beginLengths = lengthsOf(beginnings);

  return {
    first(host, asked) {
      let best = firstOf(exact.get(host), asked);
      for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
        best = earlier(best, firstOf(below.get(host.slice(dot + 1)), asked));
      }
      for (const length of endLengths) {
        if (length > host.length) break;
        best = earlier(best, firstOf(endings.get(host.slice(host.length - length)), asked));
      }
      for (const length of beginLengths) {
        if (length > host.length) break;
        best = earlier(best, firstOf(beginnings.get(host.slice(0, length)), asked));
      }
      return earlier(best, patterns.first(host, asked, best?.order ?? Infinity));
    },
  };
}

function enter(candidate: Candidate, tables: Tables): void {
  const { destination } = candidate;
  switch (destination.kind) {
    case 'host':
      append(tables.exact, destination.host, candidate);
      break;
    case 'subdomains':
      if (destination.apex) append(tables.exact, destination.suffix, candidate);
      append(tables.below, destination.suffix, candidate);
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
  if (hasOneStar && pattern.startsWith('*')) append(tables.endings, pattern.slice(1), candidate);
  else if (hasOneStar && pattern.endsWith('*'))
    append(tables.beginnings, pattern.slice(0, -1), candidate);
  else tables.patterns.push({ pattern, candidate });
}

function lengthsOf(table: ReadonlyMap<string, unknown>): readonly number[] {
  return [...new Set([...table.keys()].map((key) => key.length))].sort((a, b) => a - b);
}
