// Owns which rules play a part in a profile, and what is said of those that do not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CompiledSet, compileRules } from '../../../dtr-rules/compile.ts';
import { makeProfile } from '../../../dtr-rules/profiles/kinds.ts';
import type { Application } from '../../../dtr-rules/rule.ts';
import { runPac } from '../../../gateway/edge/run-pac.ts';
import { ruleFile } from '../rule-file.ts';
import { facts } from './facts.ts';

const now = Date.UTC(2026, 11, 1);
const rule = (id: string, action: string, destinations: string, more: object = {}) => ({
  id,
  action,
  destinations,
  ...more,
});

function compiled(rules: readonly object[], set: object = {}) {
  const file = ruleFile({
    applications: {
      mail: { bundleId: 'com.example.mail' },
      chat: { bundleId: 'com.example.chat' },
    },
    ruleSets: [{ name: 'staff', defaultAction: 'BYPASS', rules, ...set }],
  });
  const [first] = compileRules(file).sets;
  assert.ok(first);
  return { set: first, applications: file.applications };
}

function make(set: CompiledSet, app: Application | null = null) {
  const profile = makeProfile('pac', set, { app, now, facts, runPac });
  const find = runPac(String(profile.files[0]?.content));
  return {
    ...profile,
    way: (name: string) => find(`https://${name}/`, name),
    notes: profile.notExpressed.map((note) => `${note.rule}: ${note.what}`),
  };
}

const gateway = 'HTTPS gw.example.net:8443';

test('a rule for some applications is left out of the profile for all, and it says so', () => {
  const { set, applications } = compiled([
    rule('r', 'TUNNEL', 'a.test', { apps: ['mail'] }),
    rule('s', 'TUNNEL', 'b.test'),
  ]);
  const forAll = make(set);
  assert.deepEqual([forAll.way('a.test'), forAll.way('b.test')], ['DIRECT', gateway]);
  assert.deepEqual(forAll.notes, ['r: a rule for some applications']);
  const forMail = make(
    set,
    applications.find(({ name }) => name === 'mail'),
  );
  assert.deepEqual([forMail.way('a.test'), forMail.way('b.test')], [gateway, gateway]);
  assert.deepEqual(forMail.notes, []);
  assert.equal(
    make(
      set,
      applications.find(({ name }) => name === 'chat'),
    ).way('a.test'),
    'DIRECT',
  );
});

test('a report-only rule decides nothing in the profile either', () => {
  const { set } = compiled([rule('r', 'BLOCK', 'a.test', { reportOnly: true })]);
  const made = make(set);
  assert.equal(made.way('a.test'), 'DIRECT');
  assert.deepEqual(made.notes, ['r: a report-only rule']);
});

test('a profile is of its moment, and says when the rules change next', () => {
  const { set } = compiled([
    rule('past', 'TUNNEL', 'past.test', { validUntil: '2026-11-01T00:00:00Z' }),
    rule('now', 'TUNNEL', 'now.test', { validUntil: '2027-02-01T00:00:00Z' }),
    rule('soon', 'TUNNEL', 'soon.test', { validFrom: '2027-01-01T00:00:00Z' }),
  ]);
  const made = make(set);
  const ways = ['past', 'now', 'soon'].map((name) => made.way(`${name}.test`));
  assert.deepEqual(ways, ['DIRECT', gateway, 'DIRECT']);
  assert.deepEqual(made.notes, [
    'now: that a rule begins or ends',
    'soon: that a rule begins or ends',
  ]);
  assert.equal(made.changesAt, Date.UTC(2027, 0, 1));
  assert.equal(make(compiled([]).set).changesAt, null);
});

test('a set for single applications says that the profile serves all', () => {
  const { set, applications } = compiled([], { mode: 'per-app' });
  assert.deepEqual(make(set).notes, ['null: that the set is for single applications']);
  assert.deepEqual(make(set, applications[0]).notes, []);
});

test('that address rules hold for literals only is said where it makes a difference', () => {
  const notes = (...rules: readonly object[]) =>
    make(compiled(rules).set).notExpressed.map(
      ({ rule: id, consequence }) => `${id}: ${consequence}`,
    );
  const tunnel = rule('inside', 'TUNNEL', '10.0.0.0/8');
  assert.match(
    String(notes(tunnel)),
    /^inside: those that the rules for names send direct go direct/,
  );
  assert.deepEqual(notes(tunnel, rule('all', 'TUNNEL', '*')).length, 1);
  const bypass = rule('inside', 'BYPASS', '10.0.0.0/8');
  assert.deepEqual(notes(bypass), []);
  assert.match(
    String(notes(bypass, rule('all', 'TUNNEL', '*'))),
    /^inside: they go where the rules/,
  );
});

test('a name is never looked up for an address rule: the rules for names decide', () => {
  const made = make(compiled([rule('r', 'TUNNEL', '0.0.0.0/0'), rule('s', 'BYPASS', '*')]).set);
  assert.equal(made.way('a.test'), 'DIRECT');
  assert.equal(made.way('192.0.2.1'), gateway);
});
