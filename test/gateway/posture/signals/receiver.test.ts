// The door for security events as a sender, and as somebody else, meets it on the admin port (threats P10 to P13, I04).

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { CompactEncrypt, SignJWT } from 'jose';
import { Agent } from 'undici';
import { createPostureCache } from '../../../../gateway/posture/cache.ts';
import { createDeviceChanges } from '../../../../gateway/posture/device-changes.ts';
import { createExchange } from '../../../../gateway/posture/exchange.ts';
import {
  createFetchedKeys,
  fixedKeys,
  type IssuerKeys,
  parseKeySet,
} from '../../../../gateway/posture/signals/issuer-keys.ts';
import {
  createReceiver,
  type ReceiverOptions,
  type Whose,
} from '../../../../gateway/posture/signals/receiver.ts';
import { SourceError } from '../../../../gateway/posture/source.ts';
import { createAdmin } from '../../../../runtime/admin.ts';
import { createLog } from '../../../../runtime/log.ts';
import { createMetrics } from '../../../../runtime/metrics.ts';
import { createReadiness } from '../../../../runtime/readiness.ts';
import {
  AUDIENCE,
  CAEP,
  type Claims,
  claimsOf,
  complianceChange,
  ISSUER,
  makeKey,
  SSF,
  sessionRevoked,
  sign,
  startKeyServer,
  TOKEN,
} from '../../../support/signals.ts';
import { createClock, createFakeSource, healthyReport, settled } from '../fake-source.ts';

const DEVICE = 'device-good';
const key = await makeKey('k1');
const stranger = await makeKey('k1');

type Answers = Parameters<typeof createFakeSource>[0];
const healthy: Answers = (deviceId) => healthyReport({ deviceId });

async function setUp(
  t: TestContext,
  options: Partial<ReceiverOptions> & {
    readonly maxPending?: number;
    readonly maxInFlight?: number;
  } = {},
  answers: Answers = healthy,
) {
  const now = createClock();
  const source = createFakeSource(answers);
  const times = { maxAgeMs: 60_000, negativeMs: 60_000, deadlineMs: 5_000, recheckMs: 60_000 };
  const cache = createPostureCache({ source, ...times, maxDevices: 1_000, now });
  const lines: string[] = [];
  const stream = { write: (line: string) => lines.push(line) };
  const log = createLog({ level: 'debug', secrets: [], stream });
  const changes = createDeviceChanges({ ...options, cache, log });
  const outcomes: string[] = [];
  const ended: Whose[] = [];
  const streams: string[] = [];
  const receiver = createReceiver({
    name: 'okta',
    token: TOKEN,
    sender: { issuer: ISSUER, audience: [AUDIENCE], algorithms: ['ES256', 'RS256'] },
    keys: () => fixedKeys({ keys: [key.publicJwk] }),
    subjects: [
      { format: 'opaque', issuer: ISSUER, prefix: '', names: 'device', source: 'uem' },
      { format: 'email', issuer: ISSUER, prefix: '', names: 'user', source: 'uem' },
    ],
    maxAgeMs: 300_000,
    doubtWhenSilent: true,
    cache,
    changes,
    endSessions(whose) {
      ended.push(whose);
      return Promise.resolve([DEVICE]);
    },
    block: null,
    log,
    count: (outcome) => outcomes.push(outcome),
    mayCome: () => true,
    onStream: (status) => streams.push(status),
    now,
    ...options,
  });
  const admin = await createAdmin({
    listen: { host: '127.0.0.1', port: 0 },
    tokens: [],
    metrics: createMetrics(),
    readiness: createReadiness(),
    log,
    routes: () => undefined,
    webhooks: (app) => receiver.mount(app),
  });
  const agent = new Agent();
  t.after(async () => {
    changes.close();
    cache.close();
    await agent.destroy();
    await admin.close();
  });
  await cache.facts(DEVICE);
  async function push(
    body: string,
    headers: Record<string, string | undefined> = {},
    method = 'POST',
  ) {
    const given = {
      'content-type': 'application/secevent+jwt',
      authorization: `Bearer ${TOKEN}`,
      ...headers,
    };
    const answer = await agent.request({
      origin: `http://127.0.0.1:${admin.port}`,
      path: '/webhooks/signals/okta',
      method,
      headers: Object.entries(given).flatMap(([name, value]) =>
        value === undefined ? [] : [name, value],
      ),
      body,
    });
    const text = await answer.body.text();
    await settled();
    const { err } = text.startsWith('{') ? (JSON.parse(text) as { err?: string }) : {};
    return { status: answer.statusCode, err, text, headers: answer.headers };
  }
  const tell = async (change: Claims = {}, header: Claims = {}) =>
    await push(await sign(key, claimsOf(now(), change), header));
  const asked = () => source.asked.length - 1; // without the one of `cache.facts` above
  return { push, tell, asked, cache, outcomes, ended, streams, lines, now };
}

