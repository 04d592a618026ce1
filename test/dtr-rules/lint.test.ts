// The linter: what it finds, what it leaves alone, and that it never calls a rule dead that decides something.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileRules } from '../../dtr-rules/compile.ts';
import type { LintFacts } from '../../dtr-rules/lint/finding.ts';
import { lintRules } from '../../dtr-rules/lint/lint.ts';
import { given, ruleFile, target } from './rule-file.ts';

const shared = new Map([
  ['com', 'registry'],
  ['net', 'registry'],
  ['co.uk', 'registry'],
  ['github.io', 'hosting'],
] as const);
const facts: LintFacts = {
  now: Date.parse('2026-11-22T12:00:00Z'),
  sharedBy: (name) => new Map<string, 'registry' | 'hosting'>(shared).get(name) ?? null,
};

/** Rules written `ACTION destinations`, with the ids `r0`, `r1` and so on; PROXY rules with an upstream each. */
function rulesOf(...texts: readonly string[]) {
  return texts.map((text, index) => {
    const [action = '', ...destinations] = text.split(' ');
    const upstream = action === 'PROXY' ? { upstream: `p${index}` } : {};
    return { id: `r${index}`, action, destinations, ...upstream };
  });
}

function fileOf(...texts: readonly string[]) {
  return ruleFile({
    ruleSets: [{ name: 'set', defaultAction: 'BYPASS', rules: rulesOf(...texts) }],
  });
}

/** `level check rule: message`, of one kind of check or of all. */
function found(check: string, ...texts: readonly string[]): readonly string[] {
  return lintRules(fileOf(...texts), facts)
    .filter((finding) => finding.check === check)
    .map(({ level, message }) => `${level} ${message}`);
}

const shadowed: readonly (readonly [string, readonly string[], RegExp | null])[] = [
  [
    'a name below a wildcard',
    ['TUNNEL *.a.com', 'BYPASS x.a.com'],
    /`r1` never decides: rule `r0` \(TUNNEL\) above takes/,
  ],
  ['a wildcard in a wider one', ['BYPASS *a.com', 'TUNNEL .a.com'], /`r1` never decides/],
  ['the apex, which the wildcard leaves out', ['BYPASS *.a.com', 'TUNNEL .a.com'], null],
  [
    'the apex and the rest, taken by two rules',
    ['BYPASS *.a.com', 'BYPASS a.com', 'TUNNEL .a.com'],
    /rules `r0` and `r1`/,
  ],
  [
    'a wildcard taken by two that cross',
    ['BLOCK *.*', 'BLOCK *.a*', 'TUNNEL a*.a.com'],
    /`r2` never decides/,
  ],
  ['a wildcard wider than the one above', ['BYPASS *a.com', 'TUNNEL *.com'], null],
  ['a name on another port', ['TUNNEL a.com:443', 'BYPASS a.com:80'], null],
  [
    'ports that two rules take together',
    ['TUNNEL a.com:1-500', 'BLOCK a.com:501-65535', 'BYPASS a.com'],
    /`r0` and `r1`/,
  ],
  ['everything after `*`', ['BYPASS *', 'TUNNEL a.com'], /`r1` never decides/],
  [
    'a block in two halves',
    ['TUNNEL 10.0.0.0/9', 'TUNNEL 10.128.0.0-10.255.255.255', 'BYPASS 10.0.0.0/8'],
    /`r2` never/,
  ],
  [
    'a block that sticks out by one address',
    ['TUNNEL 10.0.0.1-10.255.255.255', 'BYPASS 10.0.0.0/8'],
    null,
  ],
  ['a name behind an address rule', ['BLOCK 10.0.0.0/8', 'TUNNEL a.com'], null],
  [
    'a name behind every address there is',
    ['BLOCK 0.0.0.0/0 [::/0]', 'TUNNEL a.com', 'TUNNEL *.b.com'],
    /`r1` never decides/,
  ],
  ['a name behind every IPv4 address', ['BLOCK 0.0.0.0/0', 'TUNNEL a.com'], null],
  ['an address behind a wildcard of names', ['BYPASS *.*', 'TUNNEL 10.0.0.1'], null],
];

