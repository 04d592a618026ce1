// Owns what a rule set means for a device: which destination goes which way, in order, and which rules play no part.

import { isInForce } from '../candidate.ts';
import type { CompiledSet } from '../compile.ts';
import type { Action, Destination, Rule, RuleSet, Target } from '../rule.ts';
import type { FailMode, Note, ProfileFacts, ProfileInput, Way } from './profile.ts';

export interface Line {
  readonly rule: Rule;
  readonly destination: Destination;
  readonly way: Way;
}

export interface PlanInput extends Pick<ProfileInput, 'now' | 'app'> {
  readonly facts: Pick<ProfileFacts, 'failMode'>;
}

export interface Plan {
  readonly lines: readonly Line[];
  readonly otherwise: Way;
  /** True of every profile made from the set. */
  readonly notes: readonly Note[];
  readonly changesAt: number | null;
  /** What the rules themselves say, names that address rules would have resolved leading to none of those. */
  wayOf(target: Target): Way;
  /** The rule that decides; null is the default action. */
  ruleOf(target: Target): Rule | null;
}

export function planOf(compiled: CompiledSet, { facts, now, app }: PlanInput): Plan {
  const { set } = compiled;
  const given = { now, app };
  const decides = set.rules.filter((rule) => applies(rule, given));
  const lines = decides.flatMap((rule) =>
    rule.destinations.map((destination) => ({
      rule,
      destination,
      way: wayOfAction(rule.action, facts.failMode),
    })),
  );
  const decided = (target: Target) => {
    // Nobody asks a resolver here: a look-up on the device would tell the network what it is about to do.
    const match = compiled.match(target, [], { app: app?.name ?? null, now });
    return match.kind === 'rule' ? match.rule : null;
  };
  const otherwise = wayOfAction(set.defaultAction, facts.failMode);
  return {
    lines,
    otherwise,
    notes: [
      ...notesOnMode(set, given),
      ...set.rules.flatMap((rule) => notesOnRule(rule, given)),
      ...addressNotes(lines, otherwise),
    ],
    changesAt: changesAt(set.rules, now),
    wayOf(target) {
      const rule = decided(target);
      return rule === null ? otherwise : wayOfAction(rule.action, facts.failMode);
    },
    ruleOf: decided,
  };
}

/** BLOCK goes to the gateway, whose refusal says why; without the gateway it must not go direct either. */
function wayOfAction(action: Action, failMode: FailMode): Way {
  switch (action) {
    case 'BYPASS':
      return 'direct';
    case 'BLOCK':
      return 'gateway';
    case 'TUNNEL':
    case 'PROXY':
      return failMode === 'open' ? 'gateway-or-direct' : 'gateway';
  }
}

type Given = Pick<ProfileInput, 'now' | 'app'>;

/** The same rules as decide a connection of the application, or of an unknown one. */
function applies(rule: Rule, { now, app }: Given): boolean {
  const isForApp = rule.apps === null || (app !== null && rule.apps.includes(app));
  return !rule.reportOnly && isForApp && isInForce(rule, now);
}

function changesAt(rules: readonly Rule[], now: number): number | null {
  const ahead = rules
    .flatMap(({ validFromMs, validUntilMs }) => [validFromMs, validUntilMs])
    .flatMap((moment) => (moment !== null && moment > now ? [moment] : []));
  return ahead.length === 0 ? null : Math.min(...ahead);
}

const coversNothing = () => false;

function notesOnMode({ mode }: RuleSet, { app }: Given): readonly Note[] {
  if (mode === 'full-device' || app !== null) return [];
  const what = 'that the set is for single applications';
  const consequence =
    'whatever takes the profile is served alike; give it to these applications only';
  return [{ rule: null, what, consequence, covers: coversNothing }];
}

function notesOnRule(rule: Rule, { now, app }: Given): readonly Note[] {
  const note = (what: string, consequence: string) => ({
    rule: rule.id,
    what,
    consequence,
    covers: coversNothing,
  });
  const { apps, reportOnly, validFromMs, validUntilMs } = rule;
  const notes: Note[] = [];
  if (apps !== null && app === null) {
    notes.push(
      note(
        'a rule for some applications',
        'the profile serves all alike: what the rule names goes where the next rules send it',
      ),
    );
  }
  if (reportOnly) {
    notes.push(
      note('a report-only rule', 'the gateway reports on what reaches it, not on what goes direct'),
    );
  }
  if ([validFromMs, validUntilMs].some((moment) => moment !== null && moment > now)) {
    notes.push(
      note('that a rule begins or ends', 'the profile is of this moment: make it again then'),
    );
  }
  return notes;
}

/** An address rule holds for literal addresses; where a name leads, only the gateway finds out. */
function addressNotes(lines: readonly Line[], otherwise: Way): readonly Note[] {
  const ways = new Set([...lines.filter(isAboutNames).map(({ way }) => way), otherwise]);
  const rules = new Map<Rule, Way>();
  for (const { rule, destination, way } of lines)
    if (destination.kind === 'addresses') rules.set(rule, way);
  return [...rules]
    .filter(([, way]) => [...ways].some((other) => other !== way))
    .map(([rule, way]) => ({
      rule: rule.id,
      what: 'names that lead to its addresses',
      consequence:
        way === 'direct'
          ? 'they go where the rules for names send them; name them in a BYPASS rule to have them go direct'
          : 'those that the rules for names send direct go direct, past the gateway',
      covers: coversNothing,
    }));
}

function isAboutNames({ destination }: Line): boolean {
  return destination.kind !== 'addresses';
}
