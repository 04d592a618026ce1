// Owns reading rule sets and rules out of unknown input.

import { readAddressRange } from './address.ts';
import { readDestination, splitDestinations } from './destination.ts';
import {
  type Fields,
  type Input,
  note,
  readChoice,
  readEach,
  readField,
  readFields,
  readFilledList,
  readFlag,
  readId,
  readLabel,
  readList,
  readText,
  readWith,
} from './input.ts';
import { readMoment } from './moment.ts';
import { readApps } from './parse-applications.ts';
import { quoted, type Reading, readAs, unreadable } from './reading.ts';
import type {
  Action,
  Application,
  Assignment,
  Destination,
  Mode,
  Posture,
  Rule,
  RuleSet,
} from './rule.ts';

export const actions = ['TUNNEL', 'BYPASS', 'BLOCK', 'PROXY'] as const satisfies readonly Action[];
export const postures = ['healthy', 'unhealthy'] as const satisfies readonly Posture[];
const modes = ['full-device', 'per-app'] as const satisfies readonly Mode[];
export const platforms = ['ios', 'macos', 'android', 'windows', 'chromeos', 'linux'] as const;

type Applications = ReadonlyMap<string, Application>;

const maxRules = 10_000;
/** Each application has tables of its own. */
const maxAppPlaces = 1_000_000;
const ruleKeys = [
  'id',
  'action',
  'apps',
  'destinations',
  'upstream',
  'egress',
  'open',
  'idle',
  'lifetime',
  'validFrom',
  'validUntil',
  'reportOnly',
  'description',
  'ticket',
] as const;

// Invariant: `egress` never stands on BYPASS, or bypassed traffic would leave from a zone address.
const actionsTaking = {
  upstream: ['PROXY'],
  egress: ['TUNNEL', 'PROXY'],
  open: ['TUNNEL', 'BYPASS', 'PROXY'],
  idle: ['TUNNEL', 'BYPASS', 'PROXY'],
  lifetime: ['TUNNEL', 'BYPASS', 'PROXY'],
} as const satisfies { readonly [key in (typeof ruleKeys)[number]]?: readonly Action[] };

export function readRuleSets(input: Input, applications: Applications): readonly RuleSet[] {
  const items = readFilledList(input);
  const count = (items ?? []).reduce((sum, { value }) => sum + countRules(value), 0);
  if (count > maxRules) {
    note(input, `${count} rules are too many, expected at most ${maxRules}`);
    return [];
  }
  const sets = readEach(items, (item) => readRuleSet(item, applications));
  const places = sets.flatMap(({ rules }) =>
    rules.map(({ apps, destinations }) => (apps?.length ?? 0) * destinations.length),
  );
  if (places.reduce((sum, count) => sum + count, 0) > maxAppPlaces) {
    note(
      input,
      `the rules name more than ${maxAppPlaces} pairs of an application and a destination`,
    );
  }
  noteRepeated(
    sets.map(({ name, path }) => ({ id: name, input: { ...input, path: [...path, 'name'] } })),
  );
  return sets;
}

function countRules(set: unknown): number {
  const isMapping = typeof set === 'object' && set !== null;
  return isMapping && 'rules' in set && Array.isArray(set.rules) ? set.rules.length : 0;
}

function readRuleSet(input: Input, applications: Applications): RuleSet | null {
  const fields = readFields(
    input,
    ['name', 'mode', 'assign', 'defaultAction', 'rules'],
    ['name', 'defaultAction'],
  );
  if (fields === null) return null;
  const name = readField(fields.name, readLabel);
  const mode = readField(fields.mode, (field) => readChoice(field, modes)) ?? 'full-device';
  const defaultAction = readField(fields.defaultAction, readDefaultAction);
  const assign = readAssignment(fields.assign ?? { ...input, value: {} });
  const rules = readEach(readField(fields.rules, readList), (item) => readRule(item, applications));
  noteRepeated(rules.map(({ id, path }) => ({ id, input: { ...input, path: [...path, 'id'] } })));
  if (name === null || defaultAction === null) return null;
  return { name, mode, assign, defaultAction, rules, path: input.path };
}

function readDefaultAction(input: Input): Action | null {
  const action = readChoice(input, actions);
  return action === 'PROXY'
    ? note(
        input,
        'the default action cannot be `PROXY`',
        'end with a rule for `*` that names an `upstream`',
      )
    : action;
}