for (const [what, texts, expected] of shadowed) {
  test(`never matching: ${what} ${expected === null ? 'is left alone' : 'is found'}`, () => {
    const messages = found('never-matches', ...texts);
    if (expected === null) assert.deepEqual(messages, []);
    else assert.match(messages.join('\n'), expected);
  });
}

test('a destination that never matches is told by itself when others of its rule do', () => {
  const [message] = found('never-matches', 'BYPASS *.a.com', 'TUNNEL x.a.com b.com');
  assert.match(message ?? '', /^warning `x\.a\.com` of rule `r1` never matches/);
});

test('a BLOCK rule below a rule that lets pass is an error, because what it stops passes', () => {
  assert.match(
    found('never-matches', 'TUNNEL *.a.com', 'BLOCK x.a.com')[0] ?? '',
    /^error .* passes$/,
  );
  const literal = found('never-matches', 'TUNNEL *', 'BLOCK 10.0.0.0/8')[0] ?? '';
  assert.match(
    literal,
    /^error .*a literal address passes, only names that lead there are stopped/,
  );
});

test('a rule repeated by one above is superfluous, one decided otherwise wants to be moved', () => {
  const fixes = (...texts: readonly string[]) =>
    lintRules(fileOf(...texts), facts).flatMap(({ check, fix }) =>
      check === 'never-matches' ? [fix] : [],
    );
  assert.deepEqual(fixes('TUNNEL .a.com', 'TUNNEL x.a.com'), [
    'take it out: what stands above does the same',
  ]);
  assert.deepEqual(fixes('BYPASS .a.com', 'TUNNEL x.a.com'), [
    'move it above `r0`, or take it out',
  ]);
});

test('whole ports that another rule takes are worth a hint, an exception above a wider rule is not', () => {
  assert.match(
    found('partly-shadowed', 'BYPASS *.a.com:443', 'TUNNEL x.a.com')[0] ?? '',
    /^hint `x\.a\.com` of rule `r1` does not decide port 443: rule `r0` \(BYPASS\)/,
  );
  assert.deepEqual(found('partly-shadowed', 'BYPASS x.a.com', 'TUNNEL *.a.com'), []);
  assert.deepEqual(found('partly-shadowed', 'TUNNEL *.a.com:443', 'TUNNEL x.a.com'), []);
  // `a.com` itself is left, so it would not be true that `.a.com` decides nothing.
  assert.deepEqual(found('partly-shadowed', 'BYPASS *.a.com', 'TUNNEL .a.com'), []);
});

const wide: readonly (readonly [string, string, RegExp | null])[] = [
  ['TUNNEL *tenant.okta.com', 'no-dot-wildcard', /also takes `eviltenant\.okta\.com`/],
  ['TUNNEL api-*x.okta.com', 'no-dot-wildcard', /`api-evilx\.okta\.com`/],
  ['TUNNEL *.tenant.okta.com', 'no-dot-wildcard', null],
  ['BLOCK *tenant.okta.com', 'no-dot-wildcard', null],
  ['TUNNEL *.com', 'public-suffix', /every name that anybody registers below `com`/],
  ['TUNNEL .co.uk', 'public-suffix', /`evil\.co\.uk`.*lends it a zone address/],
  ['PROXY *com', 'public-suffix', /ends in `com`.*handed to the proxy/],
  ['TUNNEL *corp', 'public-suffix', null],
  ['BLOCK *.com', 'public-suffix', null],
  ['TUNNEL *x.net', 'no-dot-wildcard', /evilx\.net/],
  ['TUNNEL a-*.net', 'public-suffix', /takes names of strangers, for example `a-evil\.net`/],
  ['TUNNEL *.*.net', 'public-suffix', /`x\.evil\.net`/],
  ['TUNNEL *a*a*com', 'public-suffix', /that end in `com`, for example `aaevil\.com`/],
  ['BYPASS *.github.io', 'shared-hosting', /every customer.*BYPASS sends it past the gateway/],
  ['BYPASS *.acme.github.io', 'shared-hosting', null],
  ['TUNNEL *okta*', 'open-ended', /`okta\.evil\.example`/],
  ['TUNNEL okta.*', 'open-ended', /`okta\.evil\.example`/],
  ['TUNNEL *.*', 'open-ended', /`x\.evil\.example`/],
];

