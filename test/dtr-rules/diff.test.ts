// The comparison of rule files: every connection that is decided differently is told, and nothing else is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Address } from '../../dtr-rules/address.ts';
import { type CompiledSet, compileRules } from '../../dtr-rules/compile.ts';
import { alignClaims } from '../../dtr-rules/diff/alignment.ts';
import type { Change, Witness } from '../../dtr-rules/diff/change.ts';
import { diffRules } from '../../dtr-rules/diff/diff.ts';
import { diffSets } from '../../dtr-rules/diff/set-diff.ts';
import { compileGlob } from '../../dtr-rules/glob.ts';
import type { Circumstances, RuleFile, Target } from '../../dtr-rules/rule.ts';
import { ruleFile, target } from './rule-file.ts';

const now = Date.parse('2026-11-22T12:00:00Z');
const applications = {
  mail: { bundleId: 'com.example.mail' },
  web: { bundleId: 'com.example.web' },
};

type Written = readonly [action: string, destinations: readonly string[], more?: object];

function fileOf(rules: readonly Written[], defaultAction = 'BYPASS'): RuleFile {
  return ruleFile({
    applications,
    ruleSets: [
      {
        name: 'set',
        defaultAction,
        rules: rules.map(([action, destinations, more = {}], i) => ({
          id: `r${i}`,
          action,
          destinations,
          ...more,
        })),
      },
    ],
  });
}

/** `names a.com: BYPASS by default, then TUNNEL by r0`, a line for each change. */
function told(before: RuleFile, after: RuleFile): readonly string[] {
  return diffRules(before, after, now).flatMap(({ changes }) =>
    changes.map((change) => {
      const { kind, globs, leads, cell } = change;
      const places = [
        ...globs,
        ...leads.map((spans) =>
          (spans ?? [])
            .map(({ first, last }) =>
              first.text === last.text ? first.text : `${first.text}-${last.text}`,
            )
            .join(' or '),
        ),
      ];
      const ports = cell.first === 1 && cell.last === 65_535 ? '' : `:${cell.first}-${cell.last}`;
      const by = ({ action, rule }: Change['before']) => `${action} by ${rule}`;
      return `${kind} ${places.join(' and ')}${ports}${cell.app === null ? '' : ` for ${cell.app}`}: ${by(change.before)}, then ${by(change.after)}`;
    }),
  );
}

test('a file is like itself, and moving rules that do not meet changes nothing', () => {
  const [a, b] = [
    ['TUNNEL', ['*.a.com'], {}],
    ['BLOCK', ['10.0.0.0/8']],
  ] as const satisfies readonly Written[];
  assert.deepEqual(told(fileOf([a, b]), fileOf([a, b])), []);
  const named = (list: readonly string[]) =>
    ruleFile({
      ruleSets: [
        {
          name: 'set',
          defaultAction: 'BYPASS',
          rules: list.map((id) => ({ id, action: 'TUNNEL', destinations: [`.${id}.com`] })),
        },
      ],
    });
  assert.deepEqual(told(named(['x', 'y']), named(['y', 'x'])), []);
});

test('a new destination is told with what decided before', () => {
  assert.deepEqual(
    told(fileOf([['TUNNEL', ['a.com']]]), fileOf([['TUNNEL', ['a.com', '*.okta.com:443']]])),
    ['names *.okta.com:443-443: BYPASS by default, then TUNNEL by r0'],
  );
});

test('an exception keeps its action, and the rest of a wildcard changes', () => {
  const before = fileOf([
    ['BLOCK', ['x.a.com']],
    ['TUNNEL', ['*.a.com']],
  ]);
  const after = fileOf([
    ['BLOCK', ['x.a.com']],
    ['BYPASS', ['*.a.com']],
  ]);
  assert.deepEqual(told(before, after), ['names *.a.com: TUNNEL by r1, then BYPASS by r1']);
});

