// The sign-on policy asked from outside: who could sign in, which rule says so, and the whole table.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ADMIN_TOKEN, makeIdpFolder } from '../support/idp-folder.ts';
import { startZonegate, zonegate } from '../support/program.ts';

const hash = `scrypt$1024$8$1$${'s'.repeat(22)}$${'h'.repeat(43)}`;
const SIGN_ON = `rules:
  - name: staff on managed devices
    people: { groups: [staff] }
    network: { zones: [egress] }
    device: { registered: true, managed: true, compliant: true }
    access: ALLOW
  - name: "=everybody, else"
    access: DENY
    message: Only from a company device.
exceptions:
  - { name: laptop in repair, users: [bob], until: "2026-07-01T00:00:00Z", reason: repair }
tests:
  - { name: a healthy device, user: ann, groups: [staff], zones: [egress], client: office365, device: { registered: true, managed: true, compliant: true }, expect: ALLOW }
  - { name: any other device, user: ann, groups: [staff], zones: [egress], client: office365, expect: DENY }
  - { name: in repair, user: bob, zones: [], client: office365, at: "2026-06-30T00:00:00Z", expect: ALLOW, rule: laptop in repair }
  - { name: repaired, user: bob, zones: [], client: office365, at: "2026-07-01T00:00:00Z", expect: DENY }
`;

const stack = new AsyncDisposableStack();
let config: string;
let adminPort = 0;
before(async () => {
  const made = await makeIdpFolder({
    idp: `  users:
    - { name: ann, password: "${hash}", groups: [staff] }
    - { name: bob, password: "${hash}" }
  clients:
    - { id: office365, public: true, redirectUris: ["https://app.example/cb"] }
  trustedProxies: [10.0.0.5]
  authz: { peers: [10.0.0.5], apps: [wiki] }
`,
    files: {
      'zones.yaml': 'zones: [{ name: egress, gateways: 203.0.113.8 }]\n',
      'sign-on.yaml': SIGN_ON,
    },
  });
  stack.use(made);
  ({ config, adminPort } = made);
});
after(() => stack.disposeAsync());

const simulate = (...args: readonly string[]) =>
  zonegate('policy', 'simulate', '--app', 'office365', '--config', config, ...args);

test('what proxies ask about is an application like the others', async () => {
  const { code, stdout, stderr } = await simulate(
    '--user',
    'bob',
    '--zone',
    'egress',
    '--app',
    'wiki',
  );
  assert.equal(code, 1, stderr);
  assert.match(stdout, /bob.* to wiki/);
  assert.match(
    (await simulate('--user', 'bob', '--zone', 'egress', '--app', 'mail')).stderr,
    /are: office365, wiki/,
  );
});