for (const [text, check, expected] of wide) {
  test(`${check}: \`${text}\` ${expected === null ? 'is left alone' : 'is found'}`, () => {
    const messages = found(check, text);
    if (expected === null) assert.deepEqual(messages, []);
    else assert.match(messages.join('\n'), expected);
  });
}

test('a wildcard that goes on within a label is not told to begin one with a hyphen', () => {
  const [finding] = lintRules(fileOf('TUNNEL *-login.okta.com'), facts);
  assert.equal(finding?.fix, 'write out the names that are meant');
});

test('the strict form is offered for a wildcard without a dot', () => {
  const [finding] = lintRules(fileOf('TUNNEL *tenant.okta.com'), facts);
  assert.match(finding?.fix ?? '', /^write `\.tenant\.okta\.com`/);
});

test('BYPASS for everything has to be the last rule', () => {
  assert.match(found('bypass-too-early', 'BYPASS *', 'TUNNEL a.com')[0] ?? '', /`r1` stand/);
  assert.deepEqual(found('bypass-too-early', 'TUNNEL a.com', 'BYPASS *'), []);
  assert.deepEqual(found('bypass-too-early', 'BYPASS *:80', 'TUNNEL a.com'), []);
});

test('of many rules three are named, and how many more there are', () => {
  const below = ['a', 'b', 'c', 'd', 'e'].map((name) => `TUNNEL ${name}.com`);
  assert.match(
    found('bypass-too-early', 'BYPASS *', ...below)[0] ?? '',
    /`r1`, `r2`, `r3` and 2 more stand below/,
  );
});

test('of destinations that hold each other all but one are superfluous', () => {
  assert.deepEqual(found('duplicate-destination', 'TUNNEL a.com A.com. b.com').length, 1);
  assert.deepEqual(found('duplicate-destination', 'TUNNEL .a.com x.a.com').length, 1);
  assert.deepEqual(found('duplicate-destination', 'TUNNEL a.com:443 a.com:80'), []);
});

test('PROXY rules that cross are found, an exception above a wider one is not', () => {
  const [message] = found('proxy-overlap', 'PROXY a*.x.org', 'PROXY *b.x.org');
  assert.match(message ?? '', /`a.*b\.x\.org` goes to `p0`/);
  assert.deepEqual(found('proxy-overlap', 'PROXY a.x.org', 'PROXY *.x.org'), []);
  // What never matches is told as that.
  assert.deepEqual(found('proxy-overlap', 'PROXY *.x.org', 'PROXY a.x.org'), []);
  assert.deepEqual(found('proxy-overlap', 'PROXY a*.x.org:80', 'PROXY *b.x.org:443'), []);
  assert.deepEqual(found('proxy-overlap', 'PROXY a*.x.org', 'TUNNEL *b.x.org', 'PROXY y.z'), []);
});

test('PROXY rules whose wildcards only meet in names longer than a name can be do not cross', () => {
  const [begin, end] = ['a.'.repeat(70), '.b'.repeat(70)];
  assert.deepEqual(found('proxy-overlap', `PROXY ${begin}*.x.org`, `PROXY *${end}.x.org`), []);
  assert.equal(found('proxy-overlap', `PROXY ${begin}*.x.org`, 'PROXY *.b.x.org').length, 1);
});