test('a compliance change makes the source be asked, and changes nothing by what it says (P10, P12)', async (t) => {
  const { tell, asked, cache, outcomes } = await setUp(t);
  for (const status of ['not-compliant', 'compliant']) {
    const answer = await tell({ events: complianceChange(status) });
    assert.deepEqual([answer.status, answer.text], [202, '']);
  }
  assert.equal(asked(), 2);
  assert.equal(cache.peek(DEVICE)?.report?.compliance, 'compliant');
  assert.deepEqual(outcomes, ['refresh', 'refresh']);
});

const REFUSED: readonly (readonly [string, string, () => Promise<string>])[] = [
  ['nothing', 'invalid_request', async () => ''],
  ['no token', 'invalid_request', async () => '{"iss":"x"}'],
  ['two dots', 'invalid_request', async () => 'a.b.c'],
  ['a token of many parts', 'invalid_request', async () => '.'.repeat(60_000)],
  ['a payload that is no object', 'invalid_request', async () => await sign(key, '[]')],
  ['a payload that is no JSON', 'invalid_request', async () => await sign(key, 'x')],
  ['an encrypted token', 'invalid_request', encrypted],
  ['another type of token (I04)', 'invalid_request', async () => await signed({}, { typ: 'JWT' })],
  ['no type (I04)', 'invalid_request', async () => await signed({}, { typ: undefined })],
  ['an access token (I04)', 'invalid_request', async () => await signed({}, { typ: 'at+jwt' })],
  ['no signature (I04)', 'invalid_key', async () => unsigned(await signed())],
  ['a shared secret, the public key (I04)', 'invalid_key', withSharedSecret],
  ['a key the token brings (I04)', 'authentication_failed', broughtAlong],
  [
    'a signature of somebody else',
    'authentication_failed',
    async () => await sign(stranger, claims()),
  ],
  ['an altered payload (P11)', 'authentication_failed', altered],
  ['a key nobody knows', 'invalid_key', async () => await signed({}, { kid: 'k9' })],
  [
    'a key id that is a path (I04)',
    'invalid_key',
    async () => await signed({}, { kid: '../../dev/null' }),
  ],
  ['another issuer', 'invalid_issuer', async () => await signed({ iss: 'https://evil.test' })],
  ['no issuer', 'invalid_issuer', async () => await signed({ iss: undefined })],
  ['another audience', 'invalid_audience', async () => await signed({ aud: 'https://other.test' })],
  ['other audiences', 'invalid_audience', async () => await signed({ aud: ['a', 5, null] })],
  ['no audience', 'invalid_audience', async () => await signed({ aud: undefined })],
  ['no events', 'invalid_request', async () => await signed({ events: {} })],
  ['an old token (P11)', 'invalid_request', async () => await signed({ iat: 1 })],
  [
    'a token from the future (P11)',
    'invalid_request',
    async () => await signed({ iat: 1_000_000 }),
  ],
];

const CLOCK = 1_000_000; // where the clock of these tests stands
const claims = (change: Claims = {}) => claimsOf(CLOCK, change);
const signed = (change: Claims = {}, header: Claims = {}) => sign(key, claims(change), header);

