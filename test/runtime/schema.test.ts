// What the building blocks of configuration accept, and how what they refuse is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import {
  durationMs,
  httpUrl,
  listenAddress,
  name,
  optional,
  parseWith,
  secretText,
  section,
} from '../../runtime/schema.ts';

function valueFrom<T>(schema: z.ZodType<T>, given: unknown): T | null {
  const parsed = parseWith(schema)(given);
  return parsed.ok ? parsed.value : null;
}

function issuesOf(schema: z.ZodType, given: unknown): readonly string[] {
  const parsed = parseWith(schema)(given);
  if (parsed.ok) return [];
  return parsed.issues.map(({ path, message, hint }) =>
    [path.join('.'), message, hint].filter((part) => part !== null && part !== '').join(' | '),
  );
}

test('durations are read into milliseconds', () => {
  const given = { '500ms': 500, '30s': 30_000, '10m': 600_000, '12h': 43_200_000, '30d': 2.592e9 };
  for (const [text, ms] of Object.entries(given)) assert.equal(valueFrom(durationMs(), text), ms);
  for (const text of ['30', '1.5h', '-1s', '1h30m', ' 1s', '1S', '', 30]) {
    assert.equal(valueFrom(durationMs(), text), null, String(text));
  }
});

test('a duration outside its limits is refused with the limits', () => {
  const schema = durationMs({ minMs: 1000, maxMs: 3_600_000 });
  assert.equal(valueFrom(schema, '1s'), 1000);
  assert.deepEqual(issuesOf(schema, '2h'), [
    'expected a duration in ms, s, m, h or d, at least 1s, at most 1h, got `2h` | for example `30s`',
  ]);
});

test('listen addresses are read into host and port', () => {
  assert.deepEqual(valueFrom(listenAddress(), ':8443'), { host: '', port: 8443 });
  assert.deepEqual(valueFrom(listenAddress(), '127.0.0.1:8446'), { host: '127.0.0.1', port: 8446 });
  assert.deepEqual(valueFrom(listenAddress(), '[::1]:0'), { host: '::1', port: 0 });
  assert.deepEqual(valueFrom(listenAddress(), 'localhost:80'), { host: 'localhost', port: 80 });
  for (const text of ['8443', '::1:80', '[127.0.0.1]:80', '127.1:80', ':65536', 'a.example:80']) {
    assert.equal(valueFrom(listenAddress(), text), null, text);
  }
});

test('a duration or listen address that is none is told with what came', () => {
  assert.deepEqual(issuesOf(durationMs(), 'soon'), [
    'expected a duration in ms, s, m, h or d, got `soon` | for example `30s`',
  ]);
  assert.deepEqual(issuesOf(listenAddress(), '8443'), [
    'expected an address and port to listen on, got `8443` | for example `127.0.0.1:8446`',
  ]);
});

test('a URL that is refused is not printed: it may hold a password', () => {
  const [issue = ''] = issuesOf(httpUrl(), 'https://ann:hunter22@a.example');
  assert.match(issue, /^expected an http or https URL/);
  assert.ok(!issue.includes('hunter22'));
});

test('a URL may carry neither credentials nor a fragment nor another scheme', () => {
  assert.equal(valueFrom(httpUrl(), 'https://uem.example.com'), 'https://uem.example.com/');
  const refused = [
    'https://u:p@a.example',
    'http://a.example/#x',
    'ftp://a.example',
    'a.example',
    '',
  ];
  for (const text of refused) assert.equal(valueFrom(httpUrl(), text), null, text);
});

test('a secret that is refused is not printed', () => {
  assert.equal(valueFrom(secretText(), 'long enough'), 'long enough');
  for (const text of ['short', 'two lines of\ntext']) {
    const [issue = ''] = issuesOf(secretText(), text);
    assert.match(issue, /^expected a secret of at least 8 characters on one line/);
    assert.ok(!issue.includes(text));
  }
});

test('names are short and plain', () => {
  assert.equal(valueFrom(name(), 'head-office-2'), 'head-office-2');
  for (const text of ['', '-a', 'A', 'a_b', 'a'.repeat(64)])
    assert.equal(valueFrom(name(), text), null);
});

test('what may be left out is null when it is', () => {
  assert.deepEqual(valueFrom(section({ idle: optional(durationMs()) }), {}), { idle: null });
});