test('a rule set that an earlier one leaves nothing is found', () => {
  const set = (name: string, assign: object) => ({ name, assign, defaultAction: 'BYPASS' });
  const lint = (...sets: readonly object[]) =>
    lintRules(ruleFile({ ruleSets: sets }), facts).flatMap(({ check, message }) =>
      check === 'unreachable-set' ? [message] : [],
    );
  assert.match(
    lint(set('all', {}), set('ios', { platforms: ['ios'] }))[0] ?? '',
    /`ios`: `all` above/,
  );
  assert.match(
    lint(
      set('a', { groups: ['a'] }),
      set('b', { groups: ['b'] }),
      set('c', { groups: ['a', 'b'] }),
    )[0] ?? '',
    /`c`: `a` and `b` above fit them all/,
  );
  assert.deepEqual(lint(set('ios', { platforms: ['ios'] }), set('all', {})), []);
  assert.deepEqual(lint(set('all', {}), set('bad', { posture: 'unhealthy' })), []);
  assert.deepEqual(lint(set('a', { groups: ['a'] }), set('ab', { groups: ['a', 'b'] })), []);
  assert.deepEqual(lint(set('a', { tags: ['a'] }), set('ab', { tags: ['a', 'b'] })), []);
  assert.match(
    lint(set('ab', { tags: ['a', 'b'] }), set('a', { tags: ['a'] }))[0] ?? '',
    /`a`: `ab` above/,
  );
});

test('a test of a device without a rule set tests nothing, and rules that no test decides are named', () => {
  const file = ruleFile({
    ruleSets: [
      { name: 'set', defaultAction: 'BYPASS', rules: rulesOf('TUNNEL a.com', 'BLOCK b.com') },
    ],
    tests: [
      { name: 'none', posture: 'unhealthy', deny: ['a.com:443'] },
      { name: 'one', accept: ['a.com:443'] },
    ],
  });
  const messages = lintRules(file, facts).map(({ check, message }) => `${check} ${message}`);
  assert.match(messages[0] ?? '', /^test-without-set test `none`/);
  assert.match(messages[1] ?? '', /^untested-rules no test is decided by `r1` of set/);
});

/** Findings of one check, for rules written out, in a set `set`, with applications `mail` and `web`. */
function lintOf(check: string, rules: readonly object[], tests: readonly object[] = []) {
  const file = ruleFile({
    applications: { mail: { bundleId: 'com.example.mail' }, web: { bundleId: 'com.example.web' } },
    ruleSets: [{ name: 'set', defaultAction: 'BYPASS', rules }],
    ...(tests.length > 0 && { tests }),
  });
  return lintRules(file, facts).flatMap((one) => (one.check === check ? [one.message] : []));
}

const aCom = { action: 'TUNNEL', destinations: ['a.com'] };

test('a rule for one application shadows only that application', () => {
  const [mail, web] = [
    { id: 'mail', apps: ['mail'], ...aCom },
    { id: 'web', apps: ['web'], ...aCom },
  ];
  assert.deepEqual(lintOf('never-matches', [mail, web]), []);
  assert.deepEqual(lintOf('never-matches', [mail, { id: 'all', ...aCom }]), []);
  assert.match(
    lintOf('never-matches', [mail, { id: 'again', ...aCom, apps: ['mail'] }])[0] ?? '',
    /`again`/,
  );
  assert.match(lintOf('never-matches', [{ id: 'all', ...aCom }, mail])[0] ?? '', /`mail`/);
  assert.match(
    lintOf('never-matches', [mail, web, { id: 'both', ...aCom, apps: ['web', 'mail'] }])[0] ?? '',
    /`both`/,
  );
});

