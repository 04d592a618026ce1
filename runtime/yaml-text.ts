// Reads YAML text strictly, and knows at which line and column each value and key stands.
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  type Scalar,
  type YAMLError,
} from 'yaml';
import { firstTooDeep, MAX_DEPTH } from './yaml-depth.ts';

export type Path = readonly (string | number)[];

export interface Place {
  readonly line: number; // both count from 1
  readonly column: number;
}

export interface YamlProblem {
  readonly message: string;
  readonly hint: string | null;
  readonly path: Path;
  readonly place: Place;
}

export interface YamlScalar {
  readonly node: Scalar;
  readonly path: Path;
  readonly isKey: boolean;
}

export interface YamlText {
  readonly problems: readonly YamlProblem[];
  readonly scalars: readonly YamlScalar[];
  value(): unknown; // only when there are no problems
  place(path: Path, part: 'value' | 'key'): Place;
}

// Enough for a list shared by every rule set; a file of nested aliases grows to billions of values.
const MAX_ALIASES = 10_000;

export function readYamlText(text: string): YamlText {
  const deep = firstTooDeep(text);
  if (deep !== null) return tooDeep(deep);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: '1.2' });
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  // Its stack was not enough for it: indentation that goes on and on.
  const exhausted = document.errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION');
  if (exhausted !== undefined) return tooDeep(placeAt(exhausted.pos[0]));
  const problems = [...document.errors, ...document.warnings].map((error) => ({
    ...describe(error, text),
    path: [],
    place: placeAt(error.pos[0]),
  }));
  if (document.contents === null || isEmpty(document.contents)) {
    problems.push({ message: 'the file is empty', hint: null, path: [], place: placeAt(0) });
  }
  const scalars: YamlScalar[] = [];
  if (problems.length === 0) {
    walk(document.contents, { document, path: [], ancestors: new Set() }, (found) => {
      if ('message' in found) {
        problems.push({ message: found.message, hint: null, path: [], place: placeAt(found.at) });
      } else scalars.push(found);
    });
  }
  return {
    problems,
    scalars,
    value: () => document.toJS({ maxAliasCount: MAX_ALIASES }),
    place: (path, part) => placeAt(offsetOf(document, path, part)),
  };
}

/** One sentence: nothing can be said of what stands inside. */
function tooDeep(place: Place): YamlText {
  const message = `values stand inside one another more than ${MAX_DEPTH} deep`;
  const hint = 'no file needs that: see whether a bracket is missing';
  return {
    problems: [{ message, hint, path: [], place }],
    scalars: [],
    value: () => null,
    place: () => place,
  };
}

function describe(error: YAMLError, text: string): { message: string; hint: string | null } {
  if (error.code === 'DUPLICATE_KEY') {
    const [key] = /^[^:\n]+/.exec(text.slice(error.pos[0])) ?? ['?'];
    return { message: `key \`${key.trim()}\` stands twice in this map`, hint: 'keep one of them' };
  }
  if (error.code === 'MULTIPLE_DOCS') {
    return { message: 'expected one document, got a second one', hint: 'remove the `---` line' };
  }
  if (error.code === 'TAB_AS_INDENT') {
    return { message: 'a tab cannot indent', hint: 'use spaces' };
  }
  return { message: error.message.charAt(0).toLowerCase() + error.message.slice(1), hint: null };
}

function isEmpty(node: unknown): boolean {
  return isScalar(node) && node.value === null;
}

interface Standing {
  readonly document: Document;
  readonly path: Path;
  readonly ancestors: ReadonlySet<unknown>;
}
type Report = (found: YamlScalar | { readonly message: string; readonly at: number }) => void;

function walk(node: unknown, standing: Standing, report: Report): void {
  const { document, path } = standing;
  const ancestors = new Set([...standing.ancestors, node]);
  const inside = (key: string | number) => ({ document, path: [...path, key], ancestors });
  if (isScalar(node)) report({ node, path, isKey: false });
  if (isAlias(node)) walkAlias(node, { document, path, ancestors }, report);
  if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) walk(item, inside(index), report);
  }
  if (!isMap(node)) return;
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? String(key.value) : null;
    const at = startOf(key) ?? startOf(node) ?? 0;
    if (!isScalar(key) || name === null) report({ message: 'expected text as a key', at });
    // It would change a map's prototype wherever a program copies it carelessly (threat A07).
    else if (name === '__proto__') report({ message: 'unknown key `__proto__`', at });
    else {
      report({ node: key, path: [...path, name], isKey: true });
      walk(value, inside(name), report);
    }
  }
}

function walkAlias(alias: Alias, { document, ancestors }: Standing, report: Report): void {
  const target = alias.resolve(document);
  const at = startOf(alias) ?? 0;
  if (target === undefined) report({ message: `nothing is named \`&${alias.source}\``, at });
  // A value that holds itself has no end to check.
  else if (ancestors.has(target)) {
    report({ message: `\`*${alias.source}\` stands inside what it repeats`, at });
  }
}

// What the path leads to, or as far as it leads: a missing key is found at the map it is missing from.
function offsetOf(document: Document, path: Path, part: 'value' | 'key'): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [index, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    if (isSeq(node)) {
      node = node.items[Number(step)];
      offset = startOf(node) ?? offset;
      continue;
    }
    const pair = isMap(node) ? node.items.find((item) => keyOf(item) === String(step)) : undefined;
    if (pair === undefined) return offset;
    const isLast = index === path.length - 1;
    const atKey = startOf(pair.key) ?? offset;
    offset = isLast && part === 'key' ? atKey : (startOf(pair.value) ?? atKey);
    node = pair.value;
  }
  return offset;
}

function keyOf(pair: Pair): string | null {
  return isScalar(pair.key) ? String(pair.key.value) : null;
}

function startOf(node: unknown): number | undefined {
  if (isScalar(node) || isMap(node) || isSeq(node) || isAlias(node)) return node.range?.[0];
  return undefined;
}