test('addresses change where ranges end, and are told as ranges', () => {
  assert.deepEqual(
    told(fileOf([['TUNNEL', ['10.0.0.0/30']]]), fileOf([['TUNNEL', ['10.0.0.0-10.0.0.5']]])),
    ['addresses 10.0.0.4-10.0.0.5: BYPASS by default, then TUNNEL by r0'],
  );
});

test('a name rule moved below an address rule changes names that lead there', () => {
  const [name, block] = [
    { id: 'n', action: 'TUNNEL', destinations: ['a.com'] },
    { id: 'b', action: 'BLOCK', destinations: ['10.0.0.0/8'] },
  ];
  const file = (...rules: readonly object[]) =>
    ruleFile({ ruleSets: [{ name: 's', defaultAction: 'BYPASS', rules }] });
  assert.deepEqual(told(file(name, block), file(block, name)), [
    'leading a.com and 10.0.0.0-10.255.255.255: TUNNEL by n, then BLOCK by b',
  ]);
});

test('a BLOCK rule for addresses below everything changes what names may lead to', () => {
  const lines = told(
    fileOf([['TUNNEL', ['*']]]),
    fileOf([
      ['TUNNEL', ['*']],
      ['BLOCK', ['10.0.0.0/8']],
    ]),
  );
  assert.deepEqual(lines, ['dialled 10.0.0.0-10.255.255.255: BYPASS by default, then BLOCK by r1']);
});

test('applications, dates and settings are compared', () => {
  const a = (more: object): RuleFile => fileOf([['TUNNEL', ['a.com'], more]]);
  assert.deepEqual(told(a({ apps: ['mail'] }), a({ apps: ['web'] })), [
    'names a.com for mail: TUNNEL by r0, then BYPASS by default',
    'names a.com for web: BYPASS by default, then TUNNEL by r0',
  ]);
  assert.equal(told(a({}), a({ validUntil: '2026-12-01T00:00:00Z' })).length, 1);
  assert.equal(told(a({}), a({ validUntil: '2026-11-01T00:00:00Z' })).length, 1);
  assert.equal(told(a({}), a({ reportOnly: true })).length, 1);
  assert.equal(told(a({}), a({ egress: 'other' })).length, 1);
  assert.equal(told(a({}), a({ open: ['10.0.0.1'] })).length, 1);
  assert.deepEqual(told(a({}), a({ description: 'text', ticket: 'CHG-1' })), []);
});

test('a rule set that another kind of device gets is told with who gets it', () => {
  const set = (name: string, assign: object, defaultAction: string) => ({
    name,
    assign,
    defaultAction,
  });
  const before = ruleFile({ ruleSets: [set('staff', { groups: ['staff'] }, 'TUNNEL')] });
  const after = ruleFile({
    ruleSets: [
      set('ios', { platforms: ['ios'], groups: ['sales'] }, 'BLOCK'),
      set('staff', { groups: ['staff'] }, 'TUNNEL'),
    ],
  });
  const found = diffRules(before, after, now).map(({ who, changes }) => ({
    ...who,
    changes: changes.length,
  }));
  assert.deepEqual(found, [
    {
      before: 'staff',
      after: 'ios',
      postures: ['healthy'],
      platforms: ['ios'],
      groups: ['staff', 'sales'],
      tags: [],
      changes: 3,
    },
    {
      before: null,
      after: 'ios',
      postures: ['healthy'],
      platforms: ['ios'],
      groups: ['sales'],
      tags: [],
      changes: 0,
    },
  ]);
  assert.deepEqual(
    diffRules(after, before, now).map(({ who }) => [who.before, who.after, who.groups]),
    [
      ['ios', 'staff', ['sales', 'staff']],
      ['ios', null, ['sales']],
    ],
  );
});

const label = fc.constantFrom('a', 'b', 'ab', 'com');
const name = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'));
const wildcard = fc
  .array(fc.constantFrom('*', '*', 'a', 'b', '.', 'com'), { minLength: 2, maxLength: 5 })
  .map((pieces) => pieces.join(''))
  .filter((text) => text.includes('*') && !/^\.|\.\.|\.$|^\*+\.$/.test(text));