test('a rule shadows another only as long as it is in force, and one that only reports never does', () => {
  const until = (validUntil: string) => ({ id: 'first', ...aCom, validUntil });
  const second = { id: 'second', ...aCom };
  assert.deepEqual(lintOf('never-matches', [until('2027-01-01T00:00:00Z'), second]), []);
  assert.match(
    lintOf('never-matches', [
      until('2027-01-01T00:00:00Z'),
      { ...second, validUntil: '2026-12-31T00:00:00Z' },
    ])[0] ?? '',
    /`second`/,
  );
  assert.match(
    lintOf('never-matches', [
      { id: 'first', ...aCom, validFrom: '2026-01-01T00:00:00Z' },
      second,
    ])[0] ?? '',
    /`second`/,
  );
  assert.deepEqual(
    lintOf('never-matches', [{ id: 'first', ...aCom, reportOnly: true }, second]),
    [],
  );
});

test('a rule that is over or soon will be is told', () => {
  const ending = (validUntil: string) => [{ id: 'guest', ...aCom, validUntil, ticket: 'CHG-1' }];
  assert.match(lintOf('expired-rule', ending('2026-11-22T12:00:00Z'))[0] ?? '', /over \(CHG-1\)/);
  assert.match(lintOf('ending-rule', ending('2026-11-22T13:00:00Z'))[0] ?? '', /ends in a day/);
  assert.match(lintOf('ending-rule', ending('2026-11-25T13:00:00Z'))[0] ?? '', /ends in 4 days/);
  assert.deepEqual(lintOf('ending-rule', ending('2026-12-25T13:00:00Z')), []);
});

test('a test whose rule no longer decides is told', () => {
  const over = {
    id: 'guest',
    action: 'BLOCK',
    destinations: ['a.com', '192.0.2.0/24'],
    validUntil: '2026-11-01T00:00:00Z',
  };
  const tests = (more: object) => [
    { name: 'blocked', deny: ['a.com:443', '192.0.2.1:443', 'b.com:443'], ...more },
  ];
  assert.equal(lintOf('test-of-idle-rule', [over], tests({})).length, 2);
  assert.deepEqual(lintOf('test-of-idle-rule', [over], tests({ at: '2026-10-01T00:00:00Z' })), []);
});

test('a test that names the rule it expects is a test of that rule', () => {
  const rules = [
    { id: 'first', ...aCom },
    { id: 'second', action: 'BLOCK', destinations: ['b.com'] },
  ];
  const tests = [{ name: 'one', exact: [{ target: 'a.com:443', rule: 'first' }] }];
  assert.match(lintOf('untested-rules', rules, tests)[0] ?? '', /by `second` of set/);
});

test('of ports that are gone in several places one is told, and how many more', () => {
  assert.match(
    found('partly-shadowed', 'BYPASS *.a.com:80,443', 'TUNNEL x.a.com')[0] ?? '',
    /does not decide port 80 and 1 more: rule `r0`/,
  );
});

test('ports that are gone for one application only are told with it', () => {
  const all = { id: 'first', action: 'BYPASS', apps: ['mail'], destinations: ['a.com'] };
  assert.match(
    lintOf('partly-shadowed', [all, { id: 'second', ...aCom }])[0] ?? '',
    /does not decide any port for `mail`: rule `first`/,
  );
  const first = { id: 'first', action: 'BYPASS', apps: ['mail'], destinations: ['a.com:80-90'] };
  assert.match(
    lintOf('partly-shadowed', [first, { id: 'second', ...aCom }])[0] ?? '',
    /ports 80-90 for `mail`/,
  );
});

test('what is gone for some time only is told with that time', () => {
  const first = { id: 'first', action: 'BYPASS', destinations: ['a.com'] };
  const [from, until] = ['2027-01-01T00:00:00Z', '2027-02-01T00:00:00Z'];
  const told = (dates: object) =>
    lintOf('partly-shadowed', [
      { ...first, ...dates },
      { id: 'second', ...aCom },
    ])[0] ?? '';
  assert.match(told({ validUntil: until }), /does not decide any port until 2027-02-01T00:00:00/);
  assert.match(told({ validFrom: from }), /does not decide any port from 2027-01-01T00:00:00/);
});

