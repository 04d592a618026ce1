// Owns reading rules from CSV with a header line: a rule a line, its columns in any order.

import { actions, platforms as allPlatforms } from '../parse-rules.ts';
import type { Action } from '../rule.ts';
import { readCsvLines } from './csv-lines.ts';
import {
  appNamed,
  createNotes,
  destinationsFrom,
  type ImportedRule,
  type ImportedSet,
  type ImportRead,
  lose,
  type Notes,
  readHostPort,
  slug,
  unique,
  upstreamNamed,
} from './imported.ts';

/** PROXY would need to know which. */
export const defaultActions = ['TUNNEL', 'BYPASS', 'BLOCK'] as const satisfies readonly Action[];

const columns = new Map(
  Object.entries({
    defaultaction: 'defaultAction',
    set: 'set',
    ruleset: 'set',
    id: 'id',
    rule: 'id',
    name: 'id',
    action: 'action',
    destinations: 'destinations',
    destination: 'destinations',
    domains: 'destinations',
    hosts: 'destinations',
    apps: 'apps',
    applications: 'apps',
    upstream: 'upstream',
    proxy: 'upstream',
    egress: 'egress',
    platforms: 'platforms',
    platform: 'platforms',
    groups: 'groups',
    group: 'groups',
    description: 'description',
    comment: 'description',
    ticket: 'ticket',
  }),
);

/** `defaultAction`: of sets whose first line has none in its column. */
export function importCsv(text: string, defaultAction: Action | null = null): ImportRead {
  const read = readCsvLines(text);
  if (typeof read === 'number') {
    return {
      ok: false,
      message: `line ${read}: a quote within a field; put the field in quotes, and write each of its own twice`,
    };
  }
  const [header, ...lines] = read;
  const titles = header?.fields ?? [];
  const names = titles.map(columnOf);
  if (!names.includes('action') || !names.includes('destinations')) {
    return {
      ok: false,
      message: 'the first line has to name the columns, `action` and `destinations` among them',
    };
  }
  const notes = createNotes();
  for (const title of titles.filter((one) => columnOf(one) === null)) {
    lose(
      notes,
      'line 1',
      `the column \`${title}\` is not carried over`,
      `columns are ${[...new Set(columns.values())].join(', ')}`,
    );
  }
  const sets = new Map<string, ImportedSet>();
  for (const { fields, line } of lines) {
    const row = new Map(
      names.flatMap((name, i) =>
        name === null ? [] : [[name, (fields[i] ?? '').trim()] as const],
      ),
    );
    const get = (name: string) => row.get(name) ?? '';
    const set =
      sets.get(get('set')) ?? newSet(get, { notes, place: `line ${line}`, defaultAction });
    const rule = readRow(get, { notes, place: `line ${line}`, before: set.rules });
    sets.set(get('set'), rule === null ? set : { ...set, rules: [...set.rules, rule] });
  }
  return { ok: true, value: { ...notes, sets: assigned([...sets.values()], notes) } };
}

function columnOf(title: string): string | null {
  return columns.get(title.toLowerCase().replace(/[^a-z]/g, '')) ?? null;
}

/** Of several sets the first without a condition would take every device. */
function assigned(sets: readonly ImportedSet[], notes: Notes): readonly ImportedSet[] {
  return sets.map((set) => {
    if (sets.length === 1 || set.platforms !== null || set.groups !== null) return set;
    lose(
      notes,
      'the file',
      `nothing says which devices get the set \`${set.name}\``,
      `it is given to the group \`${set.name}\`: change \`assign\``,
    );
    return { ...set, groups: [set.name] };
  });
}

type Get = (column: string) => string;

/** The first line of a set says whom it is for. */
function newSet(
  get: Get,
  {
    notes,
    place,
    defaultAction,
  }: Omit<Where, 'before'> & { readonly defaultAction: Action | null },
): ImportedSet {
  const known = pieces(get('platforms').toLowerCase()).filter((one) => {
    const isKnown = allPlatforms.some((platform) => platform === one);
    if (!isKnown)
      lose(
        notes,
        place,
        `the platform \`${one}\` is not known`,
        `platforms are ${allPlatforms.join(', ')}`,
      );
    return isKnown;
  });
  const groups = pieces(get('groups'));
  return {
    name: get('set') === '' ? 'imported' : get('set'),
    mode: 'full-device',
    platforms: known.length === 0 ? null : known,
    groups: groups.length === 0 ? null : groups,
    defaultAction: readDefault(get('defaultAction') || (defaultAction ?? ''), notes, place),
    rules: [],
  };
}

function readDefault(text: string, notes: Notes, place: string): Action {
  if (text === '') {
    lose(
      notes,
      place,
      'nothing says the default action of the set',
      'it stands as BYPASS, as in the vendor products: `--default-action BLOCK`, or a column `default action`, says otherwise',
    );
    return 'BYPASS';
  }
  const known = defaultActions.find((one) => one === text.toUpperCase());
  if (known === undefined)
    lose(
      notes,
      place,
      `the default action \`${text}\` has no counterpart`,
      `it stands as BLOCK: say one of ${defaultActions.join(', ')}`,
    );
  return known ?? 'BLOCK';
}

interface Where {
  readonly notes: Notes;
  readonly place: string;
  readonly before: readonly ImportedRule[];
}

function readRow(get: Get, { notes, place, before }: Where): ImportedRule | null {
  const destinations = destinationsFrom([get('destinations')], notes, place);
  if (destinations.length === 0) {
    lose(notes, place, 'the rule is left out: no destination of it could be read', 'write it anew');
    return null;
  }
  const id = unique(
    slug(get('id'), `rule-${before.length + 1}`),
    before.map((one) => one.id),
  );
  const apps = pieces(get('apps')).filter((one) => !/^all\b/i.test(one));
  const named = apps.map((one) =>
    appNamed(notes, { kind: /[\\/]/.test(one) ? 'path' : 'bundleId', identifier: one, name: one }),
  );
  const known = actions.find((one) => one === get('action').toUpperCase());
  if (known === undefined)
    lose(
      notes,
      place,
      `the action \`${get('action')}\` has no counterpart`,
      'the rule stands as BLOCK: give it an action, or take it out',
    );
  const upstream = known === 'PROXY' ? readUpstream(get('upstream'), notes, place) : null;
  const action = known === undefined || (known === 'PROXY' && upstream === null) ? 'BLOCK' : known;
  const takesEgress = action === 'TUNNEL' || action === 'PROXY';
  return {
    id,
    action,
    upstream,
    egress: takesEgress ? slug(get('egress'), '') || null : null,
    apps: named.length === 0 ? null : named,
    destinations,
    description: get('description') || null,
    ticket: get('ticket') || null,
  };
}

function readUpstream(text: string, notes: Notes, place: string): string | null {
  const at = readHostPort(text);
  if (at !== null) return upstreamNamed(notes, place, { ...at, wanted: at.host, username: null });
  lose(
    notes,
    place,
    `PROXY needs the proxy as \`host:port\`, not \`${text}\``,
    'the rule stands as BLOCK: name the proxy, or take it out',
  );
  return null;
}

function pieces(text: string): readonly string[] {
  return text
    .split(/[|;,\n]/)
    .map((one) => one.trim())
    .filter((one) => one !== '');
}
