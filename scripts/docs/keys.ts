// Reads the keys off a zod schema: path, what may stand there, default; the tables of docs/configuration.md are made of them.
import { z } from 'zod';

export interface Key {
  /** `posture.source.url`; `[]` is an item of a list, `<name>` a key of the operator's own. */
  readonly path: string;
  readonly value: string;
  /** As one would write it; null when leaving the key out means nothing is set. */
  readonly fallback: string | null;
  readonly isRequired: boolean;
  /** For keys of one variant only: `kind: inventory`. */
  readonly variant: string | null;
}

type Schema = z.core.$ZodTypes;

interface Place {
  readonly path: string;
  readonly variant: string | null;
  /** Paths whose keys are explained elsewhere, and what to call the value. */
  readonly folded: Readonly<Record<string, string>>;
}

/** What is under defaults, `null` and transforms, and what was seen on the way. */
interface Bare {
  readonly schema: Schema;
  /** Where a text is checked, so that a wrong one can be tried on it. */
  readonly checked: Schema;
  readonly fallback: string | null;
  readonly mayBeAbsent: boolean;
}

export function keysOf(
  schema: z.core.$ZodType,
  path: string,
  folded: Readonly<Record<string, string>> = {},
): readonly Key[] {
  return walk(schema, { path, variant: null, folded });
}

function walk(given: z.core.$ZodType, place: Place): readonly Key[] {
  const bare = bareOf(given);
  const { schema } = bare;
  const key = (value: string): Key => ({
    path: place.path,
    value,
    fallback: bare.fallback,
    isRequired: !bare.mayBeAbsent,
    variant: place.variant,
  });
  const folded = place.folded[place.path];
  if (folded !== undefined) return [key(folded)];
  const { def } = schema._zod;
  switch (def.type) {
    case 'object': {
      const keys = Object.entries(def.shape).flatMap(([name, inner]) =>
        walk(inner, { ...place, path: place.path === '' ? name : `${place.path}.${name}` }),
      );
      const isOptional = bare.mayBeAbsent && bare.fallback === null && place.path !== '';
      return isOptional && !hasDefaults(given) ? [key('a section'), ...keys] : keys;
    }
    case 'array': {
      const element = bareOf(def.element).schema;
      if (element._zod.def.type !== 'object') return [key(describe(given))];
      const items = walk(def.element, { ...place, path: `${place.path}[]` });
      return [key('a list of sections'), ...items];
    }
    case 'record': {
      const path = `${place.path}.<name>`;
      const keys = walk(def.valueType, { ...place, path });
      const isLeaf = alternatives(def.valueType).length === 0;
      return isLeaf ? [{ ...key(describe(def.valueType)), path }] : keys;
    }
    case 'union': {
      const options = alternatives(given);
      if (options.length === 0) return [key(describe(given))];
      const lists = def.options.map((option, i) => walk(option, variantOf(options[i], place)));
      return merged(lists.flat().map((key) => ({ ...key, isRequired: isNeeded(key, lists) })));
    }
    default:
      return [key(describe(given))];
  }
}

/** The sections that may stand here: one, several of a union, or none where it is no section. */
function alternatives(given: z.core.$ZodType): readonly Schema[] {
  const { schema } = bareOf(given);
  const { def } = schema._zod;
  const options =
    def.type === 'union' ? def.options.map((option) => bareOf(option).schema) : [schema];
  return options.every((option) => option._zod.def.type === 'object') ? options : [];
}

/** A section that is filled with defaults when it is left out says nothing of its own. */
function hasDefaults(schema: z.core.$ZodType): boolean {
  return (schema as Schema)._zod.def.type === 'prefault';
}

function variantOf(option: Schema | undefined, place: Place): Place {
  const def = option?._zod.def;
  const kind = def?.type === 'object' ? (def.shape['kind'] as Schema | undefined) : undefined;
  if (kind?._zod.def.type !== 'literal') return place;
  return { ...place, variant: `\`kind: ${String(kind._zod.def.values[0])}\`` };
}

