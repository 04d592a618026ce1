// Owns the tests of compiled rule sets: what matches, in which order, and what an address decides.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, parseAddress } from '../../dtr-rules/address.ts';
import { compileRules } from '../../dtr-rules/compile.ts';
import { compileGlob } from '../../dtr-rules/glob.ts';
import { given, inWords, ruleFile, ruleSet, target } from './rule-file.ts';

function addresses(...texts: readonly string[]): readonly Address[] {
  return texts.map((text) => {
    const address = parseAddress(text);
    assert.ok(address);
    return address;
  });
}

function ask(
  rules: readonly string[],
  asked: string,
  resolved: readonly string[] | null = null,
): string {
  const list = resolved === null ? null : addresses(...resolved);
  return inWords(ruleSet(...rules).match(target(asked), list, given));
}

test('the first rule that fits decides, whatever comes after it and however exact that is', () => {
  const rules = ['TUNNEL *a*', 'BLOCK a.example', 'PROXY *.a.example', 'BYPASS *'];
  assert.equal(ask(rules, 'a.example:443'), 'r0');
  assert.equal(ask(rules.slice(1), 'a.example:443'), 'r0');
  assert.equal(ask(rules.slice(1), 'b.a.example:443'), 'r1');
  assert.equal(ask(rules.slice(1), 'b.example:443'), 'r2');
});

test('of the destinations of a rule the first that fits is the one reported', () => {
  const match = ruleSet('TUNNEL b.example,*.example:443,a.example').match(
    target('a.example:443'),
    null,
    given,
  );
  assert.equal(match.kind === 'rule' && match.matched.text, '*.example:443');
});

test('a destination with ports does not match another port', () => {
  const rules = ['TUNNEL a.example:443,8443-8450', 'BLOCK a.example'];
  const got = ['443', '8443', '8450', '8451', '80'].map((port) => ask(rules, `a.example:${port}`));
  assert.deepEqual(got, ['r0', 'r0', 'r0', 'r1', 'r1']);
});

test('names, wildcards and patterns match no IP literal, and a lone star matches everything', () => {
  const named = ['TUNNEL *2*,*2,*.*,1password*'];
  assert.equal(ask(named, '192.0.2.2:443'), 'default BYPASS');
  assert.equal(ask(['BLOCK *.*', 'TUNNEL *'], '192.0.2.2:443'), 'r1');
  assert.equal(ask(['TUNNEL *'], '[2001:db8::1]:443'), 'r0');
});

test('an address rule matches the IP literals it holds, in any spelling', () => {
  const rules = ['BLOCK 10.0.0.0/8:443', 'TUNNEL 2001:db8::/32', 'BYPASS *:443'];
  assert.equal(ask(rules, '10.1.2.3:443'), 'r0');
  assert.equal(ask(rules, '[::ffff:10.1.2.3]:443'), 'r0');
  assert.equal(ask(rules, '[2001:DB8:0::1]:443'), 'r1');
  assert.equal(ask(rules, '11.0.0.0:443'), 'r2');
  assert.equal(ask(rules, '10.1.2.3:80'), 'default BYPASS');
});

test('a name is left unresolved until an address rule stands before the first rule that names it', () => {
  const rules = ['TUNNEL a.example', 'BLOCK 10.0.0.0/8:443', 'TUNNEL *.example'];
  assert.equal(ask(rules, 'a.example:443'), 'r0');
  assert.equal(ask(rules, 'b.example:443'), 'unresolved');
  assert.equal(ask(rules, 'b.example:80'), 'r2');
  assert.equal(ask(rules, 'other.test:443'), 'unresolved');
  assert.equal(ask(rules, 'other.test:80'), 'default BYPASS');
});

test('with its addresses a name goes to the first rule that holds one, bound to those it holds', () => {
  const rules = ['TUNNEL 10.1.0.0/16,10.2.0.0/16:443', 'TUNNEL 10.0.0.0/8', 'BLOCK *'];
  assert.equal(
    ask(rules, 'a.example:443', ['10.3.0.1', '10.2.0.1', '192.0.2.1', '10.1.0.1']),
    'r0 10.2.0.1 10.1.0.1',
  );
  assert.equal(ask(rules, 'a.example:80', ['10.3.0.1', '10.2.0.1']), 'r1 10.3.0.1 10.2.0.1');
  assert.equal(ask(rules, 'a.example:443', ['::ffff:10.1.0.1']), 'r0 ::ffff:10.1.0.1');
  assert.equal(ask(rules, 'a.example:443', ['192.0.2.1']), 'r2');
  assert.equal(ask(rules, 'a.example:443', []), 'r2');
});