const place = fc.oneof(
  name,
  name.map((one) => `.${one}`),
  name.map((one) => `*.${one}`),
  wildcard,
  fc.constantFrom('10.0.0.1', '10.0.0.0/30', '10.0.0.2-10.0.0.9', '0.0.0.0/0'),
  fc.constant('*'),
);
const destination = fc
  .tuple(place, fc.constantFrom('', '', ':80', ':80-443'))
  .map((parts) => parts.join(''));
const more = fc.oneof(
  { weight: 4, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<object>(
      { apps: ['mail'] },
      { reportOnly: true },
      { validUntil: '2026-12-01T00:00:00Z' },
    ),
  },
);
const rule: fc.Arbitrary<Written> = fc.tuple(
  fc.constantFrom('TUNNEL', 'BYPASS', 'BLOCK'),
  fc.array(destination, { minLength: 1, maxLength: 2 }),
  more,
);
const rules = fc.array(rule, { minLength: 1, maxLength: 4 });
/** The second file is the first with a change, or another one. */
const two = fc.oneof(
  fc.tuple(rules, rules),
  fc
    .tuple(rules, fc.nat(9))
    .map(([list, n]) => [list, list.filter((_, i) => i !== n % list.length)] as const),
  fc
    .tuple(rules, fc.nat(9))
    .map(
      ([list, n]) =>
        [list, [...list.slice(n % list.length), ...list.slice(0, n % list.length)]] as const,
    ),
);

const labels = ['a', 'b', 'ab', 'ba', 'com', 'q', 'qa', 'bq'];
const hosts = [
  ...labels,
  ...labels.flatMap((one) =>
    labels.flatMap((other) => [`${one}.${other}`, `${one}.${other}.com`, `q.${one}.${other}`]),
  ),
];
const values = ['10.0.0.0', '10.0.0.1', '10.0.0.2', '10.0.0.4', '10.0.0.10']
  .map((text) => target(`${text}:1`).address)
  .filter((one) => one !== null);
const resolutions: readonly (readonly Address[])[] = [
  [],
  ...values.map((one) => [one]),
  ...values.flatMap((one) => values.map((other) => [one, other])),
];
const circumstances: readonly Circumstances[] = [
  { app: null, now },
  { app: 'com.example.mail', now },
  { app: null, now: now + 30 * 86_400_000 },
];

/** What the set says; also whether names a rule lets pass may lead to each address. */
function outcome(set: CompiledSet, { target: asked, addresses, app, now: at }: Witness) {
  const given = { app, now: at };
  const match = set.match(asked, addresses, given);
  assert.ok(match.kind !== 'unresolved');
  const blocked = (addresses ?? []).map(
    (one) => set.blockedAddress(one, asked.port, given) !== null,
  );
  return match.kind === 'rule'
    ? {
        decided: `${match.rule.action} ${match.rule.id}`,
        isName: match.addresses === null,
        blocked,
      }
    : { decided: `${match.action} default`, isName: true, blocked };
}

function isCovered(
  changes: readonly Change[],
  { target: asked, addresses, app, now: at }: Witness,
): boolean {
  return changes.some(({ kind, globs, leads, cell }) => {
    if (asked.port < cell.first || cell.last < asked.port || at < cell.fromMs || cell.untilMs <= at)
      return false;
    if ((cell.app !== null) !== (app !== null) && cell.app !== null) return false;
    const leadTo = (all: readonly Address[]) =>
      leads.every(
        (spans) =>
          spans === null ||
          spans.some(({ first, last }) =>
            all.some(
              (one) =>
                first.family === one.family && first.value <= one.value && one.value <= last.value,
            ),
          ),
      );
    if (kind === 'addresses')
      return leadTo(asked.address === null ? (addresses ?? []) : [asked.address]);
    if (asked.address !== null) return false;
    const isNamed = globs.every((glob) => compileGlob(glob)(asked.host));
    if (kind === 'names') return isNamed;
    return isNamed && leadTo(addresses ?? []);
  });
}

interface Seen {
  changed: number;
  same: number;
  many: number;
}

