// Runs the decision table of the rule language: rules and questions → outcomes. A new case needs no TypeScript.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseAddress } from '../../dtr-rules/address.ts';
import { type CompiledRules, compileRules } from '../../dtr-rules/compile.ts';
import { parseTargetText } from '../../dtr-rules/parse.ts';
import { given, inWords, ruleFile } from './rule-file.ts';

interface Question {
  readonly posture?: 'healthy' | 'unhealthy';
  readonly platform?: string;
  readonly groups?: readonly string[];
  readonly tags?: readonly string[];
  /** What the application is called, and the moment of the question. */
  readonly app?: string;
  readonly at?: string;
  readonly target: string;
  /** What the name resolves to, once somebody has resolved it. */
  readonly addresses?: readonly string[];
  /** `set: rule`, `set: default ACTION`, `set: unresolved`, `no set` or `no target`. */
  readonly gives: string;
}

interface Case {
  readonly name: string;
  readonly applications?: object;
  readonly ruleSets: readonly object[];
  readonly questions: readonly Question[];
}

const url = new URL('../cases/dtr-rules.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(url, 'utf8')) as { readonly cases: readonly Case[] };

function answer(rules: CompiledRules, question: Question): string {
  const target = parseTargetText(question.target);
  if (target === null) return 'no target';
  const { posture = 'healthy', platform = null, groups = [], tags = [], app = null } = question;
  const assigned = rules.assign({ posture, platform, groups, tags });
  if (assigned === null) return 'no set';
  const now = question.at === undefined ? given.now : Date.parse(question.at);
  const addresses = question.addresses?.flatMap((text) => parseAddress(text) ?? []) ?? null;
  return `${assigned.set.name}: ${inWords(assigned.match(target, addresses, { app, now }))}`;
}

for (const { name, questions, ...file } of cases) {
  test(name, () => {
    const rules = compileRules(ruleFile(file));
    for (const question of questions) {
      assert.equal(answer(rules, question), question.gives, JSON.stringify(question));
    }
  });
}
