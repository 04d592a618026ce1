// Owns the search for a host name that some globs match and others do not: what proves that a rule is reached.

import { compileGlob } from '../glob.ts';
import { canonicalHostname } from '../hostname.ts';
import type { Place } from '../rule.ts';

export interface Sought {
  /** Globs that all match the name, at least one. */
  readonly within: readonly string[];
  /** Globs none of which does. */
  readonly without: readonly string[];
  /** Names it must not be. */
  readonly isTaken: (name: string) => boolean;
}

/** `unknown`: the search was given up, so nothing may be claimed. */
export type Found =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'unknown' };

/** The globs a place stands for; an address stands for none. */
export function globsOf(place: Place): readonly string[] {
  switch (place.kind) {
    case 'any':
      return ['*'];
    case 'host':
      return [place.host];
    case 'subdomains':
      return place.apex ? [place.suffix, `*.${place.suffix}`] : [`*.${place.suffix}`];
    case 'pattern':
      return [place.pattern];
    case 'addresses':
      return [];
  }
}

/** Names that people recognise come first; only when none of them fits every name is searched. */
export function findName(sought: Sought): Found {
  const { within, without, isTaken } = sought;
  const inside = within.map(compileGlob);
  const outside = without.map(compileGlob);
  const name = samplesOf(within).find(
    (sample) =>
      inside.every((matches) => matches(sample)) &&
      !outside.some((matches) => matches(sample)) &&
      !isTaken(sample),
  );
  if (name !== undefined) return { kind: 'name', name };
  const taken: string[] = [];
  for (let round = 0; round < 20; round++) {
    const found = search({ ...sought, without: [...without, ...taken] });
    if (found.kind !== 'taken') return found;
    taken.push(found.name);
  }
  return { kind: 'unknown' };
}

/** Readable names that one of the globs matches: itself, a child, a sibling with something glued on. */
export function samplesOf(globs: readonly string[]): readonly string[] {
  const fills = [
    'www',
    'evil',
    'www.',
    'evil.',
    '',
    '.www',
    '.example',
    'a.b',
    'www-',
    '-1',
    'x7q',
    '.x7q.',
  ];
  const others = globs
    .map((glob) => glob.replaceAll('*', 'x'))
    .concat(globs.map((glob) => glob.replaceAll('*', '')));
  const candidates = globs.flatMap((glob) =>
    [...fills, ...others, ...others.map((one) => `${one}.`)].map((fill) =>
      glob.replaceAll('*', fill),
    ),
  );
  return [...new Set(candidates.filter((name) => canonicalHostname(name) === name))];
}

/** One machine reading a name: a glob, or the rule of what a name may be. */
interface Reader {
  readonly start: string;
  step(state: string, character: string): string;
  accepts(state: string): boolean;
}

/** A reader on its way, and whether it has to accept the name. */
interface Reading {
  readonly reader: Reader;
  readonly isInside: boolean;
  readonly state: string;
}

const budget = 20_000;

// Breadth first over the product of all readers: complete, so `none` is a proof. The budget keeps a file made to be slow
// (threats D10) from hanging the linter; then nothing is claimed.
function search({
  within,
  without,
  isTaken,
}: Sought): Found | { readonly kind: 'taken'; readonly name: string } {
  const start: readonly Reading[] = [
    ...[nameReader, ...within.map(globReader)].map((reader) => ({ reader, isInside: true })),
    ...without.map(globReader).map((reader) => ({ reader, isInside: false })),
  ].map((one) => ({ ...one, state: one.reader.start }));
  const alphabet = alphabetOf([...within, ...without]);
  let level: { readonly readings: readonly Reading[]; readonly text: string }[] = [
    { readings: start, text: '' },
  ];
  const seen = new Set([keyOf(start)]);
  let isSure = true;
  while (level.length > 0) {
    const next: typeof level = [];
    for (const { readings, text } of level) {
      if (seen.size > budget) return { kind: 'unknown' };
      for (const character of alphabet) {
        const stepped = readings.map((one) => ({
          ...one,
          state: one.reader.step(one.state, character),
        }));
        if (stepped.some(({ isInside, state }) => isInside && state === '')) continue;
        const key = keyOf(stepped);
        if (seen.has(key)) continue;
        seen.add(key);
        const name = text + character;
        if (stepped.every(({ reader, state, isInside }) => reader.accepts(state) === isInside)) {
          const isTooLong = canonicalHostname(name) !== name;
          if (!isTooLong) return { kind: isTaken(name) ? 'taken' : 'name', name };
          isSure = false;
        }
        next.push({ readings: stepped, text: name });
      }
    }
    level = next;
  }
  return { kind: isSure ? 'none' : 'unknown' };
}

function keyOf(readings: readonly Reading[]): string {
  return readings.map(({ state }) => state).join('|');
}

/** Every character some glob names, and one that none does: all others behave like it. */
function alphabetOf(globs: readonly string[]): readonly string[] {
  const used = new Set(globs.join('').replaceAll('*', ''));
  const other = Array.from('xzqwvk7ybjpfghutmncdrsloiae0123456_-').filter((one) => !used.has(one));
  const letter = other.find((one) => /[a-z]/.test(one));
  const digit = other.find((one) => /\d/.test(one));
  return [...new Set([letter, ...used, digit, '.'].filter((one) => one !== undefined))];
}

/** A state is the places in the glob the reading may have come to; places before the last star reached are dropped,
 *  because whatever they could still match that star can too. */
function globReader(glob: string): Reader {
  const memory = new Map<string, string>();
  const settle = (places: readonly number[]): string => {
    const all = new Set(places);
    for (const place of all) if (glob[place] === '*') all.add(place + 1);
    const star = Math.max(-1, ...[...all].filter((place) => glob[place] === '*'));
    const kept = [...all].filter((place) => place >= star).toSorted((a, b) => a - b);
    return String.fromCharCode(...kept.map((place) => place + 0x100));
  };
  return {
    start: settle([0]),
    step(state, character) {
      const key = state + character;
      const known = memory.get(key);
      if (known !== undefined) return known;
      const places = Array.from(state, (one) => one.charCodeAt(0) - 0x100);
      const next = settle(
        places.flatMap((place) => {
          if (glob[place] === '*') return [place];
          return glob[place] === character ? [place + 1] : [];
        }),
      );
      memory.set(key, next);
      return next;
    },
    accepts: (state) => state.includes(String.fromCharCode(glob.length + 0x100)),
  };
}

// What a canonical name is, lengths aside: labels are not empty, and the last one is not a number to anybody. What is none
// any more is not read on.
const nameReader: Reader = {
  start: 'dot',
  step(state, character) {
    if (character === '.') return state === 'dot' ? '' : 'dot';
    const isDigit = /\d/.test(character);
    if (state === 'dot') return character === '0' ? 'zero' : isDigit ? 'number' : 'word';
    if (state === 'zero' && character === 'x') return 'hex';
    if ((state === 'zero' || state === 'number') && isDigit) return 'number';
    if (state === 'hex' && /[\da-f]/.test(character)) return 'hex';
    return 'word';
  },
  accepts: (state) => state === 'word',
};