function readAssignment(input: Input): Assignment {
  const fields = readFields(input, ['posture', 'platforms', 'groups', 'tags'], []) ?? {};
  const posture =
    readField(fields.posture, (one) => readChoice(one, [...postures, 'any'])) ?? 'healthy';
  return {
    posture: postures.filter((one) => posture === 'any' || posture === one),
    platforms: readField(fields.platforms, (list) =>
      readEach(readFilledList(list), (item) => readChoice(item, platforms)),
    ),
    groups: readField(fields.groups, (list) => readEach(readFilledList(list), readLabel)),
    tags: readField(fields.tags, (list) => readEach(readFilledList(list), readLabel)),
  };
}

function readRule(input: Input, applications: Applications): Rule | null {
  const fields = readFields(input, ruleKeys, ['id', 'action', 'destinations']);
  if (fields === null) return null;
  const id = readField(fields.id, readRuleId);
  const action = readField(fields.action, (field) => readChoice(field, actions));
  const destinations = readField(fields.destinations, readDestinations);
  const rule = {
    apps: readField(fields.apps, (field) => readApps(field, applications)),
    upstream: readField(fields.upstream, readId),
    egress: readField(fields.egress, readId),
    open: readEach(readField(fields.open, readFilledList), (item) =>
      readWith(item, readAddressRange),
    ),
    idleMs: readField(fields.idle, (idle) => readWith(idle, readDuration)),
    lifetimeMs: readField(fields.lifetime, (lifetime) => readWith(lifetime, readDuration)),
    validFromMs: readField(fields.validFrom, (field) => readWith(field, readMoment)),
    validUntilMs: readField(fields.validUntil, (field) => readWith(field, readMoment)),
    reportOnly: readField(fields.reportOnly, readFlag) ?? false,
    description: readField(fields.description, readText),
    ticket: readField(fields.ticket, readLabel),
    path: input.path,
  };
  if (action !== null) noteMisplaced(input, fields, action);
  if ((rule.validUntilMs ?? Infinity) <= (rule.validFromMs ?? -Infinity)) {
    note(input, 'the rule is never in force: `validUntil` is not after `validFrom`');
  }
  if (id === null || action === null || destinations === null) return null;
  return { id, action, destinations, ...rule };
}

/** Log, metrics and tests call the default action `default`, so no rule may. */
function readRuleId(input: Input): string | null {
  const id = readId(input);
  return id === 'default'
    ? note(input, '`default` is the default action, not an id for a rule')
    : id;
}

function noteMisplaced(
  input: Input,
  fields: Fields<(typeof ruleKeys)[number]>,
  action: Action,
): void {
  if (action === 'PROXY' && fields.upstream === undefined) note(input, '`upstream` is missing');
  for (const key of ['upstream', 'egress', 'open', 'idle', 'lifetime'] as const) {
    const field = fields[key];
    const takers: readonly Action[] = actionsTaking[key];
    if (field !== undefined && !takers.includes(action)) {
      const allowed = takers.map((taker) => `\`${taker}\``).join(', ');
      note(field, `\`${key}\` has no meaning with \`${action}\`, only with ${allowed}`);
    }
  }
}

/** A list, or one pasted string. */
function readDestinations(input: Input): readonly Destination[] | null {
  const items = typeof input.value === 'string' ? [input] : readFilledList(input);
  return items === null ? null : readEach(items, readPieces).flat();
}

function readPieces(input: Input): readonly Destination[] | null {
  const text = readText(input);
  if (text === null) return null;
  const pieces = splitDestinations(text).map((value) => ({ ...input, value }));
  if (pieces.length === 0) return note(input, `${quoted(text)} names no destination`);
  return readEach(pieces, (piece) => readWith(piece, readDestination));
}

const unitMs = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** At most seven days: a timer of Node's ends at once when set to more than 24.8 days. */
function readDuration(text: string): Reading<number> {
  const [, number, unit] = /^([1-9]\d{0,8})(ms|[smhd])$/.exec(text) ?? [];
  const ms = Number(number) * (unitMs.get(unit ?? '') ?? Number.NaN);
  return ms >= 1_000 && ms <= 7 * 86_400_000
    ? readAs(ms)
    : unreadable(
        `${quoted(text)} is not a duration from \`1s\` to \`7d\`, such as \`30s\` or \`10m\``,
      );
}

function noteRepeated(ids: readonly { readonly id: string; readonly input: Input }[]): void {
  const seen = new Set<string>();
  for (const { id, input } of ids) {
    if (seen.has(id)) note(input, `${quoted(id)} is used twice`);
    seen.add(id);
  }
}
