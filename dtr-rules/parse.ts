// Owns reading a rule file, its tests and targets: unknown input in, a value or every issue out.

import { parseAddress } from './address.ts';
import { parsePort } from './destination.ts';
import { canonicalHostname } from './hostname.ts';
import {
  type Input,
  note,
  readChoice,
  readEach,
  readField,
  readFields,
  readFilledList,
  readId,
  readLabel,
  readText,
  readWith,
} from './input.ts';
import { readMoment } from './moment.ts';
import { readApplications } from './parse-applications.ts';
import { actions, platforms, postures, readRuleSets } from './parse-rules.ts';
import { quoted, type Reading, readAs, unreadable } from './reading.ts';
import type { ExactTest, Issue, Parsed, RuleFile, RuleTest, Target } from './rule.ts';

const testKeys = [
  'name',
  'posture',
  'platform',
  'groups',
  'tags',
  'app',
  'at',
  'accept',
  'deny',
  'exact',
] as const;

export function parseRuleFile(value: unknown): Parsed<RuleFile> {
  const issues: Issue[] = [];
  const input: Input = { value, path: [], issues };
  const fields = readFields(input, ['applications', 'ruleSets', 'tests'], ['ruleSets']);
  const applications = readField(fields?.applications, readApplications) ?? [];
  const byName = new Map(applications.map((one) => [one.name, one]));
  const sets = readField(fields?.ruleSets, (field) => readRuleSets(field, byName)) ?? [];
  const tests = readEach(readField(fields?.tests, readFilledList), readTest);
  if (issues.length > 0) return { ok: false, issues };
  return { ok: true, value: { applications, sets, tests } };
}

/** `host:port`, `192.0.2.1:443` or `[2001:db8::1]:443`, the port written out. */
export function parseTargetText(text: string): Target | null {
  const [, bracketed, plain, portText] = /^(?:\[([^\]]*)\]|([^:]*)):([^:]*)$/.exec(text) ?? [];
  const port = parsePort(portText ?? '');
  const host = bracketed ?? plain;
  if (port === null || host === undefined) return null;
  const address = parseAddress(host);
  if (address !== null) {
    // Brackets are for IPv6 and only for it (RFC 3986 section 3.2.2).
    const isWellWritten = (bracketed === undefined) === (address.family === 4);
    return isWellWritten ? { host: address.text, address, port } : null;
  }
  const name = bracketed === undefined ? canonicalHostname(host) : null;
  return name === null ? null : { host: name, address: null, port };
}

function readTest(input: Input): RuleTest | null {
  const fields = readFields(input, testKeys, ['name']);
  if (fields === null) return null;
  const { accept, deny, exact } = fields;
  if ((accept ?? deny ?? exact) === undefined) {
    note(input, 'the test expects nothing', 'add `accept`, `deny` or `exact`');
  }
  const name = readField(fields.name, readLabel);
  const test = {
    posture: readField(fields.posture, (field) => readChoice(field, postures)) ?? 'healthy',
    platform: readField(fields.platform, (field) => readChoice(field, platforms)),
    groups: readEach(readField(fields.groups, readFilledList), readLabel),
    tags: readEach(readField(fields.tags, readFilledList), readLabel),
    app: readField(fields.app, readText),
    atMs: readField(fields.at, (field) => readWith(field, readMoment)),
    accept: readEach(readField(accept, readFilledList), readTarget),
    deny: readEach(readField(deny, readFilledList), readTarget),
    exact: readEach(readField(exact, readFilledList), readExact),
    path: input.path,
  };
  return name === null ? null : { name, ...test };
}

function readExact(input: Input): ExactTest | null {
  const fields = readFields(input, ['target', 'action', 'rule', 'set'], ['target']);
  if (fields === null) return null;
  const target = readField(fields.target, readTarget);
  const expected = {
    action: readField(fields.action, (field) => readChoice(field, actions)),
    rule: readField(fields.rule, readId),
    set: readField(fields.set, readLabel),
  };
  if ((fields.action ?? fields.rule ?? fields.set) === undefined) {
    note(input, 'nothing is expected of the target', 'add `action`, `rule` or `set`');
  }
  return target === null ? null : { target, ...expected };
}

function readTarget(input: Input): Target | null {
  return readWith(input, readTargetText);
}

function readTargetText(text: string): Reading<Target> {
  const target = parseTargetText(text);
  if (target !== null) return readAs(target);
  const hint = canonicalHostname(text) === null ? null : `add a port: \`${text}:443\``;
  return unreadable(
    `${quoted(text)} is not \`host:port\`, \`192.0.2.1:443\` or \`[2001:db8::1]:443\``,
    hint,
  );
}
