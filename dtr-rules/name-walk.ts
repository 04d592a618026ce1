// Owns finding a name for every set of name patterns that can match one name together, and one for none of them.

import { canonicalHostname } from './hostname.ts';

export interface Walked {
  readonly names: readonly string[];
  /** False when the walk was given up: there are too many states. */
  readonly isComplete: boolean;
}

/** More than this is not walked: the number of states can grow with every combination of patterns. */
const maxPositions = 4_000;
const maxStates = 10_000;

/** All patterns read a name at once, letter by letter; how far each has come is the state. Names that lead to the same
 *  state are alike for ever after, so the first of them stands for all. */
export function walkNames(globs: readonly string[]): Walked {
  const size = globs.reduce((sum, glob) => sum + glob.length + 1, 0);
  if (size > maxPositions) return { names: [], isComplete: false };
  const text = globs.map((glob) => `${glob}\n`).join('');
  const letters = alphabet(globs);
  const starts = globs.map((_, i) =>
    globs.slice(0, i).reduce((sum, one) => sum + one.length + 1, 0),
  );
  const found = new Map<string, string>();
  const seen = new Set<string>();
  const open: { readonly name: string; readonly at: readonly number[] }[] = [
    { name: '', at: closure(starts, text) },
  ];
  for (const { name, at } of open) {
    const matched = at.filter((position) => text[position] === '\n').join(' ');
    if (!found.has(matched) && canonicalHostname(name) === name) found.set(matched, name);
    for (const letter of letters) {
      if (letter === '.' && (name === '' || name.endsWith('.'))) continue;
      const next = { name: name + letter, at: closure(step(at, letter, text), text) };
      const key = `${labelKind(next.name)} ${next.at.join(' ')}`;
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(next);
    }
    if (seen.size > maxStates) return { names: [...found.values()], isComplete: false };
  }
  return { names: [...found.values()], isComplete: true };
}

/** The letters that occur, the dot, and one that stands for all that do not. */
function alphabet(globs: readonly string[]): readonly string[] {
  const used = new Set(`.${globs.join('')}`.replaceAll('*', ''));
  const other = Array.from('xzqjkvwyabcdefghilmnoprstu').find((letter) => !used.has(letter));
  return [...(other === undefined ? [] : [other]), ...used];
}

function step(at: readonly number[], letter: string, text: string): readonly number[] {
  return at.flatMap((position) => {
    if (text[position] === '*') return [position];
    return text[position] === letter ? [position + 1] : [];
  });
}

/** A star may also be done with. */
function closure(at: readonly number[], text: string): readonly number[] {
  const reached = new Set(at);
  for (const position of reached) if (text[position] === '*') reached.add(position + 1);
  return [...reached].sort((a, b) => a - b);
}

/** As much of the last label as decides whether the name is one: it may be neither empty nor a number. */
function labelKind(name: string): string {
  const label = name.slice(name.lastIndexOf('.') + 1);
  if (label === '' || label === '0') return label;
  if (/^\d+$/.test(label)) return '1';
  return /^0x[0-9a-f]*$/.test(label) ? '0x' : 'a';
}