const CONFIG = section({
  listen: listenAddress(),
  limits: section({ tunnels: z.int().min(1), idle: optional(durationMs()) }),
  sources: z.array(
    z.discriminatedUnion('kind', [
      section({ kind: z.literal('file'), path: z.string() }),
      section({ kind: z.literal('intune'), tenant: z.string() }),
    ]),
  ),
  level: z.enum(['debug', 'info', 'warn']),
  hosts: z.union([z.string(), z.array(z.string())]),
});
const GOOD = {
  listen: ':8443',
  limits: { tunnels: 10 },
  sources: [{ kind: 'file', path: 'devices.yaml' }],
  level: 'info',
  hosts: 'a.example',
};

test('every issue is told at once, with its path', () => {
  assert.deepEqual(issuesOf(CONFIG, GOOD), []);
  assert.deepEqual(issuesOf(CONFIG, { listen: 8443, limits: [], hosts: 3 }), [
    'listen | expected text, got `8443`',
    'limits | expected a map, got a list',
    'sources | key `sources` is missing, expected a list',
    'level | key `level` is missing, expected `debug`, `info` or `warn`',
    'hosts | expected text or a list, got `3`',
  ]);
});

test('an unknown key is told with the key that was meant, at any depth', () => {
  const given = { ...GOOD, limits: { tunnels: 1, idel: '1s' }, lisen: 1, zzzzzzzz: 1 };
  assert.deepEqual(issuesOf(CONFIG, given), [
    'limits.idel | unknown key `idel` | did you mean `idle`?',
    'lisen | unknown key `lisen` | did you mean `listen`?',
    'zzzzzzzz | unknown key `zzzzzzzz`',
  ]);
  const sources = [{ kind: 'intune', tenant: 'x', tennant: 'y' }];
  assert.deepEqual(issuesOf(CONFIG, { ...GOOD, sources }), [
    'sources.0.tennant | unknown key `tennant` | did you mean `tenant`?',
  ]);
});

test('a key that was renamed is told with what to write instead', () => {
  const moved = { grace: 'write `graceFor`' };
  const schema = section({ posture: section({ graceFor: z.string() }).meta({ moved }) });
  assert.deepEqual(issuesOf(schema, { posture: { graceFor: '1m', grace: '1m', constructor: 1 } }), [
    'posture.grace | unknown key `grace` | write `graceFor`',
    'posture.constructor | unknown key `constructor`',
  ]);
});

test('of a word or a map the one is meant that is written', () => {
  const schema = section({
    when: z.union([z.literal('deny'), section({ graceFor: durationMs() })]),
  });
  const hint = 'did you mean `graceFor`?';
  assert.deepEqual(issuesOf(schema, { when: { graseFor: '1m' } }), [
    'when.graceFor | key `graceFor` is missing, expected text',
    `when.graseFor | unknown key \`graseFor\` | ${hint}`,
  ]);
  assert.deepEqual(issuesOf(schema, { when: 'denny' }), [
    'when | expected `deny`, got `denny` | did you mean `deny`?',
  ]);
  assert.deepEqual(issuesOf(schema, { when: 3 }), ['when | expected `deny` or a map, got `3`']);
});

test('a kind that does not exist is told with the kinds that do', () => {
  assert.deepEqual(issuesOf(CONFIG, { ...GOOD, sources: [{ kind: 'fiel' }, {}] }), [
    'sources.0.kind | expected `file` or `intune`, got `fiel` | did you mean `file`?',
    'sources.1.kind | key `kind` is missing, expected `file` or `intune`',
  ]);
});

test('of several alternatives the one of the right type is explained', () => {
  assert.deepEqual(issuesOf(CONFIG, { ...GOOD, hosts: ['a.example', 7] }), [
    'hosts.1 | expected text, got `7`',
  ]);
});

test('numbers and lists outside their bounds are told with the bound', () => {
  const limits = { tunnels: 0 };
  assert.deepEqual(issuesOf(CONFIG, { ...GOOD, limits }), [
    'limits.tunnels | expected a number of at least 1, got `0`',
  ]);
  assert.deepEqual(issuesOf(z.array(z.string()).min(1), []), ['expected at least 1 in this list']);
  assert.deepEqual(issuesOf(z.int(), 1.5), ['expected a whole number, got `1.5`']);
});

test('keys named after parts of every object have no effect', () => {
  const given: unknown = JSON.parse('{"__proto__": {"tunnels": 5}, "constructor": 1}');
  const schema = section({ tunnels: z.int().optional() });
  assert.deepEqual(issuesOf(schema, given), [
    '__proto__ | unknown key `__proto__`',
    'constructor | unknown key `constructor`',
  ]);
});

test('the building blocks have a JSON schema for editors', () => {
  const schema = z.toJSONSchema(CONFIG, { io: 'input' });
  assert.equal(schema.additionalProperties, false);
  assert.deepEqual(schema.required, ['listen', 'limits', 'sources', 'level', 'hosts']);
});
