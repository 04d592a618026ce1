// The decision endpoint over real TLS: who may ask, for whom and for what, and what a proxy gets to know.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { HELP, INSIDE, OUTSIDE, type Running, startIdpZone } from './running.ts';

const PROXY = '127.0.0.20'; // declared, and may ask
const BALANCER = '127.0.0.30'; // declared, may not ask
const SIGN_IN = 'https://login.example.test/start';
const BLOCKED = '203.0.113.66';

const stack = new AsyncDisposableStack();
let running: Running;

before(async () => {
  running = await startIdpZone({
    zones: {
      zones: [
        { name: 'egress', gateways: [INSIDE], proxies: [PROXY, BALANCER] },
        { name: 'bad', usage: 'BLOCKLIST', gateways: [BLOCKED] },
      ],
    },
    config: {
      trustedProxies: [PROXY, BALANCER],
      authz: {
        peers: [PROXY],
        apps: ['wiki', 'mail'],
        appField: 'X-App',
        userField: 'Remote-User',
        groupsField: 'Remote-Groups',
        signIn: SIGN_IN,
      },
    },
  });
  stack.defer(() => running.close());
});
after(() => stack.disposeAsync());

interface Question {
  readonly name: string;
  readonly from?: string;
  readonly path?: string;
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly fields?: Record<string, string | string[]>;
  readonly status: number;
  readonly reason?: string;
}

const STAFF = { 'remote-user': 'ann', 'remote-groups': 'dev, staff' };
const forwarded = (value: string) => ({ ...STAFF, 'x-forwarded-for': value });
const ok = { status: 200 } as const;
const outside = { status: 403, reason: 'sign-on.outside_zone' } as const;
const noClient = { status: 403, reason: 'sign-on.no_client' } as const;
const noProxy = { status: 403, reason: 'sign-on.proxy' } as const;
const noApp = { status: 403, reason: 'sign-on.application' } as const;
const unknown = { status: 401, reason: 'sign-on.person_unknown' } as const;

