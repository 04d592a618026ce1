// Owns the tests of running a rule file's own tests.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRules } from '../../dtr-rules/compile.ts';
import { runRuleTests } from '../../dtr-rules/run-tests.ts';
import { given, ruleFile } from './rule-file.ts';

const ruleSets = [
  {
    name: 'staff',
    assign: { groups: ['staff'] },
    defaultAction: 'BYPASS',
    rules: [
      { id: 'okta', action: 'TUNNEL', destinations: ['*.okta.com'] },
      { id: 'partner', action: 'PROXY', upstream: 'p', destinations: ['partner.example'] },
      { id: 'ads', action: 'BLOCK', destinations: ['ads.example'] },
      { id: 'internal', action: 'TUNNEL', destinations: ['10.0.0.0/8:443', '[2001:db8::/32]:443'] },
    ],
  },
];

/** What fails, as `path: message`. */
function run(changes: object): readonly string[] {
  const file = ruleFile({ ruleSets, tests: [{ name: 'a test', groups: ['staff'], ...changes }] });
  return runRuleTests(file, compileRules(file), given.now).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );
}

test('a file whose tests hold has no failures', () => {
  assert.deepEqual(
    run({
      accept: ['a.okta.com:443', 'partner.example:80', '10.0.0.1:443'],
      deny: ['ads.example:80', 'okta.com:80', '10.0.0.1:80'],
      exact: [
        { target: 'a.okta.com:443', action: 'TUNNEL', rule: 'okta', set: 'staff' },
        { target: 'okta.com:80', action: 'BYPASS', rule: 'default' },
      ],
    }),
    [],
  );
  assert.deepEqual(run({ groups: ['guests'], deny: ['a.okta.com:443'] }), []);
});

test('a target that fares otherwise is told with the rule that decided', () => {
  assert.deepEqual(
    run({
      accept: ['a.okta.com:443', 'ads.example:80', '[2002::1]:80'],
      deny: ['partner.example:80'],
    }),
    [
      'tests.0.accept.1: `ads.example:80` is BLOCK by rule `ads` of set `staff`, expected TUNNEL or PROXY',
      'tests.0.accept.2: `[2002::1]:80` is BYPASS by the default action of set `staff`, expected TUNNEL or PROXY',
      'tests.0.deny.0: `partner.example:80` is PROXY by rule `partner` of set `staff`, expected neither TUNNEL nor PROXY',
    ],
  );
});

test('an exact expectation says all that is missed', () => {
  assert.deepEqual(
    run({ exact: [{ target: 'a.okta.com:443', action: 'BLOCK', rule: 'ads', set: 'guests' }] }),
    [
      'tests.0.exact.0: `a.okta.com:443` is TUNNEL by rule `okta` of set `staff`, expected BLOCK, rule `ads`, set `guests`',
    ],
  );
});

test('a device without a rule set is refused everything', () => {
  const refused = 'is refused because no rule set is assigned, expected';
  assert.deepEqual(
    run({
      posture: 'unhealthy',
      accept: ['a.okta.com:443'],
      exact: [{ target: 'b:1', set: 'staff' }],
    }),
    [
      `tests.0.accept.0: \`a.okta.com:443\` ${refused} TUNNEL or PROXY`,
      `tests.0.exact.0: \`b:1\` ${refused} set \`staff\``,
    ],
  );
});

test('a name that only its addresses can decide fails the test, whichever way it is expected', () => {
  const needs =
    'is decided by an address rule, which needs a resolver: test an address such as `192.0.2.1:443`';
  assert.deepEqual(
    run({
      accept: ['intranet.example:443'],
      deny: ['intranet.example:443', 'intranet.example:80'],
    }),
    [
      `tests.0.accept.0: \`intranet.example:443\` ${needs}`,
      `tests.0.deny.0: \`intranet.example:443\` ${needs}`,
    ],
  );
});

test('a failure carries its test and its target', () => {
  const file = ruleFile({ ruleSets, tests: [{ name: 'wrong', accept: ['a.example:80'] }] });
  const [failure] = runRuleTests(file, compileRules(file), given.now);
  assert.equal(failure?.test, file.tests[0]);
  assert.equal(failure?.target, file.tests[0]?.accept[0]);
});