function check(before: RuleFile, after: RuleFile, seen: Seen, mostListed = 10): void {
  const [changes, one, other] = [
    diffRules(before, after, now, { mostListed }).flatMap((difference) => difference.changes),
    compileRules(before).sets[0],
    compileRules(after).sets[0],
  ];
  assert.ok(one && other);
  for (const change of changes) {
    const { witness, kind } = change;
    assert.ok(witness);
    seen.many += change.manyOn === null ? 0 : 1;
    const [was, is] = [outcome(one, witness), outcome(other, witness)];
    if (kind === 'dialled') assert.notDeepEqual(was.blocked, is.blocked);
    else
      assert.notEqual(
        was.decided,
        is.decided,
        JSON.stringify(change, (_, value: unknown) =>
          typeof value === 'bigint' ? `${value}` : value,
        ),
      );
  }
  const ask = (asked: Target, addresses: Witness['addresses']) => {
    for (const given of circumstances) {
      const witness = { target: asked, addresses, ...given };
      const isDifferent = outcome(one, witness).decided !== outcome(other, witness).decided;
      seen[isDifferent ? 'changed' : 'same'] += 1;
      if (isDifferent) {
        const where = `${asked.host}:${asked.port} to ${addresses?.map(({ text }) => text).join()} for ${given.app}`;
        assert.ok(isCovered(changes, witness), where);
      }
    }
  };
  for (const port of [79, 80, 443]) {
    for (const host of hosts)
      ask(
        { host, address: null, port },
        resolutions[(host.length * 7 + port) % resolutions.length] ?? [],
      );
    for (const addresses of resolutions) ask({ host: 'q.a', address: null, port }, addresses);
    for (const address of values) ask({ host: address.text, address, port }, null);
  }
}

test('every connection that two files decide differently is told, and what is told is true', () => {
  const seen = { changed: 0, same: 0, many: 0 };
  fc.assert(
    fc.property(
      two,
      fc.constantFrom('BYPASS', 'BLOCK'),
      // One by one, and told together where it is more than one rule.
      fc.constantFrom(10, 1, 0),
      ([before, after], defaultAction, mostListed) => {
        check(fileOf(before), fileOf(after, defaultAction), seen, mostListed);
      },
    ),
    { numRuns: 250 },
  );
  assert.ok(seen.changed > 10_000 && seen.same > 10_000 && seen.many > 10, JSON.stringify(seen));
});

test('to compare only around what is not the same in both finds what comparing everything finds', () => {
  let aligned = 0;
  fc.assert(
    fc.property(two, fc.constantFrom('BYPASS', 'BLOCK'), ([before, after], defaultAction) => {
      // Ids that stay with the rule wherever it stands, so that something is the same in both.
      const all = [...new Set([...before, ...after])];
      const named = (list: readonly Written[]) =>
        list.map(
          (rule): Written => [rule[0], rule[1], { ...rule[2], id: `same-${all.indexOf(rule)}` }],
        );
      const [one] = fileOf(named(before)).sets;
      const [other] = fileOf(named(after), defaultAction).sets;
      assert.ok(one && other);
      const short = diffSets(one, other, now, {
        align: (...sides) => {
          const found = alignClaims(...sides);
          aligned += found.size;
          return found;
        },
      });
      const long = diffSets(one, other, now, { align: () => new Map() });
      assert.deepEqual(texts(short), texts(long));
    }),
    { numRuns: 300 },
  );
  assert.ok(aligned > 300, `${aligned}`);
});

/** Without the example, and two addresses in any order: which comes first is nobody's concern. */
function texts(changes: readonly Change[]): readonly string[] {
  return changes
    .map((change) =>
      JSON.stringify(
        {
          ...change,
          witness: change.witness === null,
          leads: change.leads
            .map((spans) => spans?.map(({ first }) => first.text).join() ?? '')
            .toSorted(),
        },
        (_, value: unknown) =>
          typeof value === 'bigint' || value === Infinity ? `${value}` : value,
      ),
    )
    .toSorted();
}

