// What `explain` says would have to change: the rule to move, add or open, or the state of the device.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adviceFor } from '../../../cli/explain/advice.ts';
import { compileRules } from '../../../dtr-rules/compile.ts';
import { parseTargetText } from '../../../dtr-rules/parse.ts';
import { type Refusal, refuse } from '../../../gateway/decision/decision.ts';
import { ruleFile } from '../../dtr-rules/rule-file.ts';

const now = Date.parse('2026-11-22T12:00:00Z');
const rules = compileRules(
  ruleFile({
    applications: { mail: { bundleId: 'com.example.mail' } },
    ruleSets: [
      {
        name: 'staff',
        assign: { groups: ['staff'], platforms: ['ios'] },
        defaultAction: 'BYPASS',
        rules: [
          { id: 'ads', action: 'BLOCK', destinations: ['*.ads.example', '192.0.2.0/24'] },
          { id: 'late', action: 'TUNNEL', destinations: ['x.ads.example', '192.0.2.1'] },
          { id: 'trial', action: 'TUNNEL', destinations: ['trial.example'], reportOnly: true },
          {
            id: 'proxied',
            action: 'PROXY',
            upstream: 'partner',
            destinations: ['proxied.example'],
            reportOnly: true,
          },
          { id: 'port', action: 'TUNNEL', destinations: ['port.example:443'] },
          { id: 'mail', action: 'TUNNEL', destinations: ['mail.example'], apps: ['mail'] },
          {
            id: 'soon',
            action: 'TUNNEL',
            destinations: ['soon.example'],
            validFrom: '2026-12-01T00:00:00Z',
          },
          {
            id: 'over',
            action: 'TUNNEL',
            destinations: ['over.example'],
            validUntil: '2026-11-01T00:00:00Z',
          },
        ],
      },
      {
        name: 'helping',
        assign: { posture: 'unhealthy', tags: ['kiosk', 'lobby'] },
        defaultAction: 'BLOCK',
      },
    ],
  }),
);
const healthy = { posture: 'healthy', platform: 'ios', groups: ['staff'], tags: [] } as const;

function advice(
  text: string,
  refusal: Refusal,
  asker: Parameters<typeof adviceFor>[0]['asker'] = healthy,
): string {
  const target = parseTargetText(text);
  assert.ok(target);
  const place = (rule: string) => `dtr.yaml:${rule}`;
  return adviceFor({ refusal, target, asker, given: { app: null, now }, rules, place }).join('\n');
}

const bypassed = refuse('rules.bypass', 'default', []);
const cases: readonly (readonly [string, string, Refusal, RegExp])[] = [
  [
    'a rule below',
    'x.ads.example:443',
    refuse('rules.block', 'ads', []),
    /`late` \(dtr\.yaml:late\) would carry it: move it above `ads`/,
  ],
  [
    'a rule below, by address',
    '192.0.2.1:443',
    refuse('rules.block', 'ads', []),
    /`late`.*move it above `ads`/,
  ],
  ['a rule on trial', 'trial.example:443', bypassed, /it only reports: take `reportOnly` out/],
  ['a PROXY rule on trial', 'proxied.example:443', bypassed, /rule `proxied` .*only reports/],
  ['another port', 'port.example:80', bypassed, /add port 80/],
  [
    'an application',
    'mail.example:443',
    bypassed,
    /for mail only, and the application is not known/,
  ],
  ['the beginning', 'soon.example:443', bypassed, /not in force yet/],
  ['the end', 'over.example:443', bypassed, /it is over/],
  [
    'no rule',
    'new.example:443',
    bypassed,
    /^add a TUNNEL rule for `new\.example:443` to the set `staff`$/,
  ],
  [
    'a new exception',
    'y.ads.example:443',
    refuse('rules.block', 'ads', []),
    /^add .* above `ads` \(dtr\.yaml:ads\)/,
  ],
  [
    'a special address',
    'a.example:443',
    refuse('address.special', '10.0.0.1', [{ stage: 'rules', by: 'port' }]),
    /add `open: \["10\.0\.0\.1"\]` to rule `port` \(dtr\.yaml:port\)/,
  ],
  [
    'a special address by default',
    'a.example:443',
    refuse('address.special', '10.0.0.1', [{ stage: 'rules', by: 'default' }]),
    /a rule has to name the target/,
  ],
  [
    'a blocked address',
    'a.example:443',
    refuse('address.blocked', '192.0.2.1', []),
    /a BLOCK rule holds 192\.0\.2\.1/,
  ],
  [
    'metadata',
    'a.example:443',
    refuse('address.metadata', 'a.example', []),
    /nothing lets this through/,
  ],
  ['egress', 'a.example:443', refuse('egress.unavailable', 'x', []), /check `egress\.pools`/],
  ['a name', 'a.example:443', refuse('dns.failed', null, []), /has to resolve/],
  ['a limit', 'a.example:443', refuse('limits.tunnels', null, []), /^$/],
];

for (const [what, target, refusal, expected] of cases) {
  test(`what would have to change is said: ${what}`, () =>
    assert.match(advice(target, refusal), expected));
}

test('a device without a rule set is told what each set asks for that it has not', () => {
  const text = advice('a.example:443', refuse('rules.no_rule_set', null, []), {
    ...healthy,
    platform: null,
    groups: [],
  });
  assert.match(text, /`staff` the device has to be on ios, in the group staff$/m);
  assert.match(text, /`helping` the device has to be unhealthy, tagged kiosk or lobby$/m);
});

test('an unhealthy device is told what it would get if it were healthy', () => {
  const refusal = refuse('posture.non_compliant', null, []);
  const ill = { ...healthy, posture: 'unhealthy' } as const;
  assert.match(
    advice('192.0.2.9:443', refusal, ill),
    /set `staff` applies, and rule `ads` \(dtr\.yaml:ads\) says BLOCK/,
  );
  assert.match(advice('198.51.100.1:443', refusal, ill), /its default action BYPASS decides/);
  assert.match(advice('a.example:443', refusal, ill), /an address rule decides/);
  assert.match(advice('a.example:443', refusal, { ...ill, groups: [] }), /no rule set either/);
});

test('one of the tags that a set asks for is enough', () => {
  const asker = { ...healthy, platform: null, tags: ['kiosk'] };
  const text = advice('a.example:443', refuse('rules.no_rule_set', null, []), asker);
  assert.match(text, /`helping` the device has to be unhealthy$/m);
});