// Few letters, so that wildcards meet often.
const label = fc.constantFrom('a', 'b', 'ab', 'x', 'com');
const name = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'));
const wildcard = fc
  .array(fc.constantFrom('*', '*', 'a', 'b', '.', 'com'), { minLength: 2, maxLength: 5 })
  .map((pieces) => pieces.join(''))
  .filter((text) => text.includes('*') && !/^\.|\.\.|\.$|^\*+\.$/.test(text));
const block = fc.constantFrom('10.0.0.1', '10.0.0.0/30', '10.0.0.2-10.0.0.9', '0.0.0.0/0');
const place = fc.oneof(
  name,
  name.map((one) => `.${one}`),
  name.map((one) => `*.${one}`),
  wildcard,
  block,
  fc.constant('*'),
);
const destination = fc
  .tuple(place, fc.constantFrom('', '', ':80', ':80-443'))
  .map((parts) => parts.join(''));
const rules = fc.array(
  fc.tuple(
    fc.constantFrom('TUNNEL', 'BYPASS', 'BLOCK'),
    fc.array(destination, { minLength: 1, maxLength: 3 }),
  ),
  { minLength: 2, maxLength: 6 },
);

const labels = ['a', 'b', 'ab', 'ba', 'x', 'com', 'aa', 'xa', 'bx'];
const asked = [
  ...labels,
  ...labels.flatMap((one) => labels.map((other) => `${one}.${other}`)),
  ...labels.flatMap((one) =>
    labels.flatMap((other) => [`${one}.${other}.com`, `${one}.b.${other}`]),
  ),
  '10.0.0.0',
  '10.0.0.1',
  '10.0.0.2',
  '10.0.0.9',
  '10.0.0.10',
  '192.0.2.1',
].flatMap((host) => [79, 80, 443, 444].map((port) => target(`${host}:${port}`)));

test('no rule that decides anything is said never to decide', () => {
  let dead = 0;
  fc.assert(
    fc.property(rules, (list) => {
      const file = fileOf(
        ...list.map(([action, destinations]) => [action, ...destinations].join(' ')),
      );
      const [set] = compileRules(file).sets;
      const gone = lintRules(file, facts).filter(({ check }) => check === 'never-matches');
      dead += gone.length;
      const at = (path: readonly (string | number)[]) => path.join('/');
      const places = new Set(gone.map(({ path }) => at(path)));
      for (const one of asked) {
        for (const resolved of [
          null,
          ...(one.address === null ? [[target('10.0.0.2:1').address].flatMap((a) => a ?? [])] : []),
        ]) {
          const match = set?.match(one, resolved, given);
          if (match?.kind !== 'rule') continue;
          const { rule, matched } = match;
          assert.ok(!places.has(at(rule.path)), `${one.host}:${one.port} is decided by ${rule.id}`);
          const own = at([...rule.path, 'destinations', rule.destinations.indexOf(matched)]);
          assert.ok(!places.has(own), `${one.host}:${one.port} is decided by ${matched.text}`);
        }
      }
    }),
    { numRuns: 200 },
  );
  assert.ok(dead > 50, `${dead}`);
});

test('ten thousand rules are checked as a few are', () => {
  const many = Array.from(
    { length: 9_999 },
    (_, i) =>
      `TUNNEL login-${i}.example.com:443 *.tenant-${i}.example.net 10.${i >> 8}.${i & 255}.0/24`,
  );
  const found = lintRules(fileOf(...many, 'BYPASS *.tenant-77.example.net'), facts);
  assert.deepEqual(
    found.map(({ check }) => check),
    ['never-matches'],
  );
});

test('a wildcard that is too long for any name is not told to be taken by others', () => {
  const longest = `${`${'a'.repeat(49)}.`.repeat(5)}com`;
  assert.deepEqual(found('never-matches', 'TUNNEL *', `BLOCK *.${longest}`), []);
});

