// Owns running the tests a rule file carries against its compiled rules; needs no network.

import type { CompiledRules, CompiledSet, Match } from './compile.ts';
import type { Action, Circumstances, ExactTest, Path, RuleFile, RuleTest, Target } from './rule.ts';

export interface TestFailure {
  readonly test: RuleTest;
  readonly target: Target | null;
  readonly message: string;
  readonly path: Path;
}

/** What became of one target; no set is assigned and nothing matched where they are null. */
interface Outcome {
  readonly set: string | null;
  readonly action: Action | null;
  /** The rule's id, or `default`. */
  readonly rule: string | null;
}

interface Expectation {
  readonly target: Target;
  readonly path: Path;
  /** What was expected and did not come; null when all is well. */
  missed(outcome: Outcome): string | null;
}

/** `now` is when tests take place that do not say `at`. */
export function runRuleTests(
  file: RuleFile,
  rules: CompiledRules,
  now: number,
): readonly TestFailure[] {
  return file.tests.flatMap((test) => {
    const set = rules.assign(test);
    const given = { app: test.app, now: test.atMs ?? now };
    return expectationsOf(test).flatMap((expectation) => {
      const { target, path } = expectation;
      const said = judge(expectation, set, given);
      return said === null
        ? []
        : [{ test, target, message: `\`${format(target)}\` ${said}`, path }];
    });
  });
}

function expectationsOf(test: RuleTest): readonly Expectation[] {
  const list = (key: 'accept' | 'deny', missed: Expectation['missed']) =>
    test[key].map((target, index) => ({ target, path: [...test.path, key, index], missed }));
  return [
    ...list('accept', ({ action }) => (passes(action) ? null : 'TUNNEL or PROXY')),
    ...list('deny', ({ action }) => (passes(action) ? 'neither TUNNEL nor PROXY' : null)),
    ...test.exact.map((exact, index) => ({
      target: exact.target,
      path: [...test.path, 'exact', index],
      missed: (outcome: Outcome) => missedOf(exact, outcome),
    })),
  ];
}

function judge(
  expectation: Expectation,
  set: CompiledSet | null,
  given: Circumstances,
): string | null {
  if (set === null) {
    const missed = expectation.missed({ set: null, action: null, rule: null });
    return missed === null
      ? null
      : `is refused because no rule set is assigned, expected ${missed}`;
  }
  const match = set.match(expectation.target, null, given);
  if (match.kind === 'unresolved') {
    return 'is decided by an address rule, which needs a resolver: test an address such as `192.0.2.1:443`';
  }
  const outcome = { set: set.set.name, ...decided(match) };
  const missed = expectation.missed(outcome);
  const by = match.kind === 'rule' ? `rule \`${outcome.rule}\`` : 'the default action';
  return missed === null
    ? null
    : `is ${outcome.action} by ${by} of set \`${outcome.set}\`, expected ${missed}`;
}

function decided(match: Exclude<Match, { kind: 'unresolved' }>) {
  return match.kind === 'rule'
    ? { action: match.rule.action, rule: match.rule.id }
    : { action: match.action, rule: 'default' };
}

function passes(action: Action | null): boolean {
  return action === 'TUNNEL' || action === 'PROXY';
}

function missedOf({ action, rule, set }: ExactTest, outcome: Outcome): string | null {
  const missed = [
    ...(action === null || action === outcome.action ? [] : [action]),
    ...(rule === null || rule === outcome.rule ? [] : [`rule \`${rule}\``]),
    ...(set === null || set === outcome.set ? [] : [`set \`${set}\``]),
  ];
  return missed.length === 0 ? null : missed.join(', ');
}

function format({ host, address, port }: Target): string {
  return address?.family === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
