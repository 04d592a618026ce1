// `zonegate rules diff`: which connections two rule files decide differently, by what they do and not by their text.

import type { Command } from 'commander';
import type { Witness } from '../../dtr-rules/diff/change.ts';
import { type Difference, diffRules } from '../../dtr-rules/diff/diff.ts';
import { platforms } from '../../dtr-rules/parse-rules.ts';
import { formatTarget } from '../../gateway/decision/target.ts';
import { type ExitCode, paint, plural, print, say, UsageError } from '../output.ts';
import { afterText, type Line, linesOf, outcomeText } from './diff-text.ts';
import { type ReadRules, readRules, sayUnreadable } from './rule-file.ts';

export function addRulesDiff(rules: Command): void {
  rules
    .command('diff')
    .argument('<before>', 'the rule file before, `-` for standard input')
    .argument('<after>', 'the one after; only one of them is `-`')
    .description('say which destinations are decided differently')
    .option('--json', 'print one JSON document')
    .addHelpText('before', 'Example: zonegate rules diff dtr.yaml dtr-new.yaml\n')
    .addHelpText(
      'after',
      '\nExit code: 0 nothing changes, 1 something does or could not be told, 2 a file cannot be read.',
    )
    .action(async (before: string, after: string, options: { readonly json?: boolean }) => {
      process.exitCode = await diff(before, after, options.json === true);
    });
}

async function diff(before: string, after: string, asJson: boolean): Promise<ExitCode> {
  if (before === '-' && after === '-')
    throw new UsageError('only one of the two can be standard input: name a file for the other');
  const [one, other] = [await readRules(before), await readRules(after)];
  if (!one.ok) return sayUnreadable(one, asJson);
  if (!other.ok) return sayUnreadable(other, asJson);
  const count = Math.max(...[one, other].map(({ read }) => rulesIn(read)));
  if (count > manyRules) say(`comparing ${plural(count, 'rule')}: this takes some seconds`);
  const found = diffRules(one.read.rules, other.read.rules, Date.now());
  if (asJson)
    print(
      JSON.stringify({ same: found.length === 0, before, after, differences: found.map(toJson) }),
    );
  else {
    for (const difference of found) for (const line of toText(difference)) print(line);
    const sum = found.reduce((all, { changes }) => all + Math.max(1, linesOf(changes).length), 0);
    print(sum === 0 ? 'nothing is decided differently' : totalText(sum, found));
  }
  return found.length === 0 ? 0 : 1;
}

/** From here on somebody waits long enough to wonder. */
const manyRules = 2_000;

function rulesIn({ rules }: ReadRules): number {
  return rules.sets.reduce((sum, set) => sum + set.rules.length, 0);
}

function totalText(count: number, found: readonly Difference[]): string {
  const isUnsure = found.some(({ changes }) => changes.some(({ witness }) => witness === null));
  return `${plural(count, 'difference')}${isUnsure ? '; what is called perhaps could not be told' : ''}`;
}

function toText({ who, changes }: Difference): readonly string[] {
  const sets =
    who.before === who.after
      ? `rule set ${who.before}`
      : `rule set ${who.before ?? 'none'} → ${who.after ?? 'none'}`;
  const head = paint('bold', `${whoText(who)} (${sets})`);
  if (who.after === null)
    return [head, '  everything → refused, because no rule set is assigned any more'];
  if (who.before === null)
    return [head, '  everything was refused, because no rule set was assigned'];
  return [head, ...linesOf(changes).map(lineText)];
}

function lineText({ places, change }: Line): string {
  const { before, after, manyOn } = change;
  const others = (side: typeof manyOn) => (manyOn === side ? ' and others' : '');
  const shown = places.length > 6 ? [...places.slice(0, 5), `${places.length - 5} more`] : places;
  const what = `${outcomeText(before)}${others('before')} → ${afterText(before, after)}${others('after')}`;
  if (change.witness === null)
    return `  ${shown.join(', ')}: perhaps ${what}; the wildcards cross in too many ways to tell whether there is such a name`;
  return `  ${shown.join(', ')}: ${what}, for example ${witnessText(change.witness)}`;
}

function witnessText({ target, addresses }: Witness): string {
  const leads =
    addresses === null || addresses.length === 0
      ? ''
      : ` at ${addresses.map(({ text }) => text).join(' and ')}`;
  return `${formatTarget(target)}${leads}`;
}

function whoText({ postures, platforms: some, groups, tags }: Difference['who']): string {
  const isAny = some.length === platforms.length + 1;
  const on = isAny ? '' : ` on ${some.map((one) => one ?? 'an unknown platform').join(', ')}`;
  const group = groups.length === 0 ? '' : ` in ${groups.join(' and ')}`;
  const tag = tags.length === 0 ? '' : ` tagged ${tags.join(' and ')}`;
  const posture = postures.length === 2 ? 'all' : postures.join();
  return `${posture} devices${on}${group}${tag}`;
}

function toJson({ who, changes }: Difference) {
  return {
    devices: {
      posture: who.postures,
      platforms: who.platforms,
      groups: who.groups,
      tags: who.tags,
    },
    rule_set: { before: who.before, after: who.after },
    changes: linesOf(changes).map(({ places, change }) => ({
      kind: change.kind,
      places,
      before: change.before,
      after: change.after,
      one_of_many: change.manyOn,
      certain: change.witness !== null,
      example: change.witness === null ? null : exampleOf(change.witness),
    })),
  };
}

function exampleOf({ target, addresses, app }: Witness) {
  return {
    target: formatTarget(target),
    addresses: addresses?.map(({ text }) => text) ?? null,
    app,
  };
}