test('an application at the path of another, in whatever case, is partly taken with it', () => {
  const file = ruleFile({
    applications: { one: { path: '/Apps/Mail' }, other: { path: '/apps/mail' } },
    ruleSets: [
      {
        name: 'set',
        defaultAction: 'BYPASS',
        rules: [
          { id: 'a', action: 'TUNNEL', destinations: ['a.com'], apps: ['one'] },
          { id: 'b', action: 'BLOCK', destinations: ['a.com'], apps: ['other'] },
        ],
      },
    ],
  });
  assert.deepEqual(
    lintRules(file, facts).map(({ check }) => check),
    ['partly-shadowed'],
  );
});

// Without stars inside a name these are all the places where anything can change: each name, a child and a sibling of it,
// the ends of blocks, the ends of port ranges.
const plainName = fc.constantFrom('com', 'a.com', 'b.com', 'a.a.com', 'b.a.com');
const plainPlace = fc.oneof(
  plainName,
  plainName.map((one) => `.${one}`),
  plainName.map((one) => `*.${one}`),
  fc.constantFrom('10.0.0.1', '10.0.0.0/30', '10.0.0.2-10.0.0.9', '0.0.0.0/0', '[::/0]', '*'),
);
const plainRules = fc.array(
  fc.tuple(
    fc.constantFrom('TUNNEL', 'BLOCK'),
    fc.array(
      fc
        .tuple(plainPlace, fc.constantFrom('', '', ':80', ':80-443'))
        .map((parts) => parts.join('')),
      { minLength: 1, maxLength: 2 },
    ),
  ),
  { minLength: 2, maxLength: 6 },
);
const places =
  'q com a.com b.com qa.com a.a.com b.a.com q.a.com q.b.com q.com q.a.a.com q.b.a.com ' +
  '9.255.255.255 10.0.0.0 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.9 10.0.0.10 [2001:db8::1]';
const boundaries = places
  .split(' ')
  .flatMap((host) => [79, 80, 81, 443, 444].map((port) => target(`${host}:${port}`)));
const led = ['192.0.2.1:1', '[2001:db8::1]:1'].map((text) => target(text).address);

/** Whether the destination, alone in its rule, decides anything below these rules. */
function decides(above: readonly string[], action: string, alone: string): boolean {
  const [set] = compileRules(fileOf(...above, `${action} ${alone}`)).sets;
  return boundaries.some((one) =>
    led.some((address) => {
      const resolved = one.address !== null || address === null ? null : [address];
      const match = set?.match(one, resolved, given);
      return match?.kind === 'rule' && match.rule === set?.set.rules.at(-1);
    }),
  );
}

test('every destination that decides nothing is found, and what it is said to be taken by takes it', () => {
  let dead = 0;
  fc.assert(
    fc.property(plainRules, (list) => {
      const lines = list.map(([action, destinations]) => [action, ...destinations].join(' '));
      const findings = lintRules(fileOf(...lines), facts).filter(
        ({ check }) => check === 'never-matches',
      );
      for (const [i, [action, destinations]] of list.entries()) {
        for (const [j, alone] of destinations.entries()) {
          if (decides(lines.slice(0, i), action, alone)) continue;
          dead += 1;
          const told = findings.find(({ path }) =>
            path.length > 4 ? path[3] === i && path[5] === j : path[3] === i,
          );
          assert.ok(told, `${alone} of r${i} in ${lines.join('; ')}`);
          const [, by = ''] = /: (.*) above takes? /.exec(told.message) ?? [];
          if (by.includes(' more')) continue;
          const named = lines.slice(0, i).map((line, k) =>
            // Left out, but its id stays that of its place.
            by.includes(`\`r${k}\``) ? line : 'BLOCK nothing.example',
          );
          assert.ok(!decides(named, action, alone), `${told.message} in ${lines.join('; ')}`);
        }
      }
    }),
    { numRuns: 150 },
  );
  assert.ok(dead > 50, `${dead}`);
});
