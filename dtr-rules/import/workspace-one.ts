// Owns reading Workspace ONE device traffic rules: the published form with a payload for each platform, and the flat list.

import type { Action } from '../rule.ts';
import { carryAction } from './action.ts';
import {
  appNamed,
  createNotes,
  destinationsFrom,
  type ImportedApp,
  type ImportedRule,
  type ImportedSet,
  type ImportRead,
  lose,
  type Notes,
  slug,
  unique,
} from './imported.ts';
import { type Json, listOf, loseUnknown, recordOf, textOf, textsOf } from './json.ts';

const platformNames = new Map(
  Object.entries({
    APPLE: 'ios',
    ANDROID: 'android',
    APPLE_OS_X: 'macos',
    WIN_RT: 'windows',
    LINUX: 'linux',
    CHROME_OS: 'chromeos',
  }),
);

export function importWorkspaceOne(value: unknown): ImportRead {
  const top = recordOf(value);
  const ruleSet = recordOf(top?.['device_traffic_rule_set']);
  const items = Array.isArray(value) ? value : top?.['items'];
  if (top !== null && ruleSet !== null) return { ok: true, value: readPublished(top, ruleSet) };
  if (Array.isArray(items)) return { ok: true, value: readFlat(items) };
  if (top !== null && Array.isArray(top['traffic_rules']))
    return { ok: true, value: readFlat([top]) };
  return {
    ok: false,
    message:
      'this is neither `device_traffic_rule_set` with a payload for each platform, nor `items` with `traffic_rules`',
  };
}

/** The published form says of every set which platforms it is for. */
interface PlatformSet extends ImportedSet {
  readonly platforms: readonly string[];
}

function readPublished(top: Json, ruleSet: Json) {
  const notes = createNotes();
  const meta = recordOf(top['meta']) ?? {};
  loseUnknown(top, ['meta', 'device_traffic_rule_set'], { notes, place: '' });
  const place = 'device_traffic_rule_set';
  const known = [
    'uuid',
    'name',
    'tunnel_mode',
    'default_action',
    'default_action_proxy',
    'payload',
  ];
  loseUnknown(ruleSet, known, { notes, place });
  const name = textOf(meta['name']) ?? textOf(ruleSet['name']) ?? 'imported';
  const mode = textOf(ruleSet['tunnel_mode']) === 'FULL_TUNNEL' ? 'full-device' : 'per-app';
  const rest = defaultOf(ruleSet, notes, place);
  const sets = listOf(ruleSet['payload']).flatMap((item, i): readonly PlatformSet[] => {
    const payload = recordOf(item) ?? {};
    const at = `payload[${i}]`;
    loseUnknown(payload, ['platform', 'rules'], { notes, place: at });
    const vendorPlatform = textOf(payload['platform']) ?? '';
    const platform = platformNames.get(vendorPlatform);
    if (platform === undefined) {
      lose(
        notes,
        `${at}.platform`,
        `the platform \`${vendorPlatform}\` is not known, its rules are left out`,
        'devices of that platform get no rule set, and are refused everything',
      );
      return [];
    }
    const rules = [
      ...readRules(listOf(payload['rules']), { notes, place: `${at}.rules`, platform }),
      ...rest.rules,
    ];
    return [{ name, mode, platforms: [platform], groups: null, defaultAction: rest.action, rules }];
  });
  return { ...notes, sets: named(merged(sets), name) };
}

interface Where {
  readonly notes: Notes;
  readonly place: string;
  /** Null: the application says it. */
  readonly platform: string | null;
}

