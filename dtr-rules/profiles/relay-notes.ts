// Owns what a relay by names alone cannot say of the rules, and for which targets it may therefore differ from them.

import { inRange } from '../address.ts';
import { compileGlob } from '../glob.ts';
import type { Target } from '../rule.ts';
import { type Making, remark } from './draft.ts';
import type { Line, Plan } from './plan.ts';
import type { AppleFacts, Note } from './profile.ts';
import { type CompiledLists, isBelow, isSplitByPort, portsOf } from './relay-lists.ts';

export function relayNotes(
  { plan, facts, set }: Making,
  { identifier, uuidOf }: AppleFacts,
  lists: CompiledLists,
): readonly Note[] {
  return [
    ...addressNotes(plan),
    ...patternNotes(plan),
    ...portNotes(plan),
    ...orderNotes(plan, lists),
    ...wideningNotes(plan, lists),
    ...(facts.failMode === 'open' ? blockNotes(plan) : []),
    ...(lists.matchNames.length + lists.excludedNames.length === 0
      ? []
      : [
          remark(
            'single names, to systems before iOS 18.4, macOS 15.4, tvOS 18.4 and visionOS 2.4',
            'they do not know of them: those names go where the domains around them go',
          ),
        ]),
    remark(
      'that HTTP/3 and other UDP goes through the gateway',
      'the gateway carries TCP alone; applications fall back to it',
    ),
    ...(set.mode === 'per-app'
      ? [
          remark(
            'which applications use the relay',
            `the MDM says so: \`RelayUUID\` ${uuidOf(`${identifier}.relay.applications`)} in the attributes of each`,
          ),
        ]
      : []),
  ];
}

function addressNotes(plan: Plan): readonly Note[] {
  return notesByRule(plan, {
    what: 'addresses',
    consequence:
      'a relay knows names alone: requests for an address go where what nobody names goes',
    coversOf: ({ destination }) => {
      if (destination.kind !== 'addresses') return null;
      const { range } = destination;
      return ({ address }) => address !== null && inRange(address, range);
    },
  });
}

function patternNotes(plan: Plan): readonly Note[] {
  return notesByRule(plan, {
    what: 'a `*` inside of a name',
    consequence: 'the names that fit go where the domains around them go',
    coversOf: ({ destination }) => {
      if (destination.kind !== 'pattern') return null;
      const fits = compileGlob(destination.pattern);
      return ({ host, address }) => address === null && fits(host);
    },
  });
}

/** Said only where the ports make a difference. */
function portNotes(plan: Plan): readonly Note[] {
  const ports = portsOf(plan);
  const covers = (target: Target) => isSplitByPort(plan, ports, target);
  return notesByRule(plan, {
    what: 'ports',
    consequence:
      'what any port of a name belongs to the gateway for goes there on all; the gateway refuses the others',
    coversOf: ({ destination }) => (destination.ports === null ? null : covers),
  });
}

function orderNotes(plan: Plan, { kept }: CompiledLists): readonly Note[] {
  if (kept.size === 0) return [];
  const covers = (target: Target) =>
    target.address === null &&
    plan.wayOf(target) === 'direct' &&
    [...kept].some((domain) => target.host === domain || isBelow(target.host, domain));
  const names = [...kept];
  const listed = names.slice(0, 5).join(', ');
  const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
  return [
    {
      rule: null,
      what: `an exception inside of what goes direct (${listed}${more})`,
      consequence:
        'exclusions win over all else, so nothing is excluded there: it goes to the gateway, which refuses it and says so',
      covers,
    },
  ];
}

function wideningNotes(plan: Plan, { widened }: CompiledLists): readonly Note[] {
  if (widened.size === 0) return [];
  const covers = ({ host, address }: Target) => address === null && widened.has(host);
  return notesByRule(
    plan,
    {
      what: 'subdomains without the domain itself',
      consequence: 'the domain itself goes to the gateway, too, which refuses it and says so',
      coversOf: ({ destination: one }) =>
        one.kind === 'subdomains' && !one.apex && widened.has(one.suffix) ? covers : null,
    },
    covers,
  );
}

function blockNotes(plan: Plan): readonly Note[] {
  return [
    {
      rule: null,
      what: 'that what is blocked stays blocked without the gateway',
      consequence: 'when the relay is off or cannot be reached, it goes direct like the rest',
      covers: (target) => plan.wayOf(target) === 'gateway',
    },
  ];
}

interface Telling {
  readonly what: string;
  readonly consequence: string;
  /** Null where the line is not to blame. */
  readonly coversOf: (line: Line) => Note['covers'] | null;
}

/** One for each rule; where no line is to blame, one for the set. */
function notesByRule(
  { lines }: Plan,
  { what, consequence, coversOf }: Telling,
  otherwise: Note['covers'] | null = null,
): readonly Note[] {
  const meant = lines.flatMap((line) => {
    const covers = coversOf(line);
    return covers === null ? [] : [{ rule: line.rule, covers }];
  });
  if (meant.length === 0 && otherwise !== null) {
    return [{ rule: null, what, consequence, covers: otherwise }];
  }
  return Array.from(
    Map.groupBy(meant, ({ rule }) => rule),
    ([rule, all]) => ({
      rule: rule.id,
      what,
      consequence,
      covers: (target: Target) => all.some(({ covers }) => covers(target)),
    }),
  );
}
