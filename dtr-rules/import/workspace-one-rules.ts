// Owns the rules of Workspace ONE rule sets, in the order of their rank, and the default action of a set.

import type { Action } from '../rule.ts';
import { carryAction } from './action.ts';
import { destinationsFrom, type ImportedRule, lose, type Notes, slug, unique } from './imported.ts';
import { type Json, listOf, loseUnknown, recordOf, textOf, textsOf } from './json.ts';
import { readApps, type Where } from './workspace-one-apps.ts';

/** A default that names a proxy becomes a last rule for everything. */
export function defaultOf(
  set: Json,
  notes: Notes,
  place: string,
): { readonly action: Action; readonly rules: readonly ImportedRule[] } {
  const type = textOf(set['default_action']);
  const at = `${place}.default_action`;
  if (type === null) {
    lose(
      notes,
      at,
      'there is no default action',
      'it stands as BLOCK: say `BYPASS` if the rest is to go direct',
    );
    return { action: 'BLOCK', rules: [] };
  }
  const proxy = set['default_action_proxy'];
  const host = textOf(proxy) ?? textOf(recordOf(proxy)?.['host']);
  const authentication = textOf(recordOf(proxy)?.['authentication']);
  const carried = carryAction({ type, host, authentication, place: at }, notes);
  if (carried.action !== 'PROXY') return { action: carried.action, rules: [] };
  const rule = {
    id: 'everything-else',
    ...carried,
    egress: null,
    apps: null,
    destinations: ['*'],
    description: 'the default action',
    ticket: null,
  };
  return { action: 'BLOCK', rules: [rule] };
}

export function readRules(items: readonly unknown[], where: Where): readonly ImportedRule[] {
  const { notes, place } = where;
  const records = items.map((item, i) => {
    const rule = recordOf(item) ?? {};
    const rank = Number(textOf(rule['serial_number']) ?? Number.NaN);
    return { rule, rank, at: `${place}[${i}]` };
  });
  const isRanked = records.every(({ rank }) => !Number.isNaN(rank));
  if (!isRanked && records.some(({ rank }) => !Number.isNaN(rank))) {
    lose(notes, place, 'some rules have no rank', 'they stand in the order of the file: check it');
  }
  const ordered = isRanked ? records.toSorted((a, b) => a.rank - b.rank) : records;
  const rules: ImportedRule[] = [];
  for (const { rule, at } of ordered) {
    const read = readRule(rule, { ...where, place: at }, rules);
    if (read !== null) rules.push(read);
  }
  return rules;
}

const ruleKeys = [
  'serial_number',
  'uuid',
  'name',
  'applications',
  'action',
  'destinations',
  'domains',
  'host',
  'authentication',
];

function readRule(
  rule: Json,
  { notes, place, platform }: Where,
  before: readonly ImportedRule[],
): ImportedRule | null {
  loseUnknown(rule, ruleKeys, { notes, place });
  const action = recordOf(rule['action']);
  if (action !== null)
    loseUnknown(action, ['type', 'host', 'authentication'], { notes, place: `${place}.action` });
  const carried = carryAction(
    {
      type: textOf(action === null ? rule['action'] : action['type']) ?? 'NONE',
      host: textOf(action?.['host'] ?? rule['host']),
      authentication: textOf(action?.['authentication'] ?? rule['authentication']),
      place: `${place}.action`,
    },
    notes,
  );
  const written = rule['destinations'] ?? rule['domains'];
  const list = typeof written === 'string' ? [written] : listOf(written);
  const at = `${place}.destinations`;
  const destinations = destinationsFrom(textsOf(list, { notes, place: at }), notes, at);
  if (destinations.length === 0) {
    lose(notes, place, 'the rule is left out: no destination of it could be read', 'write it anew');
    return null;
  }
  const apps = readApps(listOf(rule['applications']), {
    notes,
    place: `${place}.applications`,
    platform,
  });
  if (apps !== null && apps.length === 0) {
    lose(notes, place, 'the rule is left out: no application of it could be read', 'write it anew');
    return null;
  }
  const wanted = slug(
    textOf(rule['name']) ?? `rule-${textOf(rule['serial_number']) ?? before.length + 1}`,
    'rule',
  );
  const id = unique(
    wanted,
    before.map((one) => one.id),
  );
  const { upstream, note } = carried;
  return {
    id,
    action: carried.action,
    upstream,
    egress: null,
    apps,
    destinations,
    description: note,
    ticket: null,
  };
}