test('names that could not be searched to the end are told as perhaps, never left out', () => {
  // No name fits, because `*d*` is taken; to know that, the search would have to go through all the others.
  const earlier = ['a', 'b', 'c'].flatMap((one) =>
    ['e', 'f', 'g'].map((other) => `*${one}*${other}*${one}*${other}*${one}*`),
  );
  const rules = (action: string) =>
    fileOf([
      ['TUNNEL', ['*d*', ...earlier]],
      [action, ['*a*b*c*d*']],
    ]);
  const changes = diffRules(rules('TUNNEL'), rules('BLOCK'), now).flatMap((one) => one.changes);
  assert.deepEqual(
    changes.map(({ kind, globs, witness }) => [kind, globs, witness]),
    [['names', ['*a*b*c*d*'], null]],
  );
});

test('names that lead to two addresses are told as perhaps where no name could be found', () => {
  // Left are names that end in `b`, and those that would be tried are all written out.
  const characters = Array.from('abcdefghijklmnopqrstuvwxyz0123456789_-');
  const ends = characters.filter((one) => one !== 'b').map((one) => `*${one}`);
  const tried = ['b', 'a.b', ...characters.map((one) => `${one}b`)];
  const names: Written = ['TUNNEL', [...ends, ...tried]];
  const addresses: readonly Written[] = [
    ['TUNNEL', ['10.0.0.0/8'], { id: 'ten' }],
    ['BLOCK', ['11.0.0.0/8'], { id: 'eleven' }],
  ];
  const changes = diffRules(
    fileOf([names, ...addresses]),
    fileOf([names, ...addresses.toReversed()]),
    now,
  ).flatMap((one) => one.changes);
  assert.deepEqual(
    changes.map(({ kind, globs, leads, witness }) => [
      kind,
      globs,
      leads.map((spans) => spans?.map(({ first }) => first.text).join()),
      witness,
    ]),
    [['leading', [], ['10.0.0.0', '11.0.0.0'], null]],
  );
});

test('names that lead to two addresses are not told where one rule decides them before and after', () => {
  const ten: Written = ['TUNNEL', ['10.0.0.0/8']];
  const eleven: Written = ['TUNNEL', ['11.0.0.0/8']];
  assert.deepEqual(told(fileOf([ten, eleven]), fileOf([eleven, ten])), [
    'addresses 10.0.0.0-10.255.255.255: TUNNEL by r0, then TUNNEL by r1',
    'addresses 11.0.0.0-11.255.255.255: TUNNEL by r1, then TUNNEL by r0',
  ]);
});

test('one rule among a thousand is told', () => {
  const many = Array.from(
    { length: 1_000 },
    (_, i): Written => [
      'TUNNEL',
      [`login-${i}.example.com:443`, `*.tenant-${i}.example.net`, `10.${i >> 8}.${i & 255}.0/24`],
    ],
  );
  const changed = many.with(77, [
    'BLOCK',
    ['*.tenant-77.example.net', 'login-77.example.com:443', '10.0.77.0/24'],
  ]);
  assert.equal(told(fileOf(many), fileOf(changed)).length, 3);
});

/** Rules for names and addresses in turn, as they grow over years. */
const grown = Array.from(
  { length: 1_000 },
  (_, i): Written => [
    ['TUNNEL', 'BYPASS', 'BLOCK'][i % 3] ?? '',
    [`.corp-${i}.example:443`, `10.${i >> 8}.${i & 255}.0/24`],
    { id: `c${i}` },
  ],
);
const [moved = grown[0]] = grown.slice(900);
const wide = (...destinations: readonly string[]): Written => [
  'BLOCK',
  destinations,
  { id: 'wide' },
];