test('only managed devices: the rule that lets in, and the device it takes', async () => {
  const ann = ['--user', 'ann', '--ip', '203.0.113.8'] as const;
  const healthy = await simulate(...ann, '--device', 'managed', 'compliant');
  assert.equal(healthy.code, 0, healthy.stderr);
  assert.match(healthy.stdout, /^ann \(staff\) could sign in to office365 from egress: `staff on/);
  assert.match(healthy.stdout, /^> staff on managed devices +ALLOW +MATCH +.*sign-on\.yaml:2$/m);
  const unhealthy = await simulate(...ann, '--device', 'managed', 'non-compliant');
  assert.equal(unhealthy.code, 1);
  assert.match(unhealthy.stdout, /sign-on\.device: Only from a company device\./);
  assert.match(unhealthy.stdout, /^ {2}staff on .* NOT_MATCH +device NOT_MATCH/m);
});

test('what is not known is UNDEFINED, and every rule is told to programs', async () => {
  const ran = await simulate('--user', 'ann', '--zone', 'egress', '--json');
  assert.equal(ran.code, 1);
  const { action, reason, rule, rules } = JSON.parse(ran.stdout) as Record<string, unknown>;
  assert.deepEqual([action, reason, rule], ['deny', 'sign-on.device', '=everybody, else']);
  assert.deepEqual(rules, [
    {
      name: 'staff on managed devices',
      access: 'ALLOW',
      report_only: false,
      line: 2,
      status: 'UNDEFINED',
      conditions: [
        { condition: 'people', status: 'MATCH' },
        { condition: 'network', status: 'MATCH' },
        { condition: 'device', status: 'UNDEFINED' },
      ],
    },
    {
      name: '=everybody, else',
      access: 'DENY',
      report_only: false,
      line: 7,
      status: 'MATCH',
      conditions: [],
    },
  ]);
});

test('an exception lets in until its end', async () => {
  const bob = ['--user', 'bob', '--ip', '192.0.2.1', '--at'] as const;
  const before = await simulate(...bob, '2026-06-30T23:59:59Z');
  assert.match(before.stdout, /^bob \(no groups\) could sign in .*: `laptop in repair`$/m);
  assert.equal((await simulate(...bob, '2026-07-01T00:00:00Z')).code, 1);
});

const misused: readonly (readonly [readonly string[], RegExp])[] = [
  [['--user', 'ann'], /either --ip or --zone/],
  [['--user', 'ann', '--ip', '10.0.0.1', '--zone', 'egress'], /either --ip or --zone/],
  [['--user', 'ann', '--ip', '127.1'], /is not an IP address/],
  [['--user', 'ann', '--zone', 'egres'], /there is no zone for rules `egres`/],
  [['--user', 'ann', '--zone', 'egress', '--app', 'x'], /applications are: office365/],
  [['--user', 'ann', '--zone', 'egress', '--device', 'managed', 'unmanaged'], /two things/],
  [['--user', 'ann', '--zone', 'egress', '--at', 'noon'], /not a moment/],
];
for (const [args, said] of misused) {
  test(`policy simulate ${args.join(' ')} is wrong usage`, async () => {
    const { code, stderr } = await simulate(...args);
    assert.equal(code, 2);
    assert.match(stderr, said);
  });
}

test('the sweep is every user, place, device and application, and no formula for a spreadsheet', async () => {
  const csv = await zonegate('policy', 'sweep', '--csv', '--config', config);
  const lines = csv.stdout.trimEnd().split('\n');
  assert.equal(lines.length, 1 + 2 * 2 * 2 * 5);
  assert.equal(lines[0], 'user,app,place,device,result,by');
  const passing = lines.filter((line) => line.includes(',ALLOW,'));
  assert.deepEqual(
    passing,
    ['office365', 'wiki'].map(
      (app) => `ann,${app},egress,compliant,ALLOW,staff on managed devices`,
    ),
  );
  assert.ok(lines.includes(`ann,office365,-,compliant,sign-on.outside_zone,"'=everybody, else"`));
  const table = await zonegate('policy', 'sweep', '--user', 'ann', '--config', config);
  assert.match(table.stdout, /^user +app +place +device +result +by$/m);
  assert.doesNotMatch(table.stdout, /^bob/m);
});

const context = { user: { id: 'ann' }, ip: '203.0.113.8' };
const healthy = { platform: 'IOS', registered: true, managed: true, compliant: true };

// What is wrong with a body, and the words that say so.
const badBodies: readonly (readonly [unknown, RegExp])[] = [
  [null, /expected object/],
  [[], /at least|Too small/i],
  [{ appInstance: 'x', policyContext: context }, /question 0: there is no application `x`/],
  [{ appInstance: 'office365', policyContext: { ...context, user: { id: 'x' } } }, /no user `x`/],
  [{ appInstance: 'office365', policyContext: { ip: '10.0.0.1' } }, /either `user` or `groups`/],
  [
    { appInstance: 'office365', policyContext: { ...context, groups: { ids: [] } } },
    /either `user` or `groups`/,
  ],
  [{ appInstance: 'office365', policyContext: { ...context, ip: '127.1' } }, /not an IP address/],
  [
    { appInstance: 'office365', policyContext: { ...context, zones: { ids: [] } } },
    /either `ip` or `zones`/,
  ],
  [
    { appInstance: 'office365', policyContext: { user: { id: 'ann' }, zones: { ids: ['x'] } } },
    /no zone for rules `x`/,
  ],
  [{ appInstance: 'office365', policyContext: { ...context, elevated: true } }, /elevated/],
];

test('the admin API takes the body of the field and answers in its words', async (t) => {
  await using running = startZonegate('serve', '--config', config);
  await running.shows('ready');
  const post = async (body: unknown, token = ADMIN_TOKEN) => {
    const response = await fetch(`http://127.0.0.1:${adminPort}/api/v1/policies/simulate`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, answer: (await response.json()) as Record<string, unknown> };
  };
  const ask = (policyContext: object) => post([{ appInstance: 'office365', policyContext }]);
  const told = ({ answer }: Awaited<ReturnType<typeof post>>) => {
    const [one] = answer['evaluation'] as readonly Told[];
    assert.ok(one);
    const statuses = one.evaluated.policies[0]?.rules.map(({ status }) => status);
    return { ...one.zonegate, statuses };
  };

  await t.test('who may, and which rule says so', async () => {
    const { access, rule, statuses } = told(await ask({ ...context, device: healthy }));
    assert.deepEqual([access, rule], ['ALLOW', 'staff on managed devices']);
    assert.deepEqual(statuses, ['MATCH', 'MATCH']);
  });
  await t.test('what is not said is UNDEFINED', async () => {
    const unknown = told(await ask({ groups: { ids: ['staff'] }, device: healthy }));
    assert.deepEqual([unknown.access, unknown.reason], ['DENY', 'sign-on.zone_unknown']);
    assert.deepEqual(unknown.statuses, ['UNDEFINED', 'MATCH']);
    const zoned = told(await ask({ user: { id: 'ann' }, zones: { ids: ['egress'] } }));
    assert.deepEqual([zoned.access, zoned.reason], ['DENY', 'sign-on.device']);
  });
  await t.test('one question needs no list', async () => {
    const { status } = await post({ appInstance: 'office365', policyContext: context });
    assert.equal(status, 200);
  });
  for (const [body, said] of badBodies) {
    await t.test(`${JSON.stringify(body)} is a bad request`, async () => {
      const { status, answer } = await post(body);
      assert.equal(status, 400);
      assert.match(String(answer['detail']), said);
    });
  }
  await t.test('nobody asks without the token', async () => {
    assert.equal((await post([], 'another-token-of-no-use')).status, 401);
  });
});

interface Told {
  readonly evaluated: {
    readonly policies: readonly { readonly rules: readonly { readonly status: string }[] }[];
  };
  readonly zonegate: { readonly access: string; readonly rule: string; readonly reason: string };
}
