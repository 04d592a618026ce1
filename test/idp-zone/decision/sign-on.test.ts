// Sign-on policy: the decision table, and the tests a policy file carries.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSignOn, parseZones } from '../../../idp-zone/config/parse.ts';
import { type DeviceFacts, unknownDevice } from '../../../idp-zone/decision/conditions.ts';
import { earlyReasons, reasons } from '../../../idp-zone/decision/reasons.ts';
import { runSignOnTests } from '../../../idp-zone/decision/run-tests.ts';
import { judgeSignOn } from '../../../idp-zone/decision/sign-on.ts';
import { compileZones } from '../../../idp-zone/decision/zone.ts';
import { joined } from '../../../idp-zone/edge/live-zones.ts';
import table from '../../cases/sign-on.json' with { type: 'json' };

interface Case {
  readonly name: string;
  readonly policy: string;
  readonly user: string | null;
  readonly groups: readonly string[] | null;
  readonly client: string;
  readonly zones: readonly string[];
  readonly unknownZones?: readonly string[];
  readonly blocked?: boolean;
  readonly device?: object;
  readonly at?: string;
  readonly action: string;
  readonly reason?: string;
  readonly rule: string | null;
  readonly message?: string;
  readonly help?: string | null;
  readonly trail?: readonly (readonly string[])[]; // the rule, then what did not hold
}

const NOW = Date.parse('2026-06-01T00:00:00Z');
const cases: readonly Case[] = table.cases;

function parsed(value: unknown) {
  const file = parseSignOn(value);
  assert.ok(file.ok, file.ok ? '' : JSON.stringify(file.issues));
  return file.value;
}

const policies = Object.fromEntries(
  Object.entries(table.policies).map(([name, value]) => [name, parsed(value).policy]),
);

for (const row of cases) {
  test(`sign-on: ${row.name}`, () => {
    const policy = policies[row.policy];
    assert.ok(policy);
    const { unknownZones = [], ...request } = row;
    const blocked = row.blocked === true ? { zone: 'bad', address: null, entry: null } : null;
    const device = { ...unknownDevice, ...row.device } as DeviceFacts;
    const now = row.at === undefined ? NOW : Date.parse(row.at);
    const decision = judgeSignOn(policy, { ...request, device, now, unknownZones, blocked });
    assert.equal(decision.action, row.action);
    assert.equal(decision.rule, row.rule);
    const trail = decision.trail.map((step) => [step.rule, ...step.failed]);
    if (row.trail !== undefined) assert.deepEqual(trail, row.trail);
    if (decision.action === 'allow') return;
    assert.equal(decision.reason, row.reason);
    if (row.message !== undefined) assert.equal(decision.message, row.message);
    if (row.help !== undefined) assert.equal(decision.help, row.help);
  });
}

test('every reason a policy can give is in the table', () => {
  const given = new Set(cases.map((row) => row.reason));
  const early: readonly string[] = earlyReasons;
  for (const reason of Object.keys(reasons)) {
    assert.ok(given.has(reason) || early.includes(reason), reason);
  }
});

test('every sentence fits into an OAuth error description', () => {
  for (const { sentence } of Object.values(reasons)) assert.match(sentence, /^[ !#-[\]-~]+$/);
});

const zonesFile = parseZones({ zones: [{ name: 'egress', gateways: ['127.0.0.10'] }] });
assert.ok(zonesFile.ok);
const zones = compileZones(zonesFile.value.zones.map((zone) => joined(zone)));

const withTest = (given: object) => {
  const rules = table.policies.tunnel.rules;
  const base = { name: 't', user: 'ann', groups: ['staff'], client: 'app', expect: 'ALLOW' };
  return runSignOnTests(parsed({ rules, tests: [{ ...base, ...given }] }), zones, {
    locate: null,
    now: NOW,
  });
};

test('a test that holds says nothing', () => {
  assert.deepEqual(withTest({ address: '127.0.0.10', rule: 'staff' }), []);
  assert.deepEqual(withTest({ zones: ['egress'] }), []);
  assert.deepEqual(withTest({ address: '127.0.0.1', expect: 'DENY' }), []);
});

test('a test that fails says what was wanted, what came and by which rule', () => {
  const [failure] = withTest({ address: '127.0.0.1', rule: 'staff' });
  assert.deepEqual(failure?.path, ['tests', 0]);
  assert.equal(
    failure?.message,
    'test `t` expected ALLOW by rule `staff`, got DENY by rule `rest` (sign-on.outside_zone)',
  );
});

test('the right answer by another rule is a failure when a rule is named', () => {
  const [failure] = withTest({ zones: ['egress'], rule: 'rest' });
  assert.equal(
    failure?.message,
    'test `t` expected ALLOW by rule `rest`, got ALLOW by rule `staff`',
  );
});

test('a denial that no rule gave is named so', () => {
  const file = parsed({
    rules: [],
    tests: [{ name: 't', user: 'ann', zones: [], client: 'app', expect: 'ALLOW' }],
  });
  const [failure] = runSignOnTests(file, zones, { locate: null, now: NOW });
  assert.equal(failure?.message, 'test `t` expected ALLOW, got DENY by no rule (sign-on.no_rule)');
});