function unsigned(token: string): string {
  const header = Buffer.from('{"alg":"none","typ":"secevent+jwt"}').toString('base64url');
  return `${header}.${token.split('.')[1]}.`;
}
async function withSharedSecret(): Promise<string> {
  const secret = Buffer.from(JSON.stringify(key.publicJwk));
  const header = { alg: 'HS256', kid: 'k1', typ: 'secevent+jwt' };
  return await new SignJWT({ ...claims() }).setProtectedHeader(header).sign(secret);
}
async function broughtAlong(): Promise<string> {
  return await sign(stranger, claims(), { jwk: stranger.publicJwk, jku: 'http://127.0.0.1:1/' });
}
async function altered(): Promise<string> {
  const [header, , signature] = (await signed()).split('.');
  const other = Buffer.from(JSON.stringify(claims())).toString('base64url');
  return `${header}.${other}.${signature}`;
}
async function encrypted(): Promise<string> {
  const header = { alg: 'dir', enc: 'A256GCM', typ: 'secevent+jwt' };
  const bytes = new TextEncoder().encode('{}');
  return await new CompactEncrypt(bytes).setProtectedHeader(header).encrypt(new Uint8Array(32));
}

for (const [what, err, make] of REFUSED) {
  test(`${what} is ${err}, and nobody is asked (P11, P13)`, async (t) => {
    const { push, asked, ended, outcomes } = await setUp(t);
    const answer = await push(await make());
    assert.deepEqual([answer.status, answer.err], [400, err]);
    assert.match(String(answer.headers['content-type']), /^application\/json/);
    assert.equal(answer.headers['content-language'], 'en');
    assert.deepEqual([asked(), ended, outcomes], [0, [], ['refused']]);
  });
}

const STRANGERS = [
  undefined,
  '',
  'Bearer ',
  'Bearer wrong',
  `Basic ${TOKEN}`,
  TOKEN,
  `Bearer ${TOKEN}s`,
];

for (const authorization of STRANGERS) {
  test(`\`${authorization ?? 'nothing'}\` in Authorization is 401, whatever else is right (P11)`, async (t) => {
    const { push, asked, now } = await setUp(t);
    const answer = await push(await sign(key, claimsOf(now())), { authorization });
    assert.deepEqual([answer.status, answer.err], [401, 'authentication_failed']);
    assert.match(String(answer.headers['www-authenticate']), /^Bearer /);
    assert.equal(asked(), 0);
  });
}

test('other methods, other types and more than 64 KiB are refused (P13)', async (t) => {
  const { push, asked } = await setUp(t);
  assert.equal((await push('', {}, 'PUT')).status, 405);
  assert.equal((await push('', { authorization: undefined }, 'PUT')).status, 401);
  const asJson = await push(await signed(), { 'content-type': 'application/json' });
  assert.deepEqual([asJson.status, asJson.err], [400, 'invalid_request']);
  assert.equal((await push('x'.repeat(65_537))).status, 413);
  assert.equal(asked(), 0);
});

test('spellings of the type that mean the same are taken', async (t) => {
  const { tell } = await setUp(t);
  for (const typ of ['secevent+jwt', 'SECEVENT+JWT', 'application/secevent+jwt']) {
    assert.equal((await tell({}, { typ })).status, 202);
  }
});

test('one of several audiences may be us', async (t) => {
  const { tell, asked } = await setUp(t);
  assert.equal((await tell({ aud: ['https://other.test', AUDIENCE] })).status, 202);
  assert.equal(asked(), 1);
});

test('a repeated token is answered as before, and does nothing (RFC 8935 section 2.2)', async (t) => {
  const { push, asked, outcomes, now } = await setUp(t);
  const token = await sign(key, claimsOf(now()));
  assert.equal((await push(token)).status, 202);
  assert.equal((await push(token)).status, 202);
  // Still remembered when it is as old as it may be.
  now.advance(299_000);
  assert.equal((await push(token)).status, 202);
  now.advance(2_000);
  assert.equal((await push(token)).err, 'invalid_request');
  assert.equal(asked(), 1);
  assert.deepEqual(outcomes, ['refresh', 'repeated', 'repeated', 'refused']);
});

