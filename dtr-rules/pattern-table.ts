// Owns finding, among many patterns with stars inside, the few whose letters a name has: each is kept under its rarest run.

import { type Asked, type Candidate, fits } from './candidate.ts';
import { compileGlob } from './glob.ts';

export interface PatternTable {
  /** The first that fits and stands before `before` in the order; null when none does. */
  first(host: string, asked: Asked, before: number): Candidate | null;
}

interface Pattern {
  readonly candidate: Candidate;
  readonly matches: (host: string) => boolean;
}

/** Patterns kept under runs of the same length; a run is a number, seven bits for each letter. */
interface Level {
  readonly length: number;
  readonly mask: number;
  readonly patterns: Map<number, Pattern[]>;
}

// Four letters of seven bits fit into one small integer; shorter runs are for pieces such as `*-a-*`.
const longest = 4;
const maskOf = (length: number): number => 2 ** (7 * length) - 1;
const wholeMask = maskOf(longest);

/** A look-up walks the name once, whatever the number of patterns, and tries those whose rarest run occurs in it. */
export function compilePatternTable(
  entries: readonly { readonly pattern: string; readonly candidate: Candidate }[],
): PatternTable {
  const levels: Level[] = [];
  const all = entries.map((entry) => ({ ...entry, ...runsOf(entry.pattern) }));
  const counts = new Map<number, number>();
  const countOf = (run: number): number => counts.get(run) ?? 0;
  for (const { runs } of all) for (const run of runs) counts.set(run, countOf(run) + 1);
  for (const { pattern, candidate, length, runs } of all) {
    const level = levels.find((one) => one.length === length) ?? addLevel(levels, length);
    const rarest = runs.reduce((a, b) => (countOf(b) < countOf(a) ? b : a));
    const present = level.patterns.get(rarest);
    const entry = { candidate, matches: compileGlob(pattern) };
    if (present === undefined) level.patterns.set(rarest, [entry]);
    else present.push(entry);
  }

  return {
    first(host, asked, before) {
      let best: Candidate | null = null;
      let limit = before;
      let code = 0;
      for (let end = 1; levels.length > 0 && end <= host.length; end++) {
        code = ((code << 7) | host.charCodeAt(end - 1)) & wholeMask;
        for (const { length, mask, patterns } of levels) {
          const found = end < length ? undefined : patterns.get(code & mask);
          const earlier = found === undefined ? null : firstIn(found, host, asked, limit);
          if (earlier === null) continue;
          best = earlier;
          limit = earlier.order;
        }
      }
      return best;
    },
  };
}

function firstIn(
  patterns: readonly Pattern[],
  host: string,
  asked: Asked,
  before: number,
): Candidate | null {
  for (const { candidate, matches } of patterns) {
    if (candidate.order >= before) return null;
    if (fits(candidate, asked) && matches(host)) return candidate;
  }
  return null;
}

function addLevel(levels: Level[], length: number): Level {
  const level = { length, mask: maskOf(length), patterns: new Map() };
  levels.push(level);
  return level;
}

/** The runs of the pieces between stars, as long as they get; a pattern has at least one letter. */
function runsOf(pattern: string): { readonly length: number; readonly runs: readonly number[] } {
  const pieces = pattern.split('*');
  const length = Math.min(longest, Math.max(...pieces.map((piece) => piece.length)));
  const runs = pieces.flatMap((piece) =>
    Array.from({ length: Math.max(0, piece.length - length + 1) }, (_, at) =>
      codeOf(piece.slice(at, at + length)),
    ),
  );
  return { length, runs };
}

function codeOf(run: string): number {
  let code = 0;
  for (const letter of run) code = (code << 7) | letter.charCodeAt(0);
  return code;
}