// What a rule for addresses changes for names is a line for every name rule, times every address rule it takes from: with
// 10 000 rules it took minutes and gigabytes.
const edits: readonly (readonly [name: string, after: readonly Written[], most: number])[] = [
  ['a rule moved to the top', [moved ?? wide('*'), ...grown.filter((one) => one !== moved)], 20],
  ['a rule moved to the end', [...grown.slice(1), ...grown.slice(0, 1)], 20],
  ['a block of addresses at the top', [wide('10.0.0.0/8'), ...grown], 1_010],
  ['every address at the top', [wide('0.0.0.0/0', '::/0'), ...grown], 1_020],
  ['a wildcard at the top', [wide('*:443'), ...grown], 4_010],
  ['a list turned round', grown.toReversed(), 5_000],
];

for (const [name, after, most] of edits) {
  test(`${name} of a thousand rules that name hosts and addresses is told in few lines`, () => {
    const changes = diffRules(fileOf(grown), fileOf(after), now).flatMap((one) => one.changes);
    assert.ok(changes.length > 0 && changes.length <= most, `${changes.length}`);
  });
}

test('what many rules have in common is told once, with the earliest of them as the example', () => {
  const few = grown.slice(0, 12);
  const lines = told(fileOf(few), fileOf([wide('10.0.0.0/8'), ...few]));
  assert.deepEqual(
    lines.filter((line) => line.startsWith('leading')),
    ['leading 10.0.1.0-10.255.255.255: TUNNEL by c0, then BLOCK by wide'],
  );
});

test('a rule moved down from the middle is told for its name and for its addresses', () => {
  const middle = grown.slice(500, 501);
  const after = [...grown.filter((one) => !middle.includes(one)), ...middle];
  // Later address rules now come before its name, and later names and addresses before its addresses.
  assert.deepEqual(told(fileOf(grown), fileOf(after)).toSorted(), [
    'leading *.corp-500.example and :443-443: BLOCK by c500, then TUNNEL by c501',
    'leading 10.1.244.0-10.1.244.255 and : BLOCK by c500, then TUNNEL by c501',
    'leading 10.1.244.0-10.1.244.255: BLOCK by c500, then TUNNEL by c501',
    'leading corp-500.example and :443-443: BLOCK by c500, then TUNNEL by c501',
  ]);
});

test('of a rule that names a host and an address only the address changes when another rule takes that', () => {
  const both: Written = ['TUNNEL', ['a.com', '10.0.0.0/8'], { id: 'both' }];
  assert.deepEqual(told(fileOf([both]), fileOf([wide('10.0.0.0/8'), both])), [
    'addresses 10.0.0.0-10.255.255.255: TUNNEL by both, then BLOCK by wide',
  ]);
  const ten: Written = ['BLOCK', ['10.0.0.0/8'], { id: 'ten' }];
  const eleven = (id: string): Written => ['BLOCK', ['11.0.0.0/8'], { id }];
  const after = [ten, eleven('new'), both, eleven('old')];
  assert.deepEqual(told(fileOf([both, eleven('old')]), fileOf(after)), [
    'leading a.com and 11.0.0.0-11.255.255.255: TUNNEL by both, then BLOCK by new',
    'addresses 10.0.0.0-10.255.255.255: TUNNEL by both, then BLOCK by ten',
    'addresses 11.0.0.0-11.255.255.255: BLOCK by old, then BLOCK by new',
  ]);
});

test('a name that a rule has come to name itself is told once, not again for where it leads', () => {
  const named = (...names: readonly string[]): Written => ['TUNNEL', names, { id: 'named' }];
  const ten = (...destinations: readonly string[]): Written => [
    'BLOCK',
    destinations,
    { id: 'ten' },
  ];
  const before = [named('a.com', 'b.com'), ten('10.0.0.0/8')];
  const after = [ten('10.0.0.0/8', 'a.com'), named('b.com')];
  assert.deepEqual(told(fileOf(before), fileOf(after)), [
    'names a.com: TUNNEL by named, then BLOCK by ten',
    'leading b.com and 10.0.0.0-10.255.255.255: TUNNEL by named, then BLOCK by ten',
  ]);
});

