// How `zonegate explain` tells a decision: what passed, who decided and where that stands, and what would have to change.

import { formatMoment } from '../../dtr-rules/moment.ts';
import type { Target } from '../../dtr-rules/rule.ts';
import type { Loaded } from '../../gateway/config/load.ts';
import type { Pass, Refusal } from '../../gateway/decision/decision.ts';
import { reasons, stageOf } from '../../gateway/decision/reasons.ts';
import { formatTarget } from '../../gateway/decision/target.ts';
import type { Judged } from '../../gateway/edge/judge.ts';
import { paint } from '../output.ts';

export interface Explained {
  readonly target: Target;
  readonly outcome: Judged | Refusal;
  /** The rule set of the device; null is none. */
  readonly set: string | null;
  /** What would have to change for it to pass. */
  readonly advice: readonly string[];
}

/** `dtr.yaml:12:9`, for rules that stand in the file. */
export function placeOf(id: string | null, set: string | null, { rules }: Loaded): string | null {
  const found = rules.value.sets
    .filter(({ name }) => set === null || name === set)
    .flatMap((one) => one.rules)
    .find((rule) => rule.id === id);
  if (found === undefined) return null;
  const { line, column } = rules.place(found.path);
  return `${rules.file}:${line}:${column}`;
}

export function toJson(
  { target, outcome: explained, set: assigned, advice }: Explained,
  loaded: Loaded,
) {
  const { trail, reported } = reportedBy(explained);
  const checks = checksOf(trail);
  const name = formatTarget(target);
  if (explained.action === 'refuse') {
    const { reason, by } = explained;
    const { status, sentence, fix } = reasons[reason];
    const at = placeOf(by, assigned, loaded);
    return {
      target: name,
      action: 'refuse',
      reason,
      status,
      by,
      at,
      sentence,
      fix,
      rule_set: assigned,
      advice,
      report_only: reported,
      ...checks,
      trail: trail.map(({ stage, by }) => ({ stage, by })),
    };
  }
  const { rule, set, pool, upstream } = explained.tunnel;
  const candidates = explained.candidates.map(({ address, source }) => ({
    address: address.text,
    egress_address: source.text,
  }));
  const at = placeOf(rule, set, loaded);
  return {
    target: name,
    action: 'tunnel',
    rule,
    rule_set: set,
    at,
    pool,
    upstream,
    candidates,
    report_only: reported,
    ...checks,
    trail: trail.map(({ stage, by }) => ({ stage, by })),
  };
}

export function toText(
  { target, outcome: explained, set: assigned, advice }: Explained,
  loaded: Loaded,
): string {
  const name = formatTarget(target);
  const { trail, reported } = reportedBy(explained);
  const tried = [
    ...checkLines(trail),
    ...reported.map(({ rule, action }) => `  report-only rule ${rule} would have said ${action}`),
  ];
  const passed = trail.map(({ stage, by }) => `  ${stage.padEnd(9)} passed   ${by}`);
  if (explained.action === 'refuse') {
    const { reason, by } = explained;
    const { status, sentence, fix } = reasons[reason];
    const refused = `  ${stageOf(reason).padEnd(9)} refused  ${reason}${byText(by, placeOf(by, assigned, loaded))}`;
    const head = paint('red', `${name}: refused (${status})`);
    return [
      head,
      ...passed,
      refused,
      ...tried,
      `  ${sentence} ${fix}`,
      ...adviceLines(advice),
    ].join('\n');
  }
  const { rule, set, upstream } = explained.tunnel;
  const by = byText(`${rule} of ${set}`, placeOf(rule, set, loaded));
  const head = paint('green', `${name}: let through${by}`);
  const direct = explained.candidates.map(
    ({ address, source }) => `  to ${address.text} from ${source.text}`,
  );
  const ways = upstream === null ? direct : [`  through the upstream proxy ${upstream}`];
  return [head, ...passed, ...tried, ...ways].join('\n');
}

/** The sentence above is for the person; this is for whoever runs the gateway. */
function adviceLines(advice: readonly string[]): readonly string[] {
  return advice.length === 0
    ? []
    : ['  To let it through:', ...advice.map((line) => `    - ${line}`)];
}

/** Checks of the device that do not hold and refused nothing. */
function checksOf(trail: readonly Pass[]) {
  return {
    would_refuse: trail.flatMap(({ wouldRefuse = [] }) => wouldRefuse),
    excepted: trail.flatMap(({ excepted = [] }) =>
      excepted.map(({ check, reason, exception: { why, until } }) => {
        return { check, reason, why, until: formatMoment(until) };
      }),
    ),
  };
}

function checkLines(trail: readonly Pass[]): readonly string[] {
  const { would_refuse, excepted } = checksOf(trail);
  return [
    ...would_refuse.map(
      ({ check, reason }) => `  report-only check ${check} would have refused: ${reason}`,
    ),
    ...excepted.map(
      ({ check, reason, why, until }) =>
        `  an exception until ${until} covers ${check} (${reason}): ${why}`,
    ),
  ];
}

function reportedBy(outcome: Judged | Refusal) {
  const { reported } = outcome.action === 'refuse' ? outcome : outcome.tunnel;
  return { trail: outcome.trail, reported };
}

function byText(by: string | null, at: string | null): string {
  return by === null ? '' : `, by ${by}${at === null ? '' : ` (${at})`}`;
}