function readFlat(items: readonly unknown[]) {
  const notes = createNotes();
  const sets = items.map((item, i): ImportedSet => {
    const set = recordOf(item) ?? {};
    const place = `items[${i}]`;
    const known = [
      'uuid',
      'name',
      'traffic_rules',
      'tunnel_mode',
      'default_action',
      'default_action_proxy',
      'og_uuid',
      'version',
    ];
    loseUnknown(set, known, { notes, place });
    const name = textOf(set['name']) ?? `imported-${i + 1}`;
    const rest = defaultOf(set, notes, place);
    const rules = readRules(listOf(set['traffic_rules']), {
      notes,
      place: `${place}.traffic_rules`,
      platform: null,
    });
    const isOne = items.length === 1;
    if (!isOne)
      lose(
        notes,
        place,
        `which devices get the set \`${name}\` stands in the profile, not here`,
        `it is given to the group \`${name}\`: change \`assign\``,
      );
    const mode = textOf(set['tunnel_mode']) === 'FULL_TUNNEL' ? 'full-device' : 'per-app';
    return {
      name,
      mode,
      platforms: null,
      groups: isOne ? null : [name],
      defaultAction: rest.action,
      rules: [...rules, ...rest.rules],
    };
  });
  return { ...notes, sets };
}

/** A default that names a proxy becomes a last rule for everything. */
function defaultOf(
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

function readRules(items: readonly unknown[], where: Where): readonly ImportedRule[] {
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

/** Null for all applications. */
function readApps(
  items: readonly unknown[],
  { notes, place, platform }: Where,
): readonly string[] | null {
  if (items.length === 0) return null;
  const names: string[] = [];
  for (const [i, item] of items.entries()) {
    const app = recordOf(item) ?? {};
    const at = `${place}[${i}]`;
    const known = [
      'uuid',
      'application_id',
      'bundle_id',
      'friendly_name',
      'type',
      'device_type',
      'name',
      'signing_info',
    ];
    loseUnknown(app, known, { notes, place: at });
    const name = textOf(app['friendly_name']) ?? textOf(app['name']);
    const signing = recordOf(app['signing_info']);
    const signer = signing === null ? null : textOf(signing['subject_name']);
    const own = textOf(app['bundle_id']);
    if (/^all applications$/i.test(name ?? '') || own === '*') return null;
    // A publisher next to an identifier would take in whatever else he has signed: the rule would become wider.
    if (signing !== null && (own !== null || signer === null)) {
      lose(
        notes,
        `${at}.signing_info`,
        'signing information is not carried over',
        'an application is known by any one of its identifiers: add `publisher` to it only if all that is signed so is meant',
      );
    }
    const identifier = own ?? signer;
    if (identifier === null) {
      lose(
        notes,
        at,
        `the application \`${name ?? ''}\` has no identifier, and is left out`,
        'add it under `applications` with its `bundleId`, and name it in the rule',
      );
      continue;
    }
    if (own === null) {
      names.push(appNamed(notes, { kind: 'publisher', identifier, name: name ?? identifier }));
      continue;
    }
    const kind = kindOf(
      platform ?? platformNames.get(textOf(app['device_type']) ?? '') ?? null,
      identifier,
    );
    names.push(appNamed(notes, { kind, identifier, name: name ?? identifier }));
  }
  return [...new Set(names)];
}

function kindOf(platform: string | null, identifier: string): ImportedApp['kind'] {
  if (/[\\/]/.test(identifier)) return 'path';
  if (/^CN=/i.test(identifier)) return 'publisher';
  return platform === 'android' || platform === 'chromeos' ? 'packageName' : 'bundleId';
}

/** Platforms with the same rules share a set. */
function merged(sets: readonly PlatformSet[]): readonly PlatformSet[] {
  const groups = Map.groupBy(sets, ({ rules }) => JSON.stringify(rules));
  return [...groups.values()].flatMap((group) => {
    const platforms = group.flatMap((set) => set.platforms);
    return group.slice(0, 1).map((first) => ({ ...first, platforms }));
  });
}

function named(sets: readonly PlatformSet[], name: string): readonly ImportedSet[] {
  if (sets.length === 1) return sets;
  return sets.map((set) => ({ ...set, name: `${name} ${set.platforms.join(' ')}` }));
}
