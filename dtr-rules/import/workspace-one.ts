// Owns reading Workspace ONE device traffic rules: the published form with a payload for each platform, and the flat list.

import { createNotes, type ImportedSet, type ImportRead, lose } from './imported.ts';
import { type Json, listOf, loseUnknown, recordOf, textOf } from './json.ts';
import { platformNames } from './workspace-one-apps.ts';
import { defaultOf, readRules } from './workspace-one-rules.ts';

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