test('a device or format nobody knows is taken and does nothing', async (t) => {
  const { tell, asked, outcomes } = await setUp(t);
  const subjects = [
    { format: 'opaque', id: 'never-seen' },
    { format: 'email', email: 'a@b' },
    undefined,
  ];
  for (const sub_id of subjects) assert.equal((await tell({ sub_id })).status, 202);
  assert.equal((await tell({ sub_id: undefined, events: sessionRevoked })).status, 202);
  assert.equal(asked(), 0);
  assert.deepEqual(outcomes, Array(4).fill('unknown_device'));
});

test('a revoked session of a device is cut, and the source is asked', async (t) => {
  const { tell, asked, ended, outcomes } = await setUp(t);
  assert.equal((await tell({ events: sessionRevoked })).status, 202);
  assert.deepEqual(ended, [{ kind: 'device', deviceId: DEVICE }]);
  assert.deepEqual([asked(), outcomes], [1, ['session_revoked']]);
});

test('a revoked session of a user is cut on all devices, and the source is asked about those', async (t) => {
  const { tell, asked, ended } = await setUp(t);
  const sub_id = { format: 'email', email: 'ann@example.test' };
  assert.equal((await tell({ sub_id, events: sessionRevoked })).status, 202);
  assert.deepEqual(ended, [{ kind: 'user', users: ['ann@example.test'] }]);
  assert.equal(asked(), 1);
});

test('with a time to block for, a revoked session blocks the device, one never seen too', async (t) => {
  const blocked: unknown[] = [];
  const block = (...about: unknown[]) => Promise.resolve(void blocked.push(about));
  const { tell } = await setUp(t, { block });
  for (const id of [DEVICE, 'NEVER-SEEN', '../x']) {
    const sub_id = { format: 'opaque', id };
    assert.equal((await tell({ sub_id, events: sessionRevoked })).status, 202);
  }
  assert.deepEqual(blocked, [
    [DEVICE, 'Policy violation'],
    ['never-seen', 'Policy violation'],
  ]);
});

test('a block that is not durable is said again by the sender', async (t) => {
  let failing = true;
  const block = () => (failing ? Promise.reject(new Error('disk full')) : Promise.resolve());
  const { push, now } = await setUp(t, { block });
  const token = await sign(key, claimsOf(now(), { events: sessionRevoked }));
  assert.equal((await push(token)).status, 503);
  failing = false;
  assert.equal((await push(token)).status, 202);
});

test('verification, news of the stream and events for others are taken', async (t) => {
  const { tell, asked, streams, outcomes } = await setUp(t);
  const sub_id = { format: 'opaque', id: 'stream-1' };
  await tell({ sub_id, events: { [`${SSF}verification`]: { state: 's' } } });
  await tell({ sub_id, events: { [`${SSF}stream-updated`]: { status: 'disabled' } } });
  await tell({ events: { [`${CAEP}credential-change`]: {} } });
  assert.deepEqual(streams, ['disabled']);
  assert.deepEqual(outcomes, ['stream', 'stream', 'ignored']);
  assert.equal(asked(), 0);
});

const SILENT: readonly (readonly [boolean, string, 'kept' | 'gone'])[] = [
  [true, 'not-compliant', 'gone'],
  [true, 'compliant', 'kept'],
  [false, 'not-compliant', 'kept'],
];

for (const [doubtWhenSilent, status, report] of SILENT) {
  test(`${status} about a device with a silent source: its last report is ${report} (doubt: ${doubtWhenSilent})`, async (t) => {
    let calls = 0;
    const { tell, cache } = await setUp(t, { doubtWhenSilent }, (deviceId) => {
      calls += 1;
      return calls === 1 ? healthyReport({ deviceId }) : new SourceError('outage', 'down');
    });
    assert.equal((await tell({ events: complianceChange(status) })).status, 202);
    const facts = cache.peek(DEVICE);
    assert.equal(facts?.known, false);
    assert.equal(facts?.report === null, report === 'gone');
  });
}