/** A key of its own that only some of several ways to write a section have is needed in that way alone. */
function isNeeded(key: Key, lists: readonly (readonly Key[])[]): boolean {
  if (!key.isRequired || key.variant !== null || key.path.includes('[]')) return key.isRequired;
  return lists.every((keys) => keys.some(({ path }) => path === key.path));
}

/** The same key of several variants is one row. */
function merged(keys: readonly Key[]): readonly Key[] {
  const byPath = new Map<string, Key>();
  for (const key of keys) {
    const known = byPath.get(key.path);
    const value =
      known === undefined || known.value === key.value ? key.value : `${known.value}, ${key.value}`;
    const { fallback } = key;
    byPath.set(key.path, {
      ...key,
      value,
      // Each way has its own: the sentence has to say which.
      fallback: known === undefined || known.fallback === fallback ? fallback : null,
      variant: known === undefined ? key.variant : null,
    });
  }
  return [...byPath.values()];
}

function bareOf(given: z.core.$ZodType): Bare {
  let schema = given as Schema;
  let checked = schema;
  let fallback: string | null = null;
  let mayBeAbsent = false;
  for (;;) {
    const { def } = schema._zod;
    if (def.type === 'default' || def.type === 'prefault') {
      fallback ??= written(def.defaultValue);
      mayBeAbsent = true;
      schema = def.innerType as Schema;
      checked = schema;
    } else if (def.type === 'nullable' || def.type === 'optional') {
      mayBeAbsent = true;
      schema = def.innerType as Schema;
      checked = schema;
    } else if (def.type === 'pipe') {
      schema = def.in as Schema;
    } else {
      return { schema, checked, fallback, mayBeAbsent };
    }
  }
}

function written(value: unknown): string | null {
  return typeof value === 'object' || value === undefined
    ? null
    : JSON.stringify(value).replaceAll('"', '');
}

function describe(given: z.core.$ZodType): string {
  const { schema, checked } = bareOf(given);
  const { def } = schema._zod;
  switch (def.type) {
    case 'string':
      return describeText(schema, checked);
    case 'number': {
      const { minimum, maximum } = z.toJSONSchema(schema);
      return `a whole number from ${minimum} to ${maximum}`;
    }
    case 'boolean':
      return '`true` or `false`';
    case 'literal':
      return def.values.map((value) => `\`${String(value)}\``).join(', ');
    case 'enum':
      return `one of ${Object.values(def.entries)
        .map((value) => `\`${value}\``)
        .join(', ')}`;
    case 'array':
      return `a list, each ${describe(def.element)}`;
    case 'union':
      return def.options.map(describe).join(' or ');
    default:
      throw new Error(`no words for a ${def.type} in a configuration`);
  }
}

// What a text has to be stands in its description, or in what the schema says of a wrong one.
function describeText(schema: Schema, checked: Schema): string {
  const { description } = z.globalRegistry.get(schema) ?? {};
  if (description !== undefined) return shortened(description);
  const tried = z.safeParse(checked, '\0');
  const message = tried.success ? '' : (tried.error.issues[0]?.message ?? '');
  if (message.startsWith('Invalid email')) return 'an e-mail address';
  return message.startsWith('expected ') ? message.slice('expected '.length) : 'text';
}

// Explained once, under `Values`.
const shortForms: Readonly<Record<string, string>> = {
  'a path, relative to the configuration file': 'a path',
  'a name of up to 63 characters from a-z, 0-9 and -, beginning with a letter or digit': 'a name',
  'an http or https URL without credentials and fragment': 'a URL',
  'a secret of at least 8 characters on one line': 'a secret',
  'an address and port to listen on': 'an address to listen on',
};

function shortened(description: string): string {
  return (
    shortForms[description] ?? description.replace(/^a duration in ms, s, m, h or d/, 'a duration')
  );
}