test('a rule that names the host wins over address rules after it, and over addresses within it', () => {
  const rules = ['TUNNEL 10.0.0.0/8,a.example', 'BLOCK 192.0.2.0/24'];
  assert.equal(ask(rules, 'a.example:443'), 'r0');
  assert.equal(ask(rules, 'a.example:443', ['192.0.2.1', '10.0.0.1']), 'r0');
  assert.equal(ask(rules, 'b.example:443', ['192.0.2.1']), 'r1 192.0.2.1');
});

test('a BLOCK rule holds its addresses wherever it stands, for its ports', () => {
  const set = ruleSet(
    'TUNNEL *',
    'TUNNEL 10.0.0.0/8',
    'BLOCK 10.0.0.0/8:22,a.example',
    'BLOCK 10.1.0.0/16',
  );
  const blocked = (text: string, port: number) =>
    addresses(text).map((address) => set.blockedAddress(address, port, given)?.id ?? null)[0];
  assert.equal(blocked('10.1.0.1', 22), 'r2');
  assert.equal(blocked('10.1.0.1', 443), 'r3');
  assert.equal(blocked('::ffff:10.1.0.1', 443), 'r3');
  assert.equal(blocked('10.2.0.1', 443), null);
});

test('the first set whose posture, platform and groups fit is assigned, and none if none fits', () => {
  const set = (name: string, assign: object) => ({ name, assign, defaultAction: 'BLOCK' });
  const rules = compileRules(
    ruleFile({
      ruleSets: [
        set('staff phones', { platforms: ['ios', 'android'], groups: ['staff'] }),
        set('staff', { groups: ['staff', 'admins'], posture: 'any' }),
        set('healthy', {}),
        set('remediation', { posture: 'unhealthy', platforms: ['macos'] }),
      ],
    }),
  );
  const assigned = (
    posture: 'healthy' | 'unhealthy',
    platform: string | null,
    ...groups: readonly string[]
  ) => rules.assign({ posture, platform, groups, tags: [] })?.set.name ?? null;
  assert.equal(assigned('healthy', 'ios', 'x', 'staff'), 'staff phones');
  assert.equal(assigned('healthy', null, 'staff'), 'staff');
  assert.equal(assigned('unhealthy', 'ios', 'admins'), 'staff');
  assert.equal(assigned('healthy', 'ios'), 'healthy');
  assert.equal(assigned('unhealthy', 'macos', 'guests'), 'remediation');
  assert.equal(assigned('unhealthy', null), null);
});

test('a pattern matches the whole name and needs room for all of its pieces', () => {
  const matching: readonly (readonly [string, string])[] = [
    ['a', 'a'],
    ['a*a', 'aa'],
    ['a*b*c', 'abbc'],
    ['*ab*ab*', 'xababx'],
    ['a*b*b', 'abb'],
  ];
  const others: readonly (readonly [string, string])[] = [
    ['a', 'ab'],
    ['a*a', 'a'],
    ['a*b*c', 'acb'],
    ['a*b*c', 'xabc'],
    ['*ab*ab*', 'xabax'],
    ['a*b*b', 'ab'],
  ];
  for (const [pattern, host] of matching)
    assert.ok(compileGlob(pattern)(host), `${pattern} ${host}`);
  for (const [pattern, host] of others)
    assert.ok(!compileGlob(pattern)(host), `${pattern} ${host}`);
});

test('the next change is the next moment at which a rule of any set begins or ends', () => {
  const rule = (id: string, dates: object) => ({
    id,
    action: 'BLOCK',
    destinations: ['*'],
    ...dates,
  });
  const rules = compileRules(
    ruleFile({
      ruleSets: [
        {
          name: 'one',
          defaultAction: 'BLOCK',
          rules: [rule('a', { validUntil: '1970-01-01T00:00:09Z' }), rule('always', {})],
        },
        {
          name: 'two',
          defaultAction: 'BLOCK',
          rules: [
            rule('b', { validFrom: '1970-01-01T00:00:05Z', validUntil: '1970-01-01T00:00:07Z' }),
          ],
        },
      ],
    }),
  );
  const changes = [0, 5_000, 6_999, 7_000, 9_000].map((now) => rules.nextChange(now));
  assert.deepEqual(changes, [5_000, 7_000, 7_000, 9_000, null]);
});

test('report-only rules are told up to ten, however many fit', () => {
  const rules = Array.from({ length: 12 }, (_, i) => ({
    id: `r${i}`,
    action: 'BLOCK',
    destinations: ['*'],
    reportOnly: true,
  }));
  const file = ruleFile({ ruleSets: [{ name: 'set', defaultAction: 'TUNNEL', rules }] });
  const match = compileRules(file).sets[0]?.match(target('a.example:443'), null, given);
  assert.ok(match?.kind === 'default');
  assert.equal(match.reported.length, 10);
});
