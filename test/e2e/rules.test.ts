// `zonegate rules`: what each tool prints, and how it ends.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { root, run, zonegate } from '../support/program.ts';

const rules = `ruleSets:
  - name: staff
    defaultAction: BYPASS
    rules:
      - id: okta
        action: TUNNEL
        destinations: [acme.okta.com, "b.example, *tenant.example.com"]
      - id: never
        action: BLOCK
        destinations: [evil.acme.okta.com, acme.okta.com]
tests:
  - name: okta is tunnelled
    accept: ["acme.okta.com:443"]
  - name: nobody else is
    deny: ["evil.example:443", "b.example:443"]
`;

async function folderWith(files: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'zonegate-rules-'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return {
    path: (name: string) => join(folder, name),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

test('rules test names each test, and for one that fails the place, what came and what was expected', async () => {
  await using folder = await folderWith({ 'dtr.yaml': rules });
  const { code, stdout } = await zonegate('rules', 'test', folder.path('dtr.yaml'));
  assert.equal(code, 1);
  assert.match(stdout, /^ok +okta is tunnelled \(1 target\)$/m);
  assert.match(stdout, /^FAIL nobody else is$/m);
  assert.match(
    stdout,
    /dtr\.yaml:15:32: `b\.example:443` is TUNNEL by rule `okta` of set `staff`, expected neither/,
  );
  assert.match(stdout, /^1 of 2 tests failed$/m);
  const json = await zonegate('rules', 'test', folder.path('dtr.yaml'), '--json');
  const { ok, tests } = JSON.parse(json.stdout);
  assert.deepEqual([ok, tests[0].ok, tests[1].failures[0].line], [false, true, 15]);
});

test('rules lint names the place of a destination, also inside a pasted list, and fails on an error', async () => {
  await using folder = await folderWith({ 'dtr.yaml': rules });
  const { code, stdout } = await zonegate('rules', 'lint', folder.path('dtr.yaml'));
  assert.equal(code, 1);
  assert.match(
    stdout,
    /dtr\.yaml:7:39: warning: `\*tenant\.example\.com` of rule `okta` also takes `evil/,
  );
  assert.match(stdout, /dtr\.yaml:10:44: error: `acme\.okta\.com` of rule `never` never matches/);
  assert.match(stdout, /^ {4}fix: write `\.tenant\.example\.com`/m);
});

test('rules lint lets warnings pass, and with --strict does not', async () => {
  await using folder = await folderWith({ 'dtr.yaml': rules.replace(/, acme\.okta\.com\]/, ']') });
  const file = folder.path('dtr.yaml');
  assert.equal((await zonegate('rules', 'lint', file)).code, 0);
  const strict = await zonegate('rules', 'lint', file, '--strict', '--json');
  assert.equal(strict.code, 1);
  const { ok, findings } = JSON.parse(strict.stdout);
  assert.equal(ok, false);
  assert.deepEqual(findings.map(({ check }: { check: string }) => check).slice(0, 2), [
    'untested-rules',
    'no-dot-wildcard',
  ]);
});

test('a rule file that cannot be read ends with 2, with its issues', async () => {
  await using folder = await folderWith({ 'dtr.yaml': 'ruleSets: []\n' });
  for (const tool of ['test', 'lint']) {
    const { code, stderr } = await zonegate('rules', tool, folder.path('dtr.yaml'));
    assert.equal(code, 2);
    assert.match(stderr, /dtr\.yaml:1:11: the list is empty/);
    assert.equal((await zonegate('rules', tool, folder.path('none.yaml'))).code, 2);
  }
});

test('rules diff says which destinations change, from what to what, and ends with 1 when one does', async () => {
  const changed = rules.replace('[acme.okta.com, ', '["*.okta.com:443", ');
  await using folder = await folderWith({ 'a.yaml': rules, 'b.yaml': changed });
  const [a, b] = [folder.path('a.yaml'), folder.path('b.yaml')];
  const { code, stdout } = await zonegate('rules', 'diff', a, b);
  assert.equal(code, 1);
  assert.match(stdout, /^healthy devices \(rule set staff\)$/m);
  assert.match(
    stdout,
    /^ {2}\*\.okta\.com:443: BYPASS \(by default\) → TUNNEL \(rule okta\), for example /m,
  );
  assert.match(
    stdout,
    /^ {2}acme\.okta\.com:1-442,444-65535: TUNNEL \(rule okta\) → BLOCK \(rule never\)/m,
  );
  const json = JSON.parse((await zonegate('rules', 'diff', a, b, '--json')).stdout);
  assert.deepEqual(
    [json.same, json.differences[0].rule_set],
    [false, { before: 'staff', after: 'staff' }],
  );
  const same = await zonegate('rules', 'diff', a, a);
  assert.deepEqual([same.code, same.stdout], [0, 'nothing is decided differently\n']);
});

test('rules test, lint and diff read `-` from standard input, one of the two for diff', async () => {
  await using folder = await folderWith({ 'a.yaml': rules });
  const piped = (input: string, ...args: readonly string[]) =>
    run(process.execPath, ['cli/main.ts', 'rules', ...args], { input, cwd: root });
  assert.match((await piped(rules, 'test', '-')).stdout, /^ {5}-:15:32: /m);
  assert.match((await piped(rules, 'lint', '-')).stdout, /^-:7:39: warning/m);
  const bad = await piped('ruleSets: []\n', 'lint', '-');
  assert.deepEqual([bad.code, /^-:1:11: the list is empty/m.test(bad.stderr)], [2, true]);
  const a = folder.path('a.yaml');
  for (const order of [
    ['-', a],
    [a, '-'],
  ]) {
    assert.equal((await piped(rules, 'diff', ...order)).code, 0);
    assert.equal((await piped(rules.replace('BLOCK', 'BYPASS'), 'diff', ...order)).code, 1);
  }
  const both = await piped(rules, 'diff', '-', '-');
  assert.deepEqual([both.code, /only one of the two/.test(both.stderr)], [2, true]);
});

test('rules diff tells together what one rule changes for many others, and says when it takes long', async () => {
  const set = (count: number, first: string) => ({
    name: 'staff',
    defaultAction: 'BYPASS',
    rules: [
      ...(first === '' ? [] : [{ id: 'wide', action: 'BLOCK', destinations: [first] }]),
      ...Array.from({ length: count }, (_, i) => ({
        id: `r${i}`,
        action: 'TUNNEL',
        destinations: [`a-${i}.example`, `10.${2 * i}.0.0/16`],
      })),
    ],
  });
  const file = (count: number, first: string) => JSON.stringify({ ruleSets: [set(count, first)] });
  await using folder = await folderWith({
    'a.yaml': file(20, ''),
    'b.yaml': file(20, '10.0.0.0/8'),
    'long.yaml': JSON.stringify({
      ruleSets: [
        {
          ...set(0, ''),
          rules: Array.from({ length: 2_001 }, (_, i) => ({
            id: `r${i}`,
            action: 'TUNNEL',
            destinations: [`a-${i}.example`],
          })),
        },
      ],
    }),
  });
  const [a, b] = [folder.path('a.yaml'), folder.path('b.yaml')];
  assert.match(
    (await zonegate('rules', 'diff', a, b)).stdout,
    /^ {2}names leading to 10\.1\.0\.0-10\.255\.255\.255: TUNNEL \(rule r0\) and others → BLOCK \(rule wide\), for example a-0\.example:443 at 10\.1\.0\.0$/m,
  );
  const lines = (await zonegate('rules', 'diff', b, a, '--json')).stdout;
  const { changes } = JSON.parse(lines).differences[0];
  assert.equal(
    changes.find(({ kind }: { kind: string }) => kind === 'leading').one_of_many,
    'after',
  );
  const long = folder.path('long.yaml');
  assert.match((await zonegate('rules', 'diff', long, long)).stderr, /^comparing 2001 rules/);
});

test('rules import writes a file that its tests and the linter take, and never writes over one', async () => {
  await using folder = await folderWith({});
  const out = folder.path('dtr.yaml');
  const from = [
    'rules',
    'import',
    '--from',
    'workspace-one',
    'deploy/import/workspace-one.example.json',
    '--out',
    out,
  ];
  const { code, stderr } = await zonegate(...from);
  assert.equal(code, 0);
  assert.match(stderr, /TUNNELPROXY with NTLM[\s\S]*4 pieces not carried over/);
  assert.equal((await zonegate('rules', 'test', out)).code, 0);
  assert.equal((await zonegate('rules', 'lint', out)).code, 0);
  const again = await zonegate(...from);
  assert.equal(again.code, 2);
  assert.match(again.stderr, /it exists, and is not written over/);
});

test('rules import refuses what is not of the product, with what was expected', async () => {
  await using folder = await folderWith({ 'rules.csv': 'a,b\n', 'rules.json': '{}' });
  for (const [from, file, expected] of [
    ['csv', 'rules.csv', /the first line has to name the columns/],
    ['workspace-one', 'rules.json', /neither `device_traffic_rule_set`/],
    ['workspace-one', 'rules.csv', /not JSON/],
    ['workspace-one-server', 'none.json', /cannot read/],
  ] as const) {
    const { code, stderr } = await zonegate('rules', 'import', '--from', from, folder.path(file));
    assert.equal(code, 2);
    assert.match(stderr, expected);
  }
});

test('without a file the one that the configuration names is taken', async () => {
  await using folder = await folderWith({
    'zonegate.yaml': 'rules: mine.yaml\n',
    'mine.yaml': rules,
  });
  const { code, stdout } = await zonegate(
    'rules',
    'lint',
    '--config',
    folder.path('zonegate.yaml'),
  );
  assert.equal(code, 1);
  assert.match(stdout, /mine\.yaml:7:39: warning/);
});