const questions: readonly Question[] = [
  { name: 'from the zone', fields: forwarded(INSIDE), ...ok },
  { name: 'from elsewhere', fields: forwarded('192.0.2.1'), ...outside },

  // Who may ask.
  { name: 'a client that asks for itself', from: OUTSIDE, fields: forwarded(INSIDE), ...noProxy },
  { name: 'a client inside the zone', from: INSIDE, fields: forwarded(INSIDE), ...noProxy },
  { name: 'a proxy that may not ask', from: BALANCER, fields: forwarded(INSIDE), ...noProxy },

  // What a client sends ahead stands to the left of what the proxy adds.
  { name: 'spoofed first', fields: forwarded(`${INSIDE}, 192.0.2.1`), ...outside },
  { name: 'spoofed twice', fields: forwarded(`${INSIDE}, ${INSIDE}, 192.0.2.1`), ...outside },
  { name: 'spoofed proxy', fields: forwarded(`${INSIDE}, ${PROXY}, 192.0.2.1`), ...outside },
  { name: 'behind a declared one', fields: forwarded(`192.0.2.1, ${BALANCER}`), ...outside },
  {
    name: 'spoofed behind a declared one',
    fields: forwarded(`${INSIDE}, 192.0.2.1, ${BALANCER}`),
    ...outside,
  },
  { name: 'true behind a declared one', fields: forwarded(`${INSIDE}, ${BALANCER}`), ...ok },
  { name: 'true, with something sent ahead', fields: forwarded(`192.0.2.1, ${INSIDE}`), ...ok },
  {
    name: 'two fields are one list',
    fields: { ...STAFF, 'x-forwarded-for': [INSIDE, '192.0.2.1'] },
    ...outside,
  },
  {
    name: 'the field nobody declared',
    fields: { ...STAFF, forwarded: `for=${INSIDE}` },
    ...noClient,
  },
  { name: 'X-Real-IP', fields: { ...STAFF, 'x-real-ip': INSIDE }, ...noClient },

  // A proxy that does not say for whom it asks is not asking for itself.
  { name: 'no field', fields: STAFF, ...noClient },
  { name: 'an empty field', fields: forwarded(''), ...noClient },
  { name: 'its own address', fields: forwarded(PROXY), ...noClient },
  { name: 'proxies only', fields: forwarded(`${BALANCER}, ${PROXY}`), ...noClient },
  { name: 'nobody by name', fields: forwarded('unknown'), ...noClient },
  { name: 'nobody behind a proxy', fields: forwarded(`${INSIDE}, _x, ${BALANCER}`), ...noClient },

  // For what.
  { name: 'an unknown application', path: '/authz/other', fields: forwarded(INSIDE), ...noApp },
  { name: 'no application', path: '/authz', fields: forwarded(INSIDE), ...noApp },
  {
    name: 'in the field',
    path: '/authz?x=1',
    fields: { ...forwarded(INSIDE), 'x-app': 'mail' },
    ...ok,
  },
  {
    name: 'in the field, twice',
    path: '/authz',
    fields: { ...forwarded(INSIDE), 'x-app': ['mail', 'mail'] },
    ...noApp,
  },
  {
    name: 'the path before the field',
    path: '/authz/other',
    fields: { ...forwarded(INSIDE), 'x-app': 'mail' },
    ...noApp,
  },
  { name: 'encoded', path: '/authz/wik%69', fields: forwarded(INSIDE), ...noApp },
  { name: 'empty', path: '/authz//wiki', fields: forwarded(INSIDE), ...noApp },
  {
    name: 'with the path that was asked for',
    path: '/authz/wiki/../mail?/authz/x',
    fields: forwarded(INSIDE),
    ...ok,
  },
  { name: 'whatever the method', method: 'DELETE', fields: forwarded(INSIDE), ...ok },
  {
    name: 'whatever the host',
    fields: { ...forwarded(INSIDE), host: 'wiki.example.test' },
    ...ok,
  },

  // As their documentation says they ask.
  {
    name: 'Traefik',
    fields: {
      ...forwarded(INSIDE),
      'x-forwarded-method': 'POST',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'wiki.example.test',
      'x-forwarded-uri': '/page?x=1',
    },
    ...ok,
  },
  {
    name: 'Envoy, of whatever was asked for',
    path: '/authz/wiki/authz/mail?x=1',
    method: 'POST',
    fields: { ...forwarded(INSIDE), host: 'wiki.example.test', 'content-length': '0' },
    ...ok,
  },

  // Who it is.
  { name: 'nobody said who', fields: { 'x-forwarded-for': INSIDE }, ...unknown },
  { name: 'nobody said who, outside', fields: { 'x-forwarded-for': '192.0.2.1' }, ...outside },
  {
    name: 'said twice',
    fields: { ...forwarded(INSIDE), 'remote-user': ['eve', 'ann'] },
    ...unknown,
  },
  { name: 'an empty name', fields: { ...forwarded(INSIDE), 'remote-user': '' }, ...unknown },
  { name: 'not UTF-8', fields: { ...forwarded(INSIDE), 'remote-user': 'ann\xe9' }, ...unknown },
  {
    name: 'too long',
    fields: { ...forwarded(INSIDE), 'remote-user': 'a'.repeat(2000) },
    ...unknown,
  },
  {
    name: 'groups said twice',
    fields: { ...forwarded(INSIDE), 'remote-groups': ['guests', 'staff'] },
    ...unknown,
  },
  {
    name: 'no groups',
    fields: { 'x-forwarded-for': INSIDE, 'remote-user': 'ann' },
    ...unknown,
  },
  {
    name: 'other groups',
    fields: { ...forwarded(INSIDE), 'remote-groups': 'staffer,not staff' },
    status: 403,
    reason: 'sign-on.rule',
  },

  // Before everything.
  {
    name: 'a blocked hop',
    fields: forwarded(`${BLOCKED}, ${INSIDE}`),
    status: 403,
    reason: 'sign-on.blocked',
  },
];