test('when too many devices wait, the sender is told to try again, and may', async (t) => {
  const { push, cache, now } = await setUp(t, { maxInFlight: 0, maxPending: 1 });
  await cache.facts('device-b');
  const about = (id: string) => sign(key, claimsOf(now(), { sub_id: { format: 'opaque', id } }));
  assert.equal((await push(await about(DEVICE))).status, 202);
  const second = await about('device-b');
  for (let i = 0; i < 2; i += 1) {
    const { status, headers } = await push(second);
    assert.deepEqual([status, headers['retry-after']], [503, '30']);
  }
});

test('neither the token of the endpoint nor that of the event is in the log (A05)', async (t) => {
  const { push, lines } = await setUp(t);
  const token = await signed();
  await push(token);
  await push(await sign(stranger, claims()));
  const text = lines.join('');
  assert.match(text, /zonegate\.signal/);
  assert.ok(!text.includes(TOKEN) && !text.includes(token.slice(0, 40)));
});

async function withKeyServer(t: TestContext, rest: { readonly now?: () => number } = {}) {
  const server = await startKeyServer([key.publicJwk]);
  const exchange = createExchange({ ca: null, maxAnswerBytes: 65_536 });
  t.after(async () => {
    await exchange.close();
    await server[Symbol.asyncDispose]();
  });
  const clock = createClock();
  const troubles: string[] = [];
  const keys: IssuerKeys = createFetchedKeys({
    url: server.url,
    exchange,
    deadlineMs: 5_000,
    now: rest.now ?? clock,
    onTrouble: (why) => troubles.push(why),
  });
  return { server, keys, troubles, clock };
}

test('keys are fetched once for many events at the same time', async (t) => {
  const { server, keys } = await withKeyServer(t);
  const { tell } = await setUp(t, { keys: () => keys });
  const answers = await Promise.all(Array.from({ length: 20 }, () => tell()));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([202]));
  assert.equal(server.asked(), 1);
});

test('a new key is found when the first token names it; made-up names ask twice a minute at most', async (t) => {
  const { server, keys, clock } = await withKeyServer(t);
  const { push, tell } = await setUp(t, { keys: () => keys });
  const next = await makeKey('k2');
  assert.equal((await tell()).status, 202);
  server.serve([key.publicJwk, next.publicJwk]);
  clock.advance(30_000);
  assert.equal((await push(await sign(next, claims()))).status, 202);
  for (let i = 0; i < 50; i += 1) {
    assert.equal(
      (await push(await sign(next, claims(), { kid: `made-up-${i}` }))).err,
      'invalid_key',
    );
  }
  assert.equal(server.asked(), 2);
});

test('known keys outlive an outage of their address for a day, and no longer', async (t) => {
  const { server, keys, clock, troubles } = await withKeyServer(t);
  const { tell, outcomes } = await setUp(t, { keys: () => keys });
  assert.equal((await tell()).status, 202);
  server.serve(null);
  clock.advance(86_000_000);
  assert.equal((await tell()).status, 202);
  clock.advance(500_000);
  const { status, headers } = await tell();
  assert.deepEqual([status, headers['retry-after']], [503, '30']);
  assert.equal(outcomes.at(-1), 'unavailable');
  assert.ok(troubles.length > 0);
});

const BAD_SETS = [
  'x',
  '[]',
  '{"keys":{}}',
  '{"keys":[]}',
  '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}',
  JSON.stringify({ keys: Array(101).fill(key.publicJwk) }),
];

for (const text of BAD_SETS) {
  test(`\`${text.slice(0, 40)}\` is no key set`, () =>
    assert.equal(typeof parseKeySet(text), 'string'));
}

test('without any keys the sender is told to try again', async (t) => {
  const { server, keys } = await withKeyServer(t);
  server.serve('{"keys":[]}');
  const { tell } = await setUp(t, { keys: () => keys });
  assert.equal((await tell()).status, 503);
});
