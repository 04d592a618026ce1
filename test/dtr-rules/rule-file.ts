// Builds rule files for tests.

import assert from 'node:assert/strict';
import { type CompiledSet, compileRules, type Match } from '../../dtr-rules/compile.ts';
import { parseRuleFile, parseTargetText } from '../../dtr-rules/parse.ts';
import type { Circumstances, Issue, RuleFile, Target } from '../../dtr-rules/rule.ts';

export function ruleFile(value: unknown): RuleFile {
  const parsed = parseRuleFile(value);
  assert.ok(parsed.ok, parsed.ok ? '' : JSON.stringify(parsed.issues));
  return parsed.value;
}

export function issuesOf(value: unknown): readonly Issue[] {
  const parsed = parseRuleFile(value);
  assert.ok(!parsed.ok, 'expected issues');
  return parsed.issues;
}

/** One rule set, its rules written `ACTION destinations`, with the ids `r0`, `r1` and so on. */
export function ruleSet(...rules: readonly string[]): CompiledSet {
  const value = {
    name: 'set',
    defaultAction: 'BYPASS',
    rules: rules.map((text, index) => {
      const [action = '', destinations = ''] = text.split(' ');
      const upstream = action === 'PROXY' ? { upstream: 'proxy' } : {};
      return { id: `r${index}`, action, destinations, ...upstream };
    }),
  };
  const [set] = compileRules(ruleFile({ ruleSets: [value] })).sets;
  assert.ok(set);
  return set;
}

/** What most tests ask under: the application is unknown. */
export const given: Circumstances = { app: null, now: Date.UTC(2026, 11, 1) };

export function target(text: string): Target {
  const parsed = parseTargetText(text);
  assert.ok(parsed, text);
  return parsed;
}

/** A match on one line: `r1`, `default BYPASS` or `unresolved`, the addresses it is bound to, what reports only. */
export function inWords(match: Match): string {
  if (match.kind === 'unresolved') return 'unresolved';
  const reports = match.reported.map(({ id }) => ` ${id}`).join('');
  return `${decidedBy(match)}${reports === '' ? '' : ` (reports${reports})`}`;
}

function decidedBy(match: Exclude<Match, { kind: 'unresolved' }>): string {
  if (match.kind === 'default') return `default ${match.action}`;
  const only = match.addresses?.map(({ text }) => text).join(' ');
  return only === undefined ? match.rule.id : `${match.rule.id} ${only}`;
}