for (const { name, from = PROXY, path = '/authz/wiki', method, fields, ...expected } of questions) {
  test(`a proxy asks: ${name}`, async () => {
    const given = { method: method ?? 'GET', headers: fields ?? {} } as const;
    const { status, headers, text } = await running.send(from, path, given);
    assert.equal(status, expected.status, text);
    assert.equal(headers['x-zonegate-reason'], expected.reason);
    assert.match(String(headers['x-zonegate-id']), /^[0-9a-f-]{36}$/);
    assert.equal(headers['www-authenticate'], status === 401 ? 'Zonegate' : undefined);
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(text === '', status === 200);
  });
}

test('a denial carries what the person should read, and where to go', async () => {
  const denied = await running.send(PROXY, '/authz/wiki', { headers: forwarded('192.0.2.1') });
  assert.equal(denied.headers['x-zonegate-help'], HELP);
  assert.equal(denied.headers['x-zonegate-sign-in'], undefined);
  assert.match(denied.text, /Only through the tunnel\./);
  assert.match(denied.text, /192\.0\.2\.1/);
  const asked = await running.send(PROXY, '/authz/wiki', {
    headers: { 'x-forwarded-for': INSIDE },
  });
  assert.equal(asked.headers['x-zonegate-sign-in'], SIGN_IN);
  assert.match(asked.text, /href="https:\/\/login\.example\.test\/start">Sign in/);
});

test('each question is counted and logged, by the id that the answer has', async () => {
  const before = await running.metrics.text();
  const allowed = await running.send(PROXY, '/authz/wiki', { headers: forwarded(INSIDE) });
  const refused = await running.send(OUTSIDE, '/authz/wiki', { headers: forwarded(INSIDE) });
  const lineOf = ({ headers }: typeof allowed) =>
    running.logged.find((line) => line['zonegate.id'] === headers['x-zonegate-id']);
  const { time: _, ...line } = lineOf(allowed) ?? {};
  assert.equal(line['zonegate.at'], 'authz');
  assert.equal(line['user.name'], 'ann');
  assert.equal(line['zonegate.client'], 'wiki');
  assert.equal(line['client.address'], INSIDE);
  assert.equal(line['network.peer.address'], PROXY);
  assert.deepEqual(line['zonegate.zones'], ['egress']);
  assert.equal(line['zonegate.rule'], 'staff through the tunnel');
  assert.equal(lineOf(refused)?.['zonegate.reason'], 'sign-on.proxy');
  assert.equal(lineOf(refused)?.['zonegate.at'], 'authz');
  const now = await running.metrics.text();
  for (const outcome of ['allow', 'sign-on.proxy']) {
    assert.equal(count(now, outcome) - count(before, outcome), 1, outcome);
  }
});

function count(metrics: string, outcome: string): number {
  const line = `zonegate_authz_decisions_total{outcome="${outcome}"} `;
  return Number(metrics.split(line)[1]?.split('\n')[0]);
}

test('changed zones are in force at the next question', async (t) => {
  const { policyOf, SIGN_ON, ZONES } = await import('./running.ts');
  const own = await startIdpZone({
    config: {
      trustedProxies: [PROXY],
      authz: { peers: [PROXY], apps: ['wiki'], userField: 'User' },
    },
  });
  t.after(() => own.close());
  const ask = async () => {
    const headers = { 'x-forwarded-for': INSIDE, user: 'ann' };
    return (await own.send(PROXY, '/authz/wiki', { headers })).status;
  };
  assert.equal(await ask(), 403, 'the zone does not name the proxy');
  const [egress] = ZONES.zones;
  own.idp.update(policyOf({ zones: [{ ...egress, proxies: [PROXY] }] }, SIGN_ON));
  assert.equal(await ask(), 200, 'with the groups of the directory');
});

test('without `authz` there is no such endpoint', async (t) => {
  const own = await startIdpZone({ config: { trustedProxies: [PROXY] } });
  t.after(() => own.close());
  const answer = await own.send(PROXY, '/authz/wiki', { headers: forwarded(INSIDE) });
  assert.equal(answer.status, 404);
});
