// The decision, beyond its table in test/cases/admission.json: when it asks for addresses, and what it leaves behind.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTargetText } from '../../../dtr-rules/parse.ts';
import { decide } from '../../../gateway/decision/decide.ts';
import type { PostureReport } from '../../../gateway/decision/posture.ts';
import { addressOf, healthyReport, NOW, policyFor, someIdentity } from './policy-for.ts';

const policy = policyFor({
  ruleSets: [
    {
      name: 'staff',
      defaultAction: 'BLOCK',
      rules: [
        { id: 'app', action: 'TUNNEL', destinations: ['app.example'], open: ['10.0.0.1'] },
        { id: 'net', action: 'TUNNEL', destinations: ['93.184.0.0/16:443'] },
      ],
    },
    {
      name: 'help',
      assign: { posture: 'unhealthy' },
      defaultAction: 'TUNNEL',
    },
  ],
});

function ask(text: string, addresses: readonly string[] | null, report?: Partial<PostureReport>) {
  const target = parseTargetText(text);
  assert.ok(target);
  const posture = { report: { ...healthyReport, ...report }, known: true, block: null };
  const resolved = addresses?.map(addressOf) ?? null;
  const about = { identity: someIdentity, posture, target, addresses: resolved };
  return decide({ ...about, unfit: new Set() }, policy, NOW);
}

test('a decision asks for addresses only where an address rule comes first', () => {
  assert.deepEqual(ask('other.example:443', null), { action: 'resolve' });
  assert.equal(ask('app.example:443', null).action, 'tunnel');
  assert.equal(ask('other.example:80', null).action, 'refuse');
  assert.equal(ask('93.184.215.14:443', null).action, 'tunnel');
});

test('with addresses it never asks again', () => {
  assert.equal(ask('other.example:443', ['93.184.215.14']).action, 'tunnel');
  assert.equal(ask('other.example:443', ['45.33.32.1']).action, 'refuse');
  assert.equal(ask('other.example:443', []).action, 'refuse');
});

test('an address rule names the only addresses that may be dialled', () => {
  const decision = ask('other.example:443', ['45.33.32.1', '93.184.215.14']);
  assert.ok(decision.action === 'tunnel');
  assert.deepEqual(decision.only, [addressOf('93.184.215.14')]);
});

test('a tunnel says what satisfied each stage', () => {
  const decision = ask('app.example:443', null);
  assert.ok(decision.action === 'tunnel');
  assert.deepEqual(decision.trail, [
    { stage: 'identity', by: 'leaf-print' },
    { stage: 'posture', by: 'uem:616' },
    { stage: 'rules', by: 'app' },
    { stage: 'egress', by: 'main' },
  ]);
  assert.deepEqual(
    decision.open.map(({ text }) => text),
    ['10.0.0.1'],
  );
});

test('the trail of a remediation set says what is wrong with the device', () => {
  const decision = ask('any.example:443', null, { compliance: 'non_compliant' });
  assert.ok(decision.action === 'tunnel');
  assert.deepEqual(decision.trail[1], {
    stage: 'posture',
    by: 'posture.non_compliant (remediation)',
  });
});

test('the posture stage says what did not hold and refused nothing', () => {
  const target = parseTargetText('app.example:443');
  assert.ok(target);
  const exception = { checks: new Set(['tags' as const]), why: 'a test', until: NOW + 1 };
  const watching = {
    ...policy,
    posture: {
      ...policy.posture,
      required: {
        ...policy.posture.required,
        ownership: new Set(['corporate' as const]),
        tags: { anyOf: ['vip'], allOf: [], noneOf: [] },
      },
      reportOnly: new Set(['ownership' as const]),
      exceptions: new Map([[healthyReport.deviceId, [exception]]]),
    },
  };
  const posture = { report: healthyReport, known: true, block: null };
  const question = { identity: someIdentity, posture, target, addresses: null, unfit: new Set('') };
  const decision = decide(question, watching, NOW);
  assert.ok(decision.action === 'tunnel');
  assert.deepEqual(decision.trail[1], {
    stage: 'posture',
    by: 'uem:616',
    wouldRefuse: [{ check: 'ownership', reason: 'posture.ownership' }],
    excepted: [{ check: 'tags', reason: 'posture.tags', exception }],
  });
});

test('the same question gets the same answer', () => {
  assert.deepEqual(ask('app.example:443', null), ask('app.example:443', null));
});

test('the application of the device and the moment choose the rule; what only reports is told', () => {
  const target = parseTargetText('mail.example:993');
  assert.ok(target);
  const dated = policyFor({
    applications: { mail: { bundleId: 'com.example.mail' } },
    ruleSets: [
      {
        name: 'staff',
        defaultAction: 'BYPASS',
        rules: [
          { id: 'trial', action: 'BLOCK', destinations: ['*.example'], reportOnly: true },
          {
            id: 'mail',
            action: 'TUNNEL',
            apps: ['mail'],
            destinations: ['mail.example'],
            validUntil: new Date(NOW + 1_000).toISOString(),
          },
        ],
      },
    ],
  });
  const posture = { report: healthyReport, known: true, block: null };
  const askAs = (app: string | null, now: number) => {
    const identity = { ...someIdentity, app };
    const decision = decide(
      { identity, posture, target, addresses: null, unfit: new Set() },
      dated,
      now,
    );
    assert.ok(decision.action !== 'resolve');
    assert.deepEqual(decision.reported, [{ rule: 'trial', action: 'BLOCK' }]);
    return decision.action;
  };
  assert.equal(askAs('com.example.mail', NOW), 'tunnel');
  assert.equal(askAs('com.example.mail', NOW + 1_000), 'refuse');
  assert.equal(askAs('com.example.game', NOW), 'refuse');
  assert.equal(askAs(null, NOW), 'refuse');
});

test('tags of the report choose the rule set', () => {
  const sets = policyFor({
    ruleSets: [{ name: 'kiosks', assign: { tags: ['kiosk'] }, defaultAction: 'TUNNEL' }],
  });
  const target = parseTargetText('a.example:443');
  assert.ok(target);
  const askWith = (tags: readonly string[]) => {
    const posture = { report: { ...healthyReport, tags }, known: true, block: null };
    const question = { identity: someIdentity, posture, target, addresses: null };
    return decide({ ...question, unfit: new Set() }, sets, NOW).action;
  };
  assert.deepEqual([askWith(['kiosk']), askWith(['desk'])], ['tunnel', 'refuse']);
});