test('names that lead to two addresses are told though the names of other rules all stand before', () => {
  const at = (id: string, action: string, address: string): Written => [action, [address], { id }];
  const p = at('p', 'TUNNEL', '10.0.0.1');
  const q = at('q', 'BLOCK', '10.0.0.2');
  const r = at('r', 'BYPASS', '10.0.0.3');
  const s = at('s', 'BLOCK', '10.0.0.4');
  const all: Written = ['TUNNEL', ['*.*', '*'], { id: 'all' }];
  // After, `all` leaves `p` and `s` no name to decide, but `q` stands above it.
  assert.deepEqual(told(fileOf([r, p, s, q, all]), fileOf([q, all, p, s, r])), [
    'leading *.* and 10.0.0.3: BYPASS by r, then TUNNEL by all',
    'leading *.* and 10.0.0.1: TUNNEL by p, then TUNNEL by all',
    'leading *.* and 10.0.0.4: BLOCK by s, then TUNNEL by all',
    'leading * and 10.0.0.3 and 10.0.0.2: BYPASS by r, then BLOCK by q',
    'leading * and 10.0.0.1 and 10.0.0.2: TUNNEL by p, then BLOCK by q',
    'leading * and 10.0.0.4 and 10.0.0.2: BLOCK by s, then BLOCK by q',
    'addresses 10.0.0.1: TUNNEL by p, then TUNNEL by all',
    'addresses 10.0.0.3: BYPASS by r, then TUNNEL by all',
    'addresses 10.0.0.4: BLOCK by s, then TUNNEL by all',
  ]);
});

test('wildcards that no name or no port has in common are told apart, and what they share is told', () => {
  const one = (destination: string): Written => ['TUNNEL', [destination], { id: 'one' }];
  const other = (destination: string): Written => ['BLOCK', [destination], { id: 'other' }];
  assert.deepEqual(told(fileOf([one('*.a.com:80')]), fileOf([other('*.a.com:443')])), [
    'names *.a.com:80-80: TUNNEL by one, then BYPASS by default',
    'names *.a.com:443-443: BYPASS by default, then BLOCK by other',
  ]);
  assert.deepEqual(told(fileOf([one('a*')]), fileOf([other('b*')])), [
    'names a*: TUNNEL by one, then BYPASS by default',
    'names b*: BYPASS by default, then BLOCK by other',
  ]);
  assert.deepEqual(told(fileOf([one('a*')]), fileOf([other('*.com')])), [
    'names a* and *.com: TUNNEL by one, then BLOCK by other',
    'names a*: TUNNEL by one, then BYPASS by default',
    'names *.com: BYPASS by default, then BLOCK by other',
  ]);
});

test('what other wildcards take only together does not change', () => {
  const ends = Array.from('abcdefghijklmnopqrstuvwxyz0123456789_-', (one) => `*${one}`);
  const rules = (action: string) =>
    fileOf([
      ['TUNNEL', ends],
      [action, ['*x*']],
    ]);
  assert.deepEqual(told(rules('TUNNEL'), rules('BLOCK')), []);
});

test('names that lead to two addresses are told for the ports at which a name is left', () => {
  const ten: Written = ['TUNNEL', ['10.0.0.0/8:443'], { id: 'ten' }];
  const eleven: Written = ['BLOCK', ['11.0.0.0/8:443'], { id: 'eleven' }];
  const all: Written = ['TUNNEL', ['*:443'], { id: 'all' }];
  assert.deepEqual(told(fileOf([ten, eleven, all]), fileOf([eleven, ten, all])), [
    'leading * and 10.0.0.0-10.255.255.255 and 11.0.0.0-11.255.255.255:443-443: TUNNEL by ten, then BLOCK by eleven',
  ]);
});

test('many names of one rule are told together where they lead to what another takes', () => {
  const names = Array.from({ length: 12 }, (_, i) => `n${i}.com`);
  const many: Written = ['TUNNEL', names, { id: 'many' }];
  assert.deepEqual(told(fileOf([many]), fileOf([wide('10.0.0.0/8'), many])), [
    'leading 10.0.0.0-10.255.255.255: TUNNEL by many, then BLOCK by wide',
    'addresses 10.0.0.0-10.255.255.255: BYPASS by default, then BLOCK by wide',
  ]);
});
